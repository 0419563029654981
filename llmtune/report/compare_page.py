"""compare.html: several runs side by side, and each against the first on the rows that both tested."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from llmtune.comparison.differences import Comparison, compare_predictions
from llmtune.diagnosis.verdict import Verdict
from llmtune.errors import InputError
from llmtune.metrics.core.entity_errors import in_words
from llmtune.metrics.core.headlines import about_positive
from llmtune.metrics.core.matrix import Matrix
from llmtune.metrics.core.parts import score_cell
from llmtune.predictions import Predictions
from llmtune.report.aggregate import TestResult, spread
from llmtune.report.error_examples import INPUTS, ExampleTable, shortened
from llmtune.report.judged_table import JudgedTable
from llmtune.report.page import NOT_ARGUMENTS, plain, render
from llmtune.runs.folder import write_text
from llmtune.runs.redact import public
from llmtune.terminal.comparison_lines import detail_lines, difference_cell, finding, metric_label, number
from llmtune.text.shorten import row_count

MOST_ROWS = 8  # wins of a table, and losses
OF_PARTS = ("f1", "entity_f1")  # the metric that is shown by class or type
# What of run.json is not an argument and is set side by side: name, group, key.
FACTS = (
    ("model", "model", "name"),
    ("parameters", "model", "parameters"),
    ("trained parameters", "model", "trainable_parameters"),
    ("optimizer steps", "training", "steps"),
    ("seconds of training", "training", "train_seconds"),
    ("tokens a second", "training", "tokens_per_second"),
    ("CPU", "hardware", "cpu"),
    ("GPUs", "hardware", "gpus"),
)


@dataclass(frozen=True)
class RunReport:
    """One run of several.

    Args:
        letter: what the page calls it.
        report: of it.
        against: the first run as A, this one as B; None for the first, and where their rows differ.
        reason: why there is no comparison.
    """

    letter: str
    report: JudgedTable
    against: Comparison | None = None
    reason: str = ""

    @property
    def fold(self) -> str | None:
        """`i/K` where the run tested a fold."""
        fold: str | None = self.report.arguments("data").get("fold")
        return fold


def run_reports(reports: Sequence[JudgedTable], *, seed: int = 42) -> list[RunReport]:
    """The runs with their letters, each compared with the first as `llmtune compare` does."""
    letters = [ascii_uppercase[i] if i < len(ascii_uppercase) else str(i + 1) for i in range(len(reports))]
    first = RunReport(letters[0], reports[0])
    return [first, *(_against(first, RunReport(*pair), seed) for pair in zip(letters[1:], reports[1:], strict=True))]


def _against(first: RunReport, run: RunReport, seed: int) -> RunReport:
    """The run with its comparison, or with the reason why there is none."""
    if run.fold != first.fold:
        reason = f"{run.letter} tested fold {run.fold}, {first.letter} fold {first.fold}: other rows, no paired test"
        return replace(run, reason=reason)
    names = (f"{first.letter} ({first.report.name})", f"{run.letter} ({run.report.name})")
    try:
        return replace(run, against=compare_predictions(first.report.test, run.report.test, names=names, seed=seed))
    except InputError as error:
        return replace(run, reason=str(error))


def write_compare_page(
    folder: Path, runs: Sequence[RunReport], *, together: Verdict | None = None, no_examples: bool = False
) -> Path:
    """Writes compare.html.

    Args:
        folder: where.
        runs: as `run_reports` gives them.
        together: the verdict of all rows, where the runs are folds of one data set.
        no_examples: leave the texts of the rows out, as of runs of which one was told so.
    """
    path = folder / "compare.html"
    write_text(path, render_compare_page(runs, together=together, no_examples=no_examples))
    return path


def render_compare_page(
    runs: Sequence[RunReport], *, together: Verdict | None = None, no_examples: bool = False
) -> str:
    """The page as text."""
    first = runs[0].report
    no_examples = no_examples or any(run.report.is_private for run in runs)
    what = "runs" if all(run.report.run for run in runs) else "reports"
    return render(
        "compare.html.j2",
        what=what,
        title=f"{len(runs)} {what} side by side: {first.test.kind.display_name.lower()}",
        headline=_headline(runs, together),
        word="" if together is None else together.verdict,
        runs=[_run(run) for run in runs],
        split=first.test.split,
        columns=[run.letter for run in runs],
        several=len(runs) > 2,
        numbers=_numbers(runs),
        pairs=[_pair(runs[0], run) for run in runs[1:]],
        matrices=_matrices(runs),
        is_entities=first.test.kind.tagged,
        parts=_parts(runs),
        examples=[] if no_examples else [table for run in runs[1:] for table in _rows(runs[0], run)],
        arguments=_arguments(runs),
        facts=_facts(runs),
    )


def _headline(runs: Sequence[RunReport], together: Verdict | None) -> str:
    """Of folds the verdict of all rows, else the comparison that decides."""
    if together is not None:
        return public(together.sentence)
    findings = [finding(run.against, a=runs[0].letter, b=run.letter) for run in runs[1:] if run.against is not None]
    return "; ".join(findings) + "." if findings else "These runs were not tested on the same rows."


def _run(run: RunReport) -> dict[str, Any]:
    verdict = run.report.verdict
    return {
        "letter": run.letter,
        "name": run.report.name,
        "fold": run.fold,
        "rows": len(run.report.test),
        "verdict": "none" if verdict is None else verdict.verdict,
        "sentence": "" if verdict is None else public(verdict.sentence),
        "findings": [] if verdict is None else [public(check.finding) for check in verdict.deciding[1:]],
    }


def _numbers(runs: Sequence[RunReport]) -> list[tuple[str, list[str]]]:
    """Each metric with its cells; of three runs and more also mean and standard deviation over them."""
    names = list(dict.fromkeys(name for run in runs for name in run.report.headlines))
    tested = [TestResult(run.report.name, run.fold, run.report.test, run.report.scores) for run in runs]
    over_runs = spread(tested, names)
    rows = []
    for place, name in enumerate(names):
        cells = [score_cell(run.report.scores, name) for run in runs]
        if len(runs) > 2:
            cells += [f"{over_runs[row][place]:.3f}" for row in ("mean", "std")]
        rows.append((about_positive(name, runs[0].report.test.positive_name), cells))
    return rows


def _pair(first: RunReport, run: RunReport) -> dict[str, Any]:
    """A run against the first: the sentence, a row for each metric, and what else is to be known."""
    names = {"a": first.letter, "b": run.letter}
    if run.against is None:
        return {**names, "sentence": public(run.reason), "rows": [], "lines": []}
    comparison = run.against
    return {
        **names,
        "sentence": finding(comparison, **names) + ".",
        "rows": [
            (
                metric_label(pair),
                [difference_cell(pair), number(pair.a), number(pair.b), number(pair.min_detectable)],
                "good" if pair.significantly_better else "bad" if pair.significantly_worse else "",
            )
            for pair in comparison.differences
        ],
        "lines": detail_lines(comparison, **names),
    }


def _matrices(runs: Sequence[RunReport]) -> list[tuple[str, Matrix]]:
    matrices = [(f"{run.letter}: {run.report.name}", run.report.matrix) for run in runs]
    return [(name, matrix) for name, matrix in matrices if matrix and matrix.is_small]


def _parts(runs: Sequence[RunReport]) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """By class or type: the metric, and of each part its cell in every run."""
    parts = list(dict.fromkeys(part for run in runs for part, _ in run.report.parts.rows))
    return [
        (metric, [(part, [score_cell(run.report.scores, f"{metric}[{part}]") for run in runs]) for part in parts])
        for metric in OF_PARTS
        if any(f"{metric}[{part}]" in runs[0].report.scores for part in parts)
    ]


def _rows(first: RunReport, run: RunReport) -> list[ExampleTable]:
    """The rows on which a run is better or worse than the first."""
    if run.against is None or not run.report.test.has("prediction"):
        return []
    a = first.report.test
    tables = []
    for title, rows in (("better", run.against.wins), ("worse", run.against.losses)):
        if not rows:
            continue
        columns = {"id": _cells(a, "id", rows)}
        columns |= {name: _cells(a, name, rows) for name in (*INPUTS, "tokens") if a.has(name)}
        columns |= {"reference": _cells(a, "reference", rows)}
        columns |= {f"{each.letter} predicts": _cells(each.report.test, "prediction", rows) for each in (first, run)}
        title = f"{run.letter} is {title} than {first.letter} on {row_count(len(rows))}"
        tables.append(ExampleTable(title, tuple(columns), list(zip(*columns.values(), strict=True))))
    return tables


def _cells(test: Predictions, column: str, rows: Sequence[int]) -> list[str]:
    """The first of the rows; words as a sentence, tags as the entities that they make."""
    values = test.table.column(column).take(rows[:MOST_ROWS]).to_pylist()
    if column == "tokens":
        return [shortened(" ".join(words)) for words in values]
    if test.kind.tagged and column in ("reference", "prediction") and test.has("tokens"):
        sentences = test.table.column("tokens").take(rows[:MOST_ROWS]).to_pylist()
        return [shortened(in_words(words, tags)) for words, tags in zip(sentences, values, strict=True)]
    return [shortened(value) for value in values]


def _arguments(runs: Sequence[RunReport]) -> list[tuple[str, list[str]]]:
    """The arguments in which the runs differ."""
    groups = ("data", "task", "model", "training")
    given = [public({k: v for group in groups for k, v in run.report.arguments(group).items()}) for run in runs]
    names = dict.fromkeys(name for arguments in given for name in arguments if name not in NOT_ARGUMENTS)
    rows = [(name, [plain(arguments[name]) if name in arguments else "" for arguments in given]) for name in names]
    return [(name, cells) for name, cells in rows if len(set(cells)) > 1]


def _facts(runs: Sequence[RunReport]) -> list[tuple[str, list[str]]]:
    """Size, time and machine of each run."""
    facts = [public(run.report.run) for run in runs]
    rows = [(name, [run.get(group, {}).get(key) for run in facts]) for name, group, key in FACTS]
    rows.append(("peak memory in MiB", [run.get("peak_memory_mib") for run in facts]))
    return [
        (name, ["" if value is None else plain(value) for value in values])
        for name, values in rows
        if any(value not in (None, []) for value in values)
    ]
