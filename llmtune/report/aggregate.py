"""Several runs as one result: mean and spread of each metric, a row for each run, one table to judge.

Runs of different folds tested different rows: those are put together. Runs of one fold (or of one test split) with
several seeds tested the same rows, which are no new evidence: of each such set the run in the middle stands for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.table import Table

from llmtune.diagnosis.check import FAIL, Check
from llmtune.diagnosis.context import Context, diagnose
from llmtune.diagnosis.verdict import Verdict
from llmtune.errors import InputError
from llmtune.metrics import Score
from llmtune.metrics.core.headlines import about_positive
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import deciding_metric
from llmtune.report.judgement import Judgement, JudgementOptions
from llmtune.runs.folder import RunFolder
from llmtune.terminal.console import plain_table

MOST_METRICS = 6


@dataclass(frozen=True)
class TestResult:
    """The test split of one run.

    Args:
        name: of the run.
        fold: `i/K`, None where the run had a test split of its own.
        table: its predictions.
        scores: of them.
        baselines: of simple models on the same rows, by name.
    """

    name: str
    fold: str | None
    table: Predictions
    scores: Mapping[str, Score]
    baselines: Mapping[str, Predictions] = field(default_factory=dict)

    def value(self, metric: str) -> float:
        """The metric's value, NaN where undefined."""
        value = self.scores[metric].value if metric in self.scores else None
        return float("nan") if value is None else value


class MergedRuns(Judgement):
    """Several runs as one judged table.

    Args:
        results: their test splits.
        folders: in the same order.
        options: what is asked; the first run's arguments are the defaults.

    Raises:
        InputError: the runs can't be put together.
    """

    def __init__(self, results: Sequence[TestResult], folders: Sequence[RunFolder], options: JudgementOptions) -> None:
        table, self._baselines, self.lines = aggregate(results)
        super().__init__(
            table, replace(options.with_run(folders[0], table), seed=options.seed, metrics=options.metrics)
        )
        self.folders = folders
        self.is_of_folds = len({result.fold for result in results}) > 1

    @cached_property
    def baselines(self) -> dict[str, Predictions]:
        """Those that all runs have, over all rows."""
        return self._baselines

    @cached_property
    def verdict(self) -> Verdict:
        """Of all rows together."""
        return diagnose(self.context)

    @cached_property
    def context(self) -> Context:
        """What the checks read: each run's training, and the worst that a run said of its leakage and saved model."""
        return replace(
            super().context,
            runs={run.path.name: run.training for run in self.folders},
            earlier_leakage=_worst([run.leakage for run in self.folders]),
            earlier_saved_model=_worst([run.saved_model for run in self.folders]),
        )


def _worst(checks: Sequence[Check | None]) -> Check | None:
    """The first that failed, else the first; None where no run made the check."""
    made = [check for check in checks if check is not None]
    return next((check for check in made if check.status == FAIL), made[0] if made else None)


