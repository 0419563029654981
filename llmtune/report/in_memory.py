"""Predictions that are in memory: lists, arrays, a pandas DataFrame, a `datasets.Dataset`; checked as a file is."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from llmtune.data.frames import frame_columns, is_frame, series_cells
from llmtune.errors import InputError
from llmtune.predictions import Predictions
from llmtune.predictions.files import columns_to_arrow, to_label
from llmtune.predictions.label_spelling import sort_labels
from llmtune.predictions.table import predictions_from_arrow
from llmtune.runs.tables import check_labels_argument, check_separator, open_table, with_order, with_positive_label


def open_predictions(
    source: Any,
    *,
    kind: str | None = None,
    labels: Sequence[Any] = (),
    positive_label: Any = None,
    label_separator: str | None = None,
    ordinal: bool = False,
    where: str = "data",
) -> Predictions:
    """A predictions table from wherever it is.

    Args:
        source: a path (.parquet, .csv, .tsv, .jsonl), a pandas DataFrame, a `datasets.Dataset`, a pyarrow Table, or
            column name → values.
        kind: of the table; one of ours says it itself.
        labels: its label names in the order of `probabilities`; default the values seen.
        positive_label: of two, the one that precision, recall and F1 are about; default spam, yes …, or the rarer.
        label_separator: of several labels in one text, what is between them.
        ordinal: whether its classes have an order: of numbers their size, else that of `labels`.
        where: what the source is called in messages.

    Raises:
        InputError: none of these, or what `read_predictions` refuses in a file.
    """
    # Class 1 of scikit-learn is "1" in a table; an empty name is reported with the others.
    labels = [to_label(label) or "" for label in as_list("labels", labels)]
    positive_label = None if positive_label is None else to_label(positive_label) or ""
    if isinstance(source, Predictions):
        table = with_positive_label(source, where, positive_label)
        return with_order(table, where, labels) if ordinal else table
    if isinstance(source, (str, Path)):
        if Path(source).is_dir():
            raise InputError(f"{source}: is a folder, expected a table; a run is opened by Report.from_run")
        return open_table(
            Path(source),
            kind=kind,
            labels=labels,
            positive_label=positive_label,
            label_separator=label_separator,
            ordinal=ordinal,
        )
    check_labels_argument(labels)
    check_separator(label_separator)
    columns = _arrow_table(source, kind, where, label_separator)
    predictions = predictions_from_arrow(columns, where, kind=kind, label_names=labels)
    predictions = with_positive_label(predictions, where, positive_label)
    return with_order(predictions, where, labels) if ordinal else predictions


def _arrow_table(source: Any, kind: str | None, where: str, separator: str | None) -> pa.Table:
    if isinstance(source, pa.Table):
        return source
    if is_frame(source):
        return columns_to_arrow(frame_columns(source, where), kind, where, label_separator=separator)
    if isinstance(source, Mapping):
        return columns_to_arrow(equal_columns(source), kind, where, label_separator=separator)
    if "datasets" in sys.modules and isinstance(source, sys.modules["datasets"].Dataset):
        from llmtune.data.in_memory import memory_rows

        rows = memory_rows(source, where)
        cells = {name: rows.cells(name) for name in rows.columns}
        return columns_to_arrow(cells, kind, where, label_separator=separator)
    raise InputError(
        f"{where}: found {type(source).__name__}, expected a path, a pandas DataFrame, a datasets.Dataset or a dict of "
        "columns"
    )


def class_probabilities(
    values: Any, seen: Sequence[Any], labels: Sequence[Any], positive_label: Any
) -> tuple[Any, Sequence[Any]]:
    """Probabilities as libraries give them, as (n, c) columns in the order of the labels; those labels.

    Args:
        values: (n, c) in the order of `labels`; a DataFrame with a column for each class, in any order; or, of two
            classes, (n,) or (n, 1): of the positive label alone.
        seen: all references and predictions.
        labels: the c class names; empty for the values seen.
        positive_label: of two; default the last.

    Raises:
        InputError: a DataFrame whose columns are not the labels.
    """
    if values is None:
        return None, labels
    if is_frame(values):
        columns = {to_label(name): cells for name, cells in frame_columns(values, "probabilities").items()}
        names = [to_label(label) for label in labels] if len(labels) else list(sort_labels(map(str, columns)))
        if set(names) != set(columns):
            named = ", ".join(map(str, columns))
            raise InputError(
                f"probabilities: the columns are {named}, the labels {', '.join(map(str, names))}; name each column "
                "after its class"
            )
        return [list(row) for row in zip(*(columns[name] for name in names), strict=True)], names
    cells = as_list("probabilities", values)
    single = [cell[0] if isinstance(cell, list) and len(cell) == 1 else cell for cell in cells]
    if not all(cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool)) for cell in single):
        return cells, labels
    names = [to_label(label) for label in labels] if len(labels) else sorted_seen(seen)
    if len(names) != 2:  # which class they are of is not known
        return cells, labels
    turned = positive_label is not None and to_label(positive_label) == names[0]
    pairs = [None if cell is None else [cell, 1 - cell] if turned else [1 - cell, cell] for cell in single]
    return pairs, labels


def label_lists(values: Any, labels: Sequence[Any]) -> Any:
    """An array (n, c) of 0 and 1, as scikit-learn has several labels a row, as lists of labels; all else as it is.

    Raises:
        InputError: it has not a column for each of `labels`.
    """
    if getattr(values, "ndim", 1) != 2:
        return values
    array = np.asarray(values)
    if array.shape[1] != len(labels):
        raise InputError(
            f"references or predictions: an array of shape {array.shape}, expected a column for each of the "
            f"{len(labels)} labels ({', '.join(map(str, labels)) or 'none given'}); name them with labels=[…]"
        )
    return [[label for label, is_there in zip(labels, row, strict=True) if is_there] for row in array.tolist()]


def sorted_seen(cells: Sequence[Any]) -> list[str]:
    """The classes that occur, in the order that a table without label names has."""
    return list(sort_labels({label for label in map(to_label, cells) if label is not None}))


def equal_columns(columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The columns as lists of Python values, None columns left out.

    Raises:
        InputError: a value that is no column, or one of another length than the first.
    """
    lists = {name: as_list(name, values) for name, values in columns.items() if values is not None}
    first = next(iter(lists), "")
    for name, values in lists.items():
        if len(values) != len(lists[first]):
            raise InputError(
                f"{name}: {len(values):,} values, but {first} has {len(lists[first]):,}; give one for each row, in "
                "the same order"
            )
    return lists


def as_list(name: str, values: Any) -> list[Any]:
    """A list, tuple, array, tensor, pandas Series or Arrow column as a list of Python values.

    Raises:
        InputError: it is none of these.
    """
    if isinstance(values, (str, bytes, Mapping)) or is_frame(values) or not isinstance(values, Iterable):
        raise InputError(
            f"{name}: found {type(values).__name__}, expected a list, an array or a Series with one value for each row"
        )
    if type(values).__module__.partition(".")[0] == "pandas":
        return series_cells(values)
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return list(values.to_pylist())
    cells = values.tolist() if hasattr(values, "tolist") else list(values)
    return [cell.tolist() if hasattr(cell, "tolist") else cell for cell in cells]
