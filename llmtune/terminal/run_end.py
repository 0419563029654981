"""The end of a run at the terminal, in under 25 lines: the main numbers, the verdict, the page, the next command."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS
from llmtune.diagnosis.verdict import NO_TARGET, READY, Verdict
from llmtune.metrics import Score
from llmtune.metrics.core.headlines import headline_names
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import deciding_metric
from llmtune.terminal.console import Terminal, headline_table
from llmtune.text.shorten import join_names, row_count

MOST_CAUTIONS = 2
MOST_METRICS = 4  # the deciding one and three beside it; the page and --verbose have all


def show_run_end(
    terminal: Terminal,
    test: Predictions,
    scores: Mapping[str, Score],
    baselines: Mapping[str, Mapping[str, Score]],
    verdict: Verdict,
    folder: Path,
    input_flags: str = "",
    cautions: Sequence[str] = (),
) -> None:
    """What a person needs who reads no more than this; all of it is in the folder already.

    `input_flags` name the columns of the run's own data, for predictions on more of it; `cautions` are what the page
    says of the numbers.
    """
    terminal.block(f"{test.split.capitalize()}: {row_count(len(test))}", [])
    terminal.table(headline_table(main_metrics(test, scores), test, scores, baselines))
    show_main_verdict(terminal, verdict)
    show_cautions(terminal, cautions, most=MOST_CAUTIONS)
    terminal.block(f"Report: {folder / 'report.html'} (--verbose prints all of it here)", ["Next:"])
    model = shlex.quote(str(folder))
    terminal.command(f"llmtune predict --model {model} --input FILE {input_flags}--output predicted.csv")


def show_cautions(terminal: Terminal, cautions: Sequence[str], most: int | None = None) -> None:
    """What makes the numbers mean less than they seem, the first `most`; nothing where there is nothing."""
    if cautions:
        more = [f"and {len(cautions) - most} more: the report has them"] if most and len(cautions) > most else []
        terminal.block("Caution", [*cautions[:most], *more])


def main_metrics(test: Predictions, scores: Mapping[str, Score]) -> list[str]:
    """The deciding metric, then the headlines of the kind that are defined."""
    decides = deciding_metric(test, scores)
    names = headline_names(test.kind, scores)
    first = [name for name in names if name == decides]
    return [*first, *(name for name in names if name != decides)][:MOST_METRICS]


def show_main_verdict(terminal: Terminal, verdict: Verdict) -> None:
    """The sentence, the first remedy, and the names of the other checks by their outcome."""
    lines = []
    deciding = verdict.deciding[0] if verdict.verdict not in (READY, NO_TARGET) and verdict.deciding else None
    if deciding is not None and deciding.remedy:
        lines.append(f"→ {deciding.remedy}")
    for mark, status, words in (
        ("✗", FAIL, "failed"),
        ("?", NOT_ENOUGH_DATA, "not decided"),
        ("✓", PASS, "passed"),
    ):
        names = [check.check for check in verdict.checks if check.status == status]
        if names:
            lines.append(f"{mark} {words}: {join_names(names, 6, 'checks')}")
    terminal.block(verdict.sentence, lines)
