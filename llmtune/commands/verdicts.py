"""The verdict of `llmtune report`, for a run or for predictions made anywhere."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmtune.baselines import gazetteer, majority, table_baselines, tfidf_logistic_regression
from llmtune.commands.tables import find_tables, open_table, run_settings
from llmtune.data.files import read_rows
from llmtune.data.rows import Rows
from llmtune.diagnosis.check import Check
from llmtune.diagnosis.context import Context, TrainingLog, diagnose
from llmtune.diagnosis.leakage import Examples
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.verdict import Verdict
from llmtune.errors import InputError, truncated_repr
from llmtune.metrics import Score
from llmtune.predictions import Predictions
from llmtune.tasks.token_classification.rows import detect_tag_scheme
from llmtune.text.tag_schemes import parse_tag, to_iob2


@dataclass(frozen=True)
class VerdictOptions:
    """What a report is asked beyond its table; a run's own arguments stand in for what is not given.

    Args:
        targets: what is demanded.
        train_file: the rows that the model was trained on.
        text_column: its input; default text, tokens, source or question by kind.
        label_column: its class or tags; default label or tags.
        group_columns: of the table, people.
        slice_columns: of the table, parts of the data.
        base: predictions of the base model or an earlier run, on the same rows.
    """

    targets: str | None = None
    train_file: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    group_columns: Sequence[str] = ()
    slice_columns: Sequence[str] = ()
    base: str | None = None

    def with_run(self, arguments: Mapping[str, Any]) -> "VerdictOptions":
        """What is not given, from the arguments that a run was made with."""
        task, data = arguments.get("task", {}), arguments.get("data", {})
        return replace(
            self,
            targets=self.targets or task.get("targets"),
            text_column=self.text_column or task.get("text_column"),
            label_column=self.label_column or task.get("label_column"),
            group_columns=self.group_columns or data.get("group_columns", ()),
            slice_columns=self.slice_columns or data.get("slice_columns", ()),
        )


@dataclass(frozen=True)
class Beside:
    """What a table is judged beside.

    Args:
        baselines: simple models on the same rows, by name: made of the table, kept by its run, trained on --train_file.
        examples: by split, the rows as the check leakage reads them; empty without --train_file.
    """

    baselines: Mapping[str, Predictions]
    examples: Mapping[str, Examples]


def read_beside(source: str, table: Predictions, options: VerdictOptions) -> Beside:
    """Makes, reads and trains the simple models of a table.

    Raises:
        InputError: a file or column that does not fit the table.
    """
    options = options.with_run(run_settings(source).get("arguments", {}))
    examples, trained = _training_rows(table, options)
    return Beside({**table_baselines(table), **kept_baselines(source, table), **trained}, examples)


def verdict_of(
    source: str,
    table: Predictions,
    scores: Mapping[str, Score],
    options: VerdictOptions,
    beside: Beside,
    *,
    seed: int = 42,
) -> Verdict:
    """Every check that the table, the run around it and the options allow.

    Raises:
        InputError: a target, a column or a file that does not fit the table.
    """
    settings = run_settings(source)
    options = options.with_run(settings.get("arguments", {}))
    threshold = settings.get("threshold") or {}
    return diagnose(
        Context(
            table,
            _validation(source, table),
            scores,
            demands=read_targets(options.targets),
            baselines=beside.baselines,
            base=None if options.base is None else _base(options.base, table),
            training=TrainingLog.from_run(settings.get("training", {})),
            examples=beside.examples,
            earlier_leakage=earlier_leakage(source),
            truncated={split: n for split, n in settings.get("truncated", {}).items() if isinstance(n, int)},
            group_columns=options.group_columns,
            slice_columns=options.slice_columns,
            objective=threshold.get("objective"),
            seed=seed,
        )
    )


def _training_rows(table: Predictions, options: VerdictOptions) -> tuple[dict[str, Examples], dict[str, Predictions]]:
    """What `leakage` reads, and for classes and entities the simple models trained on these rows."""
    if options.train_file is None:
        return {}, {}
    rows = read_rows(options.train_file)
    column = options.text_column or table.kind.input_column
    if column not in rows.columns:
        raise InputError(
            f"--train_file {options.train_file}: no column {column!r}; found {', '.join(rows.columns)}; name it by "
            "--text_column"
        )
    texts = rows.cells(column)
    answer = options.label_column or table.kind.answer_column
    if options.label_column is not None and answer not in rows.columns:
        raise InputError(
            f"--train_file {options.train_file}: no column {answer!r}; found {', '.join(rows.columns)}; name the class "
            "by --label_column"
        )
    answers = None if answer is None or answer not in rows.columns else rows.cells(answer)
    labels = None if answers is None or not table.kind.single_label else [str(label) for label in answers]
    examples = {"train": Examples(texts, labels)}
    carried = next((name for name in (table.kind.input_column, column) if table.has(name)), None)
    if carried is not None:
        of_test = table.column("reference") if table.kind.single_label else None
        examples["test"] = Examples(table.column(carried), of_test)
    if table.kind.tagged and answers is not None and table.has("tokens"):
        return examples, {"names known from train": gazetteer(texts, _iob2(rows, str(answer)), table)}
    if labels is None:
        return examples, {}
    absent = [name for name in table.label_names if name not in labels]
    if absent:
        raise InputError(
            f"--train_file {options.train_file}: no row of class {absent[0]!r} in column {answer!r}; it has "
            f"{', '.join(sorted(set(labels)))[:200]}; give the rows that the model was trained on"
        )
    simple = {"majority": majority(labels, table)}
    if carried is not None:
        texts_of_test = table.column(carried)
        simple["TF-IDF + logistic regression"] = tfidf_logistic_regression(texts, labels, texts_of_test, table)
    return examples, simple


def _iob2(rows: Rows, column: str) -> list[list[str]]:
    tags = rows.cells(column)
    for row, of_row in enumerate(tags):
        if not isinstance(of_row, list) or any(parse_tag(tag) is None for tag in of_row):
            raise InputError(
                f"--train_file {rows.source}: column {column!r}, {rows.place(row)}: {truncated_repr(of_row)} is no "
                "list of tags; give one tag a word, as B-PER, I-PER, O, or name the column by --label_column"
            )
    detect_tag_scheme(rows, tags, column)
    return [to_iob2(of_row) for of_row in tags]


def _base(source: str, table: Predictions) -> Predictions:
    """The table of the base; one made elsewhere is read as `table` is."""
    path = find_tables(source, "test")[0]
    labels = ",".join(table.label_names) if table.label_names and path.suffix != ".parquet" else None
    return open_table(path, kind=table.kind, labels=labels, positive_label=table.positive_label)


def _validation(source: str, table: Predictions) -> Predictions | None:
    path = Path(source) / "predictions" / "validation.parquet"
    if table.split == "validation" or not path.exists():
        return None
    return open_table(path, kind=None, labels=None, positive_label=table.positive_label)


def kept_baselines(source: str, table: Predictions) -> dict[str, Predictions]:
    """What a run's folder keeps to be compared with, on the same split."""
    paths = sorted((Path(source) / "predictions" / "baselines").glob("*.parquet"))
    found = [
        (path.stem, open_table(path, kind=None, labels=None, positive_label=table.positive_label)) for path in paths
    ]
    return {str(of.settings.get("name", stem)): of for stem, of in found if of.split == table.split}


def earlier_leakage(source: str) -> Check | None:
    """What a run found of its own rows, which may be gone by now."""
    path = Path(source) / "verdict.json"
    if not path.exists():
        return None
    checks = json.loads(path.read_text(encoding="utf-8"))["checks"]
    return next((Check(**check) for check in checks if check["check"] == "leakage"), None)
