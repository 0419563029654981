"""Picks the columns a task asked for out of the rows, and checks every text and label in them."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from llmtune.arguments import DataArguments
from llmtune.data.number_labels import refuse_measurements
from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import InputError, truncated_repr
from llmtune.text.delimited import other_separators
from llmtune.text.label_names import is_positional, parse_number
from llmtune.text.normalize import INVISIBLE

# What the predictions table holds beside the carried columns; one of these names would be lost there.
OWN_COLUMNS = ("id", "reference", "prediction", "probabilities", "length", "raw_prediction", "probability")

LOOKED_AT, WORDS_OF_A_TEXT = 200, 3  # rows; words of a cell on average: fewer are names and labels


def pick_columns(rows: Rows, *, columns: Mapping[str, str], data: DataArguments) -> dict[str, list[Any]]:
    """Canonical name → cells, then the carried columns under their own names. Raises `InputError` on a missing one."""
    # One flag for the label of a row and for its labels.
    flags = {name: f"--{'label' if name == 'labels' else name}_column" for name in columns}
    wanted = {name: (user_name, flags[name]) for name, user_name in columns.items()}
    for flag, names in (
        ("--group_columns", data.group_columns),
        ("--slice_columns", data.slice_columns),
        ("--split_group_column", [data.split_group_column] if data.split_group_column else []),
    ):
        for name in names:
            if columns.get(name, name) != name:
                raise InputError(
                    f"{flag} {name}: the task already has a column {name!r}, read from {columns[name]!r}; "
                    f"rename the column {name!r} in {rows.source}"
                )
            if name in OWN_COLUMNS and flag != "--split_group_column":
                raise InputError(
                    f"{flag} {name}: the predictions table has a column {name!r} of its own; rename the column in "
                    f"{rows.source}"
                )
            wanted.setdefault(name, (name, flag))
    if columns.get("text_pair", "") == columns.get("text"):
        raise InputError(
            f"--text_pair_column {columns['text']}: is the column of the first text too, expected another one; name "
            "the column of the second text"
        )
    for user_name, flag in wanted.values():
        if not rows.has(user_name):
            raise InputError(missing_column(rows, user_name, flag, taken=set(columns.values())))
    return {name: rows.cells(user_name) for name, (user_name, _) in wanted.items()}


def unread_texts(rows: Rows, read: Sequence[str]) -> tuple[str, ...]:
    """Columns that hold running text, judged by their first rows, and are not among those that are read.

    >>> unread_texts(Rows("f", {"premise": ["a man sleeps"], "hypothesis": ["he is awake"], "nr": ["7"]}), ["premise"])
    ('hypothesis',)
    """
    heads = {name: column[:LOOKED_AT] for name, column in rows.columns.items() if name not in read}
    cells = {
        name: head.to_pylist() if isinstance(head, pa.ChunkedArray) else list(head) for name, head in heads.items()
    }
    texts = {name: [cell for cell in column if isinstance(cell, str)] for name, column in cells.items()}
    return tuple(
        name
        for name, column in texts.items()
        if column and sum(len(text.split()) for text in column) >= WORDS_OF_A_TEXT * len(cells[name])
    )


def check_cells(
    rows: Rows,
    cells: Mapping[str, list[Any]],
    *,
    columns: Mapping[str, str],
    text_columns: Sequence[str],
    label_column: str | None,
    split_group_column: str | None,
) -> dict[str, list[Any]]:
    """The cells with labels as text. Raises `InputError` on rows with no text, no label, or a label of another type."""
    problems = RowErrors(rows.source)
    checked = dict(cells)
    for name in text_columns:
        for row, cell in enumerate(cells[name]):
            finding = _text_finding(cell)
            if finding:
                remedy = f"write the text in column {columns[name]!r}, or delete the row"
                problems.add(row, rows.place(row), f"{finding} in column {columns[name]!r}", remedy=remedy)
    if label_column:
        refuse_measurements(rows, cells[label_column], columns[label_column])
        labels = [label_text(cell) for cell in cells[label_column]]
        for row, label in enumerate(labels):
            if label is None:
                _add_label_problem(problems, rows, row, cells[label_column][row], columns[label_column])
        checked[label_column] = labels
    if split_group_column:
        for row, cell in enumerate(cells[split_group_column]):
            if cell is None or cell != cell or cell == "":  # NaN is pandas' null
                remedy = "fill it, or leave --split_group_column out"
                problems.add(row, rows.place(row), f"no value in column {split_group_column!r}", remedy=remedy)
            elif isinstance(cell, list | dict):
                finding = f"found {truncated_repr(cell)} in column {split_group_column!r}, expected one text or number"
                problems.add(row, rows.place(row), finding, remedy="give each row one group")
    problems.stop()
    return checked


def label_text(cell: Any) -> str | None:
    """The label as text: 1, 1.0 and "1" are "1", True is "True"; None for no label, or one of another type.

    >>> [label_text(cell) for cell in ("spam", 1, 1.0, True, 0.5, None, " ")]
    ['spam', '1', '1', 'True', None, None, None]
    """
    if isinstance(cell, str):
        return cell if cell.strip() else None
    if isinstance(cell, bool | int):
        return str(cell)
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return None


def find_label_names(rows: Rows, labels: Sequence[str] | Sequence[Sequence[str]], label_column: str) -> tuple[str, ...]:
    """The classes of train: in the order of their ids where the source has ids, else numbers by size, else sorted."""
    found = set(each_label(labels))
    if len(found) < 2 and not all(isinstance(label, str) for label in labels):
        raise InputError(
            f"{rows.source}: column {label_column!r} has {len(found)} label in all {len(labels):,} rows "
            f"({', '.join(found) or 'every set is empty'}), expected at least two; for one label, yes or no, use "
            "--problem_type single_label_classification"
        )
    if len(found) < 2:
        raise InputError(
            f"{rows.source}: column {label_column!r} has the one class {labels[0]!r} in all {len(labels):,} rows, "
            f"expected at least two; add rows of another class, or name another column with --label_column"
        )
    declared = [name for name in rows.class_names.get(label_column, ()) if name in found]
    if len(declared) == len(found):
        return tuple(declared)
    numbers = {label: parse_number(label) for label in found}
    if None not in numbers.values():
        return tuple(sorted(found, key=lambda label: (numbers[label], label)))
    return tuple(sorted(found))


def check_labels(
    rows: Rows,
    labels: Sequence[str] | Sequence[Sequence[str]],
    label_names: Sequence[str],
    *,
    label_column: str,
    known_to: str = "train",
) -> None:
    """Raises `InputError` on rows with a label that is not among `label_names`, the classes of `known_to`."""
    unknown = {label: closest(label, label_names) for label in set(each_label(labels)) if label not in label_names}
    problems = RowErrors(rows.source)
    for row, own in enumerate(labels):
        for label in {own} & unknown.keys() if isinstance(own, str) else unknown.keys() & set(own):
            finding = f"label {truncated_repr(label)} in column {label_column!r} "
            finding += f"is not one of {known_to}'s {list(label_names)}"
            nearest = unknown[label]
            if nearest:
                finding += f", did you mean {nearest!r}?"
                remedy = "mend the label"
            elif is_positional(label_names):
                remedy = "its config.json names no classes: write their names there, in id2label and label2id"
            else:
                remedy = "mend the label, or train on rows of that class too"
            problems.add(row, rows.place(row), finding, remedy=remedy)
    problems.stop()


def each_label(labels: Sequence[str] | Sequence[Sequence[str]]) -> list[str]:
    """All labels of rows with one each, or with a set each.

    >>> each_label(["spam", "ham"]), each_label([["toxic", "insult"], []])
    (['spam', 'ham'], ['toxic', 'insult'])
    """
    return [label for own in labels for label in ([own] if isinstance(own, str) else own)]


def closest(word: str, choices: Sequence[str]) -> str | None:
    """The choice that `word` is probably a slip of, if any: an equal number, up to case and space, then by likeness."""
    folded = {choice.strip().casefold(): choice for choice in choices}
    number = parse_number(word)
    equal = [choice for choice in choices if number is not None and parse_number(choice) == number]
    near = equal or [folded[name] for name in difflib.get_close_matches(word.strip().casefold(), folded, n=1)]
    return near[0] if near else None


def missing_column(rows: Rows, name: str, flag: str, taken: Collection[str] = ()) -> str:
    """The message on a column that is not there, of the flag that names it; `taken` are those that others name."""
    found = list(rows.columns)
    message = f"{rows.source}: no column {name!r} ({flag}); columns found: {_shown_names(found)}"
    separators = other_separators(found)
    if separators:
        return f"{message}: the columns seem separated by {separators}; .csv needs commas, .tsv tabs"
    nearest = closest(name, [column for column in found if column not in taken])
    if nearest:
        return f"{message}; did you mean {flag} {nearest!r}?"
    header = ", or, if that is a row, write the names of the columns above it" if rows.lines else ""
    return f"{message}; name one of them with {flag}{header}"


def _shown_names(names: Sequence[str]) -> str:
    """The names, each cut to fit a message: without a header, a text may stand in a name's place."""
    return "[" + ", ".join(map(truncated_repr, names)) + "]"


