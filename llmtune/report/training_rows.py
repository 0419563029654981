"""The rows that a model was trained on, beside a predictions table: for the check `leakage`, and simple models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from llmtune.arguments.ranges import check_number
from llmtune.baselines import (
    gazetteer,
    majority,
    majority_set,
    mean_value,
    tfidf_logistic_regression,
    tfidf_one_vs_rest,
    tfidf_ridge,
)
from llmtune.data.rows import Rows
from llmtune.data.tagged_rows import detect_tag_scheme
from llmtune.diagnosis.leakage import Examples
from llmtune.errors import InputError, truncated_repr
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import Kind, scores_texts
from llmtune.text.label_names import parse_number
from llmtune.text.tag_schemes import parse_tag, to_iob2
from llmtune.text.text_pairs import join_pairs


@dataclass(frozen=True)
class TrainingRows:
    """What the rows of train tell of a table.

    Args:
        examples: by split, the rows as the check leakage reads them; empty without rows of train.
        baselines: simple models trained on them, by name, on the table's rows.
    """

    examples: Mapping[str, Examples] = field(default_factory=dict)
    baselines: Mapping[str, Predictions] = field(default_factory=dict)


def read_training_rows(
    train: Any,
    table: Predictions,
    text_column: str | None = None,
    label_column: str | None = None,
    *,
    pair_column: str | None = None,
    label_separator: str | None = None,
    label_columns: Sequence[str] = (),
) -> TrainingRows:
    """Reads the rows, and trains what they allow.

    Args:
        train: a file, or rows in memory; None for none.
        table: the predictions.
        text_column: the rows' input; default by kind.
        label_column: their class or tags; default label or tags, of several labels a row labels.
        pair_column: of a table of pairs, their second text; default text_pair.
        label_separator: of several labels in one text, what is between them.
        label_columns: of several labels, the columns of 0 and 1.

    Raises:
        InputError: a column that is not there, tags that are none, or a class of the table that train has not.
    """
    if train is None:
        return TrainingRows()
    from llmtune.data.in_memory import open_rows  # brings datasets, which takes seconds

    rows = open_rows(train, "--train_file")
    where = f"--train_file {rows.source}" if isinstance(train, str) else rows.source
    if is_series(table) and text_column is None and table.kind.input_column not in rows.columns:
        return TrainingRows()  # a series without texts: its naive error is all that it tells
    texts = _column(rows, text_column or table.kind.input_column, "it by --text_column", where)
    carried = next((name for name in (table.kind.input_column, text_column) if name and table.has(name)), None)
    halves: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    inputs = None if carried is None else table.column(carried)
    if inputs is not None and table.has("text_pair"):
        pairs = _column(rows, pair_column or "text_pair", "the second text by --text_pair_column", where)
        halves = {"text": texts, "text_pair": pairs}, {"text": inputs, "text_pair": table.column("text_pair")}
        texts, inputs = (join_pairs(*half.values()) for half in halves)
    answer = label_column or table.kind.answer_column
    if table.kind.multi_label:
        from llmtune.data.label_sets import LABELS, gather_label_sets

        answer = LABELS if label_columns else str(answer)
        rows = gather_label_sets(rows, answer, separator=label_separator, label_columns=label_columns)
    if label_column is None and answer not in rows.columns:
        answer = None
    answers = None if answer is None else _column(rows, answer, "the class by --label_column", where)
    labels = None if answers is None else _labels(answers, table.kind)
    examples = {"train": Examples(texts, labels, halves=halves[0])}
    if inputs is not None:
        reference = _labels(table.column("reference"), table.kind)
        examples["test"] = Examples(inputs, reference, halves=halves[1], row_ids=table.column("id"))
    if not answers:
        return TrainingRows(examples)
    return TrainingRows(examples, _baselines(rows, texts, str(answer), answers, table, inputs, where))


def _labels(cells: Sequence[Any], kind: Kind) -> list[str] | None:
    """The label of each row, several of a row as one; None of kinds without."""
    if kind.multi_label:
        return [", ".join(sorted(names)) for names in cells]
    return [str(label) for label in cells] if kind.single_label else None


def _baselines(
    rows: Rows,
    texts: list[Any],
    column: str,
    answers: list[Any],
    table: Predictions,
    inputs: list[Any] | None,
    where: str,
) -> dict[str, Predictions]:
    """The simple models that texts and answers of train, and the inputs of the table, allow."""
    kind = table.kind
    if kind.tagged and table.has("tokens"):
        return {"names known from train": gazetteer(texts, _iob2(rows, answers, column, where), table)}
    if scores_texts(table) and inputs is not None:
        numbers = _finite_numbers(rows, answers, column, where)
        return {"mean": mean_value(table, numbers), "TF-IDF + ridge": tfidf_ridge(texts, numbers, inputs, table)}
    regression = "TF-IDF + logistic regression"
    if kind.multi_label:
        _check_classes([label for labels in answers for label in labels], table, column, where)
        indicators = np.array([[name in labels for name in table.label_names] for labels in answers])
        simple = {"majority set": majority_set(indicators, table)}
        return simple if inputs is None else {**simple, regression: tfidf_one_vs_rest(texts, indicators, inputs, table)}
    if not kind.single_label:
        return {}
    labels = [str(label) for label in answers]
    _check_classes(labels, table, column, where)
    simple = {"majority": majority(labels, table)}
    return simple if inputs is None else {**simple, regression: tfidf_logistic_regression(texts, labels, inputs, table)}


def is_series(table: Predictions) -> bool:
    """Whether a table is scored by MASE, which asks how hard the training series is."""
    return "mase" in table.kind.metrics and not scores_texts(table)


def with_naive_error(
    table: Predictions, train: Any, naive_mae: float | None = None, value_column: str | None = None
) -> Predictions:
    """The table, its settings holding the mean absolute error of the naive forecast of the training series, for MASE.

    The naive forecast repeats the value before (Hyndman and Koehler 2006), in the order of the rows.

    Args:
        table: the predictions.
        train: the training series, a file or rows in memory; None for none.
        naive_mae: the error itself, in the unit of the values.
        value_column: of the series; default reference.

    Raises:
        InputError: an error below 0, a table without MASE, a column that is not there, or a value that is no number.
    """
    if naive_mae is not None:
        if not is_series(table):
            raise InputError(f"--naive_mae {naive_mae:g}: a {table.kind} table has no MASE; leave it out")
        check_number("naive_mae", naive_mae)
        return replace(table, settings={**table.settings, "naive_mae": naive_mae})
    if train is None or not is_series(table) or "naive_mae" in table.settings:
        return table
    from llmtune.data.in_memory import open_rows

    rows = open_rows(train, "--train_file")
    where = f"--train_file {rows.source}" if isinstance(train, str) else rows.source
    name = value_column or "reference"
    series: list[float] = []
    for row, cell in enumerate(_column(rows, name, "the series by --label_column, or give --naive_mae", where)):
        try:
            series.append(float(cell))
        except (TypeError, ValueError):
            raise InputError(
                f"{where} {rows.place(row)}: column {name!r} holds {truncated_repr(cell)}, expected a number of the "
                "training series; mend it, or give --naive_mae"
            ) from None
    if len(series) < 2 or not np.isfinite(series).all():
        raise InputError(
            f"{where}: {len(series):,} values in column {name!r}, expected 2 or more, all finite; give --naive_mae"
        )
    return replace(table, settings={**table.settings, "naive_mae": float(np.abs(np.diff(series)).mean())})


def _column(rows: Rows, name: str, remedy: str, where: str) -> list[Any]:
    if name not in rows.columns:
        raise InputError(f"{where}: no column {name!r}; found {', '.join(rows.columns)}; name {remedy}")
    return rows.cells(name)


def _finite_numbers(rows: Rows, answers: Sequence[Any], column: str, where: str) -> list[float]:
    numbers: list[float] = []
    for row, cell in enumerate(answers):
        number = parse_number(cell)
        if number is None:
            raise InputError(
                f"{where}: column {column!r}, {rows.place(row)}: {truncated_repr(cell)} is no finite number; mend it, "
                "or name the column of the numbers by --label_column"
            )
        numbers.append(number)
    return numbers


def _check_classes(labels: Sequence[str], table: Predictions, column: str, where: str) -> None:
    present = set(labels)
    absent = [name for name in table.label_names if name not in present]
    if absent:
        raise InputError(
            f"{where}: no row of class {absent[0]!r} in column {column!r}; it has "
            f"{', '.join(sorted(present))[:200]}; give the rows that the model was trained on"
        )


def _iob2(rows: Rows, sentences: Sequence[Any], column: str, where: str) -> list[list[str]]:
    for row, tags in enumerate(sentences):
        if not isinstance(tags, list) or any(parse_tag(tag) is None for tag in tags):
            raise InputError(
                f"{where}: column {column!r}, {rows.place(row)}: {truncated_repr(tags)} is no "
                "list of tags; give one tag a word, as B-PER, I-PER, O, or name the column by --label_column"
            )
    detect_tag_scheme(rows, sentences, column)
    return [to_iob2(tags) for tags in sentences]
