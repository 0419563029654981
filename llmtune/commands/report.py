"""`llmtune report`: every metric of a kind, with intervals, from predictions tables made anywhere."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmtune.commands.runs import report_runs
from llmtune.commands.scores import notes_of, score_table
from llmtune.commands.tables import find_tables, open_table, run_settings
from llmtune.commands.verdicts import VerdictOptions, read_beside, verdict_of
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.verdict import Verdict
from llmtune.errors import InputError
from llmtune.metrics import Score
from llmtune.predictions import Predictions
from llmtune.report.report import Report
from llmtune.report.reports import write_reports
from llmtune.runs.folder import baseline_splits, write_metrics, write_verdict
from llmtune.terminal.console import Terminal
from llmtune.terminal.score_tables import show_scores
from llmtune.terminal.verdict_lines import show_verdict


def report(
    *,
    sources: Sequence[str],
    kind: str | None = None,
    labels: str | None = None,
    positive_label: str | None = None,
    output_dir: str | None = None,
    metrics: Sequence[str] = (),
    seed: int | None = None,
    no_examples: bool = False,
    **asked: Any,
) -> None:
    """Prints the scores of each table, and the verdict of each but validation; several runs are put together.

    metrics.json, verdict.json, report.html and beside weights README.md go to `output_dir`, or into a source that is a
    run folder; of several runs compare.html goes to `output_dir`. `asked` is what `VerdictOptions` holds; `no_examples`
    keeps the texts out of the page.
    """
    options = VerdictOptions(**asked)
    read_targets(options.targets)  # a slip in them is said before anything is computed
    if len(sources) > 1 and all(Path(source).is_dir() for source in sources):
        if output_dir is not None and _is_run(Path(output_dir)):
            raise InputError(f"--output_dir {output_dir}: is a run with results of its own; name another folder")
        report_runs(
            sources,
            options,
            positive_label=positive_label,
            output_dir=output_dir,
            metrics=metrics,
            seed=42 if seed is None else seed,
            no_examples=no_examples,
        )
        return
    tables = [
        (source, path, open_table(path, kind=kind, labels=labels, positive_label=positive_label))
        for source in sources
        for path in find_tables(source)
    ]
    targets = [(output_dir or (source if Path(source).is_dir() else None)) for source, _, _ in tables]
    check_targets(targets, tables, sources)
    terminal = Terminal()
    scores: dict[str, dict[str, dict[str, Score]]] = {}
    verdicts: dict[str, Verdict] = {}
    pages: dict[str, Report] = {}
    for (source, path, table), target in zip(tables, targets, strict=True):
        of_table = score_source(table, source, metrics=metrics, seed=seed)
        if len(tables) > 1:
            terminal.block(str(path), [])
        judged = table.split != "validation"
        known = read_beside(source, table, options if judged else replace(options, train_file=None))
        beside = {name: score_table(of, metrics=(), seed=42) for name, of in known.baselines.items()}
        show_scores(terminal, table, of_table, beside, notes_of(of_table))
        if target is not None:
            scores.setdefault(target, {}).update({table.split: of_table, **baseline_splits(table.split, beside)})
        if judged:
            verdict = verdict_of(source, table, of_table, options, known, seed=42 if seed is None else seed)
            show_verdict(terminal, verdict)
            if target is not None:
                verdicts[target] = verdict
                pages[target] = report_of(source, table, of_table, baselines=beside, verdict=verdict)
    for target, of_target in scores.items():
        folder = Path(target)
        folder.mkdir(parents=True, exist_ok=True)
        write_metrics(folder, of_target)
        left = [str(folder / "metrics.json")]
        if target in verdicts:
            write_verdict(folder, verdicts[target])
            left.append(str(folder / "verdict.json"))
            hidden = no_examples or bool(pages[target].arguments("data").get("no_examples"))
            left += map(str, write_reports(folder, pages[target], no_examples=hidden))
        terminal.block(f"written to {', '.join(left)}", [])


def report_of(source: str, table: Predictions, scores: dict[str, Score], **known: Any) -> Report:
    """What a page shows of a table: with what its run left, or under the name of its file."""
    folder = Path(source)
    return (
        Report.of_run(folder, table, scores, **known)
        if folder.is_dir()
        else Report(folder.stem, table, scores, **known)
    )


def score_source(table: Predictions, source: str, *, metrics: Sequence[str], seed: int | None) -> dict[str, Score]:
    """The scores of a table; of a run's table with the metrics and the seed that the run had."""
    settings = run_settings(source)
    kept = settings.get("arguments", {})
    asked = kept.get("task", {}).get("metrics") or kept.get("evaluate", {}).get("metrics") or []
    named = [*asked, *(name for name in metrics if name not in asked)]
    return score_table(table, metrics=named, seed=settings.get("seed", 42) if seed is None else seed)


def check_targets(
    targets: Sequence[str | None], tables: Sequence[tuple[str, Path, Predictions]], sources: Sequence[str]
) -> None:
    """Refuses to lose a report: two tables of one split for one metrics.json, or another run's metrics.json.

    Raises:
        InputError: either of these.
    """
    taken: dict[tuple[str, str], Path] = {}
    for target, (_, path, table) in zip(targets, tables, strict=True):
        if target is None:
            continue
        if target not in sources and _is_run(Path(target)):
            raise InputError(f"--output_dir {target}: is a run with a metrics.json of its own; name another folder")
        other = taken.setdefault((target, table.split), path)
        if other != path:
            raise InputError(
                f"{other} and {path} are both of the split {table.split!r}, and metrics.json holds each split once; "
                "report them one by one"
            )


def _is_run(folder: Path) -> bool:
    from llmtune.arguments import RUN_MARKER  # with the Trainer behind it: seconds that a report else does without

    return (folder / RUN_MARKER).exists()
