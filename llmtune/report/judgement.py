"""A predictions table is judged, made by a run or anywhere: its scores, the models beside it, its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from llmtune.baselines import table_baselines
from llmtune.diagnosis.context import Context, TrainingLog, diagnose
from llmtune.diagnosis.target_list import Target, read_targets
from llmtune.diagnosis.verdict import Verdict
from llmtune.errors import InputError
from llmtune.metrics import Score, score_predictions
from llmtune.metrics.core.external import OF_FUNCTION, OF_MODULE
from llmtune.metrics.core.scoring import own_names
from llmtune.predictions import Predictions
from llmtune.report.judged_table import JudgedTable
from llmtune.report.training_rows import TrainingRows, read_training_rows, with_naive_error
from llmtune.runs.folder import RunFolder
from llmtune.runs.tables import find_tables, open_table

SEED = 42  # of a table made elsewhere, as of the recipes


@dataclass(frozen=True)
class JudgementOptions:
    """What a judgement is asked beyond its table; a run's own arguments are the defaults.

    Args:
        targets: that the verdict requires, as `recall[spam]>=0.8,accuracy>=0.85`.
        train: the rows that the model was trained on: a file, a pandas DataFrame or a `datasets.Dataset`.
        text_column: its input; default text, tokens, source or question by kind.
        text_pair_column: of pairs, the second text; default text_pair.
        label_column: its class or tags; default label or tags, of several labels a row labels.
        label_separator: of several labels in one text, what is between them; of a table made elsewhere too.
        label_columns: of several labels, the columns of 0 and 1.
        group_columns: of the table, people.
        slice_columns: of the table, parts of the data.
        base: predictions of the base model or an earlier run, on the same rows: a file, a run or a table.
        metrics: additional ones, names of llmtune, modules of `evaluate`, functions.
        seed: of intervals and permutations; default the run's own, else 42.
        naive_mae: of numbers, the mean absolute error of the naive forecast on the training series, for MASE; default
            that of `train`.
    """

    targets: str | None = None
    train: Any = None
    text_column: str | None = None
    text_pair_column: str | None = None
    label_column: str | None = None
    label_separator: str | None = None
    label_columns: Sequence[str] = ()
    group_columns: Sequence[str] = ()
    slice_columns: Sequence[str] = ()
    base: str | Predictions | None = None
    metrics: Sequence[Any] = ()
    seed: int | None = None
    naive_mae: float | None = None

    def with_run(self, run: RunFolder, table: Predictions) -> "JudgementOptions":
        """What is not given, from what the run was made with; its additional metrics before those asked for.

        Only metrics of ours: a script that run.json names is run by those alone who name it themselves.
        """
        task, data = run.arguments("task"), run.arguments("data")
        own = own_names(table, task.get("metrics") or run.arguments("evaluate").get("metrics") or [])
        return replace(
            self,
            targets=self.targets or task.get("targets"),
            text_column=self.text_column or task.get("text_column"),
            text_pair_column=self.text_pair_column or task.get("text_pair_column"),
            label_column=self.label_column or task.get("label_column"),
            label_separator=self.label_separator or task.get("label_separator"),
            label_columns=self.label_columns or task.get("label_columns", ()),
            group_columns=self.group_columns or data.get("group_columns", ()),
            slice_columns=self.slice_columns or data.get("slice_columns", ()),
            metrics=[*own, *(metric for metric in self.metrics if metric not in own)],
            seed=run.settings.get("seed", SEED) if self.seed is None else self.seed,
        )


class Judgement:
    """All that is said of a table, each part computed when it is first asked for.

    Args:
        table: the predictions.
        options: what is asked.
        run: the folder that the table lies in; None for a table made elsewhere.

    Raises:
        InputError: a target, a column, a metric or a file that does not fit the table.
    """

    def __init__(
        self, table: Predictions, options: JudgementOptions | None = None, run: RunFolder | None = None
    ) -> None:
        options = options or JudgementOptions()
        self.run = run
        self.options = options = options if run is None else options.with_run(run, table)
        self.table = with_naive_error(table, options.train, options.naive_mae, options.label_column)
        self.seed = SEED if self.options.seed is None else self.options.seed
        self.targets: tuple[Target, ...] = read_targets(self.options.targets)  # a typo stops before anything is scored

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Of the table: every metric of its kind, then the additional ones, then the run's own functions."""
        scores = score_table(self.table, metrics=self.options.metrics, seed=self.seed)
        # A function in a recipe is known to that recipe alone, and a script that run.json names is not run: what they
        # left is all that can be said of them.
        left = {} if self.run is None else self.run.metrics.get(self.table.split, {})
        own = {name: score for name, score in left.items() if score.signature.startswith((OF_FUNCTION, OF_MODULE))}
        return scores | {
            name: score for name, score in own.items() if name not in scores and score.n == len(self.table)
        }

    @cached_property
    def baselines(self) -> dict[str, Predictions]:
        """Simple models on the same rows, by name: made of the table, left by its run, trained on the rows of train."""
        left = {} if self.run is None else self.run.baselines(self.table.split, self.table.positive_label)
        return {**table_baselines(self.table), **left, **self.training_rows.baselines}

    @cached_property
    def baseline_scores(self) -> dict[str, dict[str, Score]]:
        """Of the baselines, by name."""
        return {name: score_table(table, seed=self.seed) for name, table in self.baselines.items()}

    @cached_property
    def training_rows(self) -> TrainingRows:
        """What the rows of train tell; of a validation table they are not asked."""
        asked = self.options.train if self.is_final else None
        options = self.options
        return read_training_rows(
            asked,
            self.table,
            options.text_column,
            options.label_column,
            pair_column=options.text_pair_column,
            label_separator=options.label_separator,
            label_columns=options.label_columns,
        )

    @property
    def is_final(self) -> bool:
        """Whether there is a verdict: validation chose the checkpoint and the threshold, so it proves nothing."""
        return self.table.split != "validation"

    @cached_property
    def verdict(self) -> Verdict | None:
        """Of every check that the table, the run and the options allow; None of a validation table."""
        return diagnose(self.context) if self.is_final else None

    @cached_property
    def context(self) -> Context:
        """What the checks read."""
        settings: Mapping[str, Any] = {} if self.run is None else self.run.settings
        truncated = settings.get("truncated", {})
        return Context(
            self.table,
            self._validation(),
            self.scores,
            targets=self.targets,
            baselines=self.baselines,
            base=self._base(),
            training=TrainingLog() if self.run is None else self.run.training,
            examples=self.training_rows.examples,
            continuations=None if self.run is None or self.table.split != "test" else self.run.continuations,
            earlier_leakage=None if self.run is None else self.run.leakage,
            earlier_saved_model=None if self.run is None else self.run.saved_model,
            truncated={split: n for split, n in truncated.items() if isinstance(n, int)},
            group_columns=self.options.group_columns,
            slice_columns=self.options.slice_columns,
            objective=(settings.get("threshold") or {}).get("objective"),
            class_weights="none" if self.run is None else self.run.arguments("task").get("class_weights", "none"),
            seed=self.seed,
        )

    def facts(self) -> dict[str, Any]:
        """The parts as arguments of `JudgedTable`, but for its name."""
        facts: dict[str, Any] = {
            "test": self.table,
            "scores": self.scores,
            "baselines": self.baseline_scores,
            "verdict": self.verdict,
            "slice_columns": [*self.options.group_columns, *self.options.slice_columns],
        }
        return facts if self.run is None else facts | run_facts(self.run)

    def judged(self, name: str) -> JudgedTable:
        """The parts together, under the name of the run or of the table's file."""
        return JudgedTable(name, **self.facts())

    def _validation(self) -> Predictions | None:
        if self.run is None or not self.is_final or not self.run.table_path("validation").exists():
            return None
        return self.run.table("validation", self.table.positive_label)

    def _base(self) -> Predictions | None:
        """The table of the base; one made elsewhere is read as the judged table was."""
        base, table = self.options.base, self.table
        if base is None or isinstance(base, Predictions):
            return base
        path = find_tables(base, "test")[0]
        labels = () if path.suffix == ".parquet" else table.label_names
        return open_table(
            path,
            kind=table.kind,
            labels=labels,
            positive_label=table.positive_label,
            label_separator=self.options.label_separator,
        )


def run_facts(run: RunFolder) -> dict[str, Any]:
    """What `JudgedTable` holds of a run."""
    return {"run": run.settings, "adapter": run.is_adapter, "own_base": run.holds_base}


def score_table(table: Predictions, *, metrics: Sequence[Any] = (), seed: int) -> dict[str, Score]:
    """`score_predictions`, whose ValueErrors are about what the user gave.

    Raises:
        InputError: an unknown metric, or one that refuses these rows.
    """
    try:
        return score_predictions(table, metrics=metrics, seed=seed)
    except ValueError as error:
        raise InputError(str(error)) from error


def table_name(source: str | Path) -> str:
    """What a report of a run folder or of a table's file is called."""
    path = Path(source)
    return RunFolder(path).name if path.is_dir() else path.stem