def aggregate(runs: Sequence[TestResult]) -> tuple[Predictions, dict[str, Predictions], list[str]]:
    """One table over all rows, each row once; the baselines that all have, likewise; lines on what they are made of.

    Raises:
        InputError: the runs differ in kind or labels, or mix folds with other test splits.
    """
    check_alike(runs)
    main = main_metric(runs)
    of_fold: dict[str | None, list[TestResult]] = {}
    for run in runs:
        of_fold.setdefault(run.fold, []).append(run)
    chosen = [sorted(same, key=lambda run: run.value(main))[(len(same) - 1) // 2] for same in of_fold.values()]
    lines = []
    if len(chosen) > 1:
        lines.append(
            f"one table of {len(chosen)} folds, {sum(len(run.table) for run in chosen):,} rows, each tested once"
        )
        wanted = {f"{i}/{len(chosen)}" for i in range(1, len(chosen) + 1)}
        count = str(runs[0].fold).partition("/")[2]
        if set(of_fold) != wanted:
            lines.append(f"only {len(chosen)} of {count} folds are here: the others' rows are not judged")
    for same, run in zip(of_fold.values(), chosen, strict=True):
        if len(same) > 1:
            lines.append(
                f"{len(same)} runs tested the same rows; {run.name}, the middle one by "
                f"{about_positive(main, run.table.positive_name)}, represents them"
            )
    shared = [name for name in chosen[0].baselines if all(name in run.baselines for run in chosen)]
    baselines = {name: _joined([run.baselines[name] for run in chosen]) for name in shared}
    return _joined([run.table for run in chosen]), baselines, lines


def check_alike(runs: Sequence[TestResult]) -> None:
    """Raises InputError unless all runs can be put together."""
    first = runs[0]
    for run in runs[1:]:
        if run.table.kind != first.table.kind or run.table.label_names != first.table.label_names:
            raise InputError(f"{first.name} and {run.name} differ in kind or labels; report them one by one")
        if str(run.fold).partition("/")[2] != str(first.fold).partition("/")[2]:
            raise InputError(
                f"{first.name} tested {_tested(first)}, {run.name} {_tested(run)}; give runs of the same K folds, "
                "or of one test split"
            )
        if run.fold == first.fold and _references(run.table) != _references(first.table):
            raise InputError(
                f"{first.name} and {run.name} tested different rows of {_tested(run)}; train both on one data set"
            )


def main_metric(runs: Sequence[TestResult]) -> str:
    """The metric that orders the runs.

    Raises:
        InputError: the first run's table allows no metric.
    """
    metric = deciding_metric(runs[0].table, runs[0].scores)
    if metric is None:
        raise InputError(f"{runs[0].name}: its predictions allow no metric; report the runs one by one")
    return metric


def run_table(runs: Sequence[TestResult]) -> Table:
    """A row for each run, then mean, standard deviation, minimum and maximum over the runs."""
    names = [name for name in runs[0].table.kind.merged if name in runs[0].scores] or list(runs[0].scores)[
        :MOST_METRICS
    ]
    positive = runs[0].table.positive_name
    table = plain_table("run", "fold", "rows", *(about_positive(name, positive) for name in names))
    for run in runs:
        table.add_row(
            Path(run.name).name, run.fold or "", str(len(run.table)), *(_shown(run.value(name)) for name in names)
        )
    for row, values in spread(runs, names).items():
        table.add_row(row, "", "", *(_shown(value) for value in values))
    return table


def spread(runs: Sequence[TestResult], names: Sequence[str]) -> dict[str, list[float]]:
    """Mean, standard deviation (of a sample), minimum and maximum of each metric over the runs."""
    values = np.array([[run.value(name) for name in names] for run in runs])
    deviation = values.std(axis=0, ddof=1) if len(runs) > 1 else np.full(len(names), np.nan)
    statistics = {"mean": values.mean(axis=0), "std": deviation, "min": values.min(axis=0), "max": values.max(axis=0)}
    return {row: of_metrics.tolist() for row, of_metrics in statistics.items()}


def _shown(value: float) -> str:
    return "undefined" if value != value else f"{value:.3f}"


def _tested(run: TestResult) -> str:
    return "a test split of its own" if run.fold is None else f"fold {run.fold}"


def _references(table: Predictions) -> list[object]:
    return table.column("reference") if table.has("reference") else table.column("id")


def _joined(tables: Sequence[Predictions]) -> Predictions:
    """The tables one after the other, with the columns that all have; ids count anew."""
    shared = [name for name in tables[0].table.column_names if all(table.has(name) for table in tables)]
    rows = pa.concat_tables([table.table.select(shared) for table in tables], promote_options="permissive")
    ids = pa.array(np.arange(rows.num_rows))
    rows = rows.set_column(rows.column_names.index("id"), "id", ids).combine_chunks()
    thresholds = {table.threshold for table in tables}
    # Runs with thresholds of their own have no common one: what they predicted counts.
    return replace(tables[0], table=rows, threshold=thresholds.pop() if len(thresholds) == 1 else 0.5)
