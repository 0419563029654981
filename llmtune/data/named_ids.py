"""--label_names: the names of labels that a file writes as ids, `0=ham,1=spam`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import InputError, truncated_repr
from llmtune.text.label_names import parse_number


def read_label_names(text: str) -> dict[str, str]:
    """What the file writes → the name of the class, in the order of the ids; names alone are those of 0, 1, 2, …

    Raises:
        InputError: fewer than two, one without a name, or one that is named twice.

    >>> read_label_names("0=ham,1=spam"), read_label_names("O,B-PER")
    ({'0': 'ham', '1': 'spam'}, {'0': 'O', '1': 'B-PER'})
    """
    parts = [part.strip() for part in text.split(",")]
    pairs = [part.split("=", 1) if "=" in part else [str(place), part] for place, part in enumerate(parts)]
    names = {label.strip(): name.strip() for label, name in pairs}
    if len(names) < 2 or len(names) < len(pairs) or "" in names or "" in names.values():
        raise InputError(
            f"--label_names {text!r}: expected two or more labels with their names, each once, as 0=ham,1=spam, or the "
            "names of 0, 1, 2, … as ham,spam"
        )
    if len(set(names.values())) < len(names):
        raise InputError(f"--label_names {text!r}: two labels have the same name; give each class its own")
    return names


def name_labels(rows: Rows, column: str, names: Mapping[str, str]) -> Rows:
    """The rows, whose labels (or lists of tags) are named; what is spelled as a name already stays it.

    Args:
        rows: of a source.
        column: of the labels; rows without it are returned as they are.
        names: of `read_label_names`.

    Raises:
        InputError: labels that have no name, by row.
    """
    if column not in rows.columns:
        return rows  # said when the columns are picked
    ids = {name: place for place, name in enumerate(names.values())}
    ids |= {label: place for place, label in enumerate(names)}
    problems = RowErrors(rows.source)
    cells = rows.cells(column)
    numbered = [_to_ids(cell, ids) for cell in cells]
    for row, (cell, number) in enumerate(zip(cells, numbered, strict=True)):
        for label, place in zip(*([cell], [number]) if not isinstance(cell, list) else (cell, number), strict=True):
            if place is None and label not in (None, ""):
                finding = f"label {truncated_repr(label)} in column {column!r} has no name in --label_names"
                problems.add(row, rows.place(row), finding, remedy=f"name it too (named are {', '.join(names)})")
    problems.stop()
    return replace(
        rows, columns={**rows.columns, column: numbered}, class_names={**rows.class_names, column: [*names.values()]}
    )


def _to_ids(cell: Any, ids: Mapping[str, int]) -> Any:
    """The place of a label, or of each of a list; 1, 1.0 and "1" are the same, None where it has no name."""
    if isinstance(cell, list):
        return [_to_ids(item, ids) for item in cell]
    number = parse_number(cell)
    text = str(int(number)) if number is not None and number.is_integer() else str(cell).strip()
    return ids.get(text)
