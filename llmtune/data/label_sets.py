"""Labels of rows that have several: a column of lists, of texts with a separator, or a column of 0 and 1 a label."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from llmtune.data.columns import label_text, missing_column
from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import InputError, truncated_repr
from llmtune.predictions.cells import spelled_value

LABELS = "labels"  # the column that is made of a column a label
SEPARATORS = (";", ",", "|")
TRUTHS = {"1": True, "true": True, "yes": True, "1.0": True, "0": False, "0.0": False, "false": False, "no": False}


def looks_like_sets(rows: Rows, column: str) -> bool:
    """Whether a column holds lists, or texts that each spell one.

    >>> looks_like_sets(Rows("f", {"y": ["[]", '["toxic"]']}), "y"), looks_like_sets(Rows("f", {"y": [1]}), "y")
    (True, False)
    """
    if column not in rows.columns:
        return False
    cells = [cell for cell in rows.cells(column) if cell is not None]
    return bool(cells) and all(isinstance(cell, list) or _is_spelled(cell) for cell in cells)


def find_joined(cells: Sequence[Any]) -> tuple[str, str] | None:
    """The first cell that joins labels which others hold alone, and what stands between them; None where none does.

    >>> find_joined(["dog", "dog; cat", "cat"]), find_joined(["a;b", "a", "c"])
    (('dog; cat', ';'), None)
    """
    labels = dict.fromkeys(cell for cell in cells if isinstance(cell, str))
    for cell in labels:
        for separator in SEPARATORS:
            parts = _split(cell, separator)
            if len(parts) > 1 and all(part in labels for part in parts):
                return cell, separator
    return None


def gather_label_sets(
    rows: Rows, column: str, *, separator: str | None = None, label_columns: Sequence[str] = ()
) -> Rows:
    """The rows with a list of labels each in `column`, every label once.

    Args:
        rows: of a source.
        column: of the lists; rows without it are returned as they are, but for `label` in the place of `labels`.
        separator: between the labels of a text; an empty text is the empty set.
        label_columns: columns of 0 and 1, one a label, that `column` is made of.

    Raises:
        InputError: a cell that is no set of labels, or neither 0 nor 1, by row; a column that is not there.
    """
    if label_columns:
        return _from_indicators(rows, column, label_columns)
    if column == LABELS and LABELS not in rows.columns and "label" in rows.columns:
        names = {LABELS: rows.class_names["label"]} if "label" in rows.class_names else {}
        columns = {**rows.columns, LABELS: rows.columns["label"]}
        rows = replace(rows, columns=columns, class_names={**rows.class_names, **names})
    if column not in rows.columns:
        return rows  # said when the columns are picked
    problems, sets = RowErrors(rows.source), []
    for row, cell in enumerate(rows.cells(column)):
        labels = _split(cell, separator) if separator else spelled_value(cell) if _is_spelled(cell) else cell
        texts = [label_text(label) for label in labels] if isinstance(labels, list) else [None]
        if None in texts:
            finding = f"no set of labels ({truncated_repr(cell)}) in column {column!r}"
            remedy = 'write a list, as ["toxic", "insult"], and [] for none; texts as toxic;insult are read with '
            problems.add(row, rows.place(row), finding, remedy=remedy + "--label_separator ';'")
        sets.append(list(dict.fromkeys(text for text in texts if text is not None)))
    problems.stop()
    if column in rows.class_names:  # ids keep their names, and with them their order
        return rows
    return replace(rows, columns={**rows.columns, column: _as_lists(sets)})


def _from_indicators(rows: Rows, column: str, label_columns: Sequence[str]) -> Rows:
    for name in label_columns:
        if not rows.has(name):
            raise InputError(missing_column(rows, name, "--label_columns"))
    problems = RowErrors(rows.source)
    sets: list[list[int]] = [[] for _ in range(len(rows))]
    for place, name in enumerate(label_columns):
        for row, cell in enumerate(rows.cells(name)):
            truth = TRUTHS.get(str(label_text(cell)).strip().lower())
            if truth is None:
                finding = f"found {truncated_repr(cell)} in column {name!r}, expected 0 or 1 (or true, false)"
                problems.add(row, rows.place(row), finding, remedy="write 1 where the row has this label, 0 where not")
            elif truth:
                sets[row].append(place)
    problems.stop()
    columns = {name: cells for name, cells in rows.columns.items() if name not in label_columns}
    named = {**rows.class_names, column: list(label_columns)}
    return replace(rows, columns={**columns, column: _as_lists(sets, pa.int64())}, class_names=named)


def _as_lists(sets: Sequence[Sequence[Any]], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(sets, pa.list_(kind or pa.string()))])


def _is_spelled(cell: Any) -> bool:
    return isinstance(cell, str) and cell.lstrip().startswith("[") and isinstance(spelled_value(cell), list)


def _split(cell: Any, separator: str) -> Any:
    """The labels of a text; a cell without one, as csv and spreadsheets write it, is the empty set."""
    if cell is None or cell != cell:
        return []
    return [part.strip() for part in cell.split(separator) if part.strip()] if isinstance(cell, str) else cell
