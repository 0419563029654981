"""A label column that holds measurements: no classes, though every number may be read as one."""

from collections.abc import Sequence
from typing import Any

from llmtune.data.rows import Rows
from llmtune.errors import InputError
from llmtune.text.label_names import parse_decimal_comma, parse_number

MOST_CLASSES = 20  # different numbers, not all of them whole: stars in halves are 10, a score is hundreds


def count_measurements(cells: Sequence[Any]) -> int | None:
    """How many different numbers there are, where the cells are numbers of a scale; None where they may be classes.

    >>> count_measurements([place / 4 for place in range(30)]), count_measurements(["4.5", "spam"])
    (30, None)
    >>> count_measurements([f"{place},5" for place in range(30)])
    30
    """
    numbers = {read_number(cell) for cell in cells if cell is not None and cell != ""}
    if None in numbers or len(numbers) <= MOST_CLASSES:
        return None
    return None if all(float(number).is_integer() for number in numbers if number is not None) else len(numbers)


def read_number(cell: Any) -> float | None:
    """The number that a cell is meant as, with a decimal point or a decimal comma."""
    number = parse_number(cell)
    return parse_decimal_comma(cell) if number is None else number


def refuse_measurements(rows: Rows, cells: Sequence[Any], column: str) -> None:
    """Raises `InputError` in one line where the labels are numbers of a scale, before every row is called wrong."""
    count = count_measurements(cells)
    if count is None:
        return
    first = next(cell for cell in cells if cell is not None and cell != "")
    raise InputError(
        f"{rows.source}: column {column!r} holds {count:,} different numbers in {len(rows):,} rows, such as {first}: "
        "this is regression, and a classifier has classes; train recipes/text_regression.py, name another column with "
        "--label_column, or write a class for each range of numbers"
    )