def empty_text(cell: Any) -> str | None:
    """What a cell holds in the place of text; None of one that holds something.

    >>> empty_text("  "), empty_text(None), empty_text("words")
    ("no text ('  ')", 'no text (null)', None)
    """
    if isinstance(cell, str):
        return None if cell.strip() and cell.strip().strip(INVISIBLE) else f"no text ({truncated_repr(cell)})"
    if cell is None or cell == []:
        return f"no text ({'null' if cell is None else 'an empty list'})"
    return None


def _text_finding(cell: Any) -> str | None:
    if empty := empty_text(cell):
        return empty
    if isinstance(cell, str):
        return None
    if isinstance(cell, list) and all(isinstance(item, str) for item in cell):
        return None
    return f"found {truncated_repr(cell)}, expected text,"


def _add_label_problem(problems: RowErrors, rows: Rows, row: int, cell: Any, column: str) -> None:
    missing = cell is None or cell != cell or isinstance(cell, str)  # NaN is pandas' null
    finding = (
        f"no label ({truncated_repr(cell)})"
        if missing
        else f"label {truncated_repr(cell)} is not text or a whole number"
    )
    remedy = f"write the class in column {column!r}" if missing else "name another column with --label_column"
    if isinstance(cell, list):
        remedy += ", or for several labels a text train recipes/text_classification.py"
    problems.add(row, rows.place(row), f"{finding} in column {column!r}", remedy=remedy)
