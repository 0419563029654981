"""A label column that holds measurements: no classes, though every number may be read as one."""

from collections.abc import Sequence
from typing import Any

from llmtune.data.rows import Rows
from llmtune.errors import InputError
from llmtune.text.label_names import parse_number

MOST_CLASSES = 20  # different numbers, not all of them whole: stars in halves are 10, a score is hundreds


def refuse_measurements(rows: Rows, cells: Sequence[Any], column: str) -> None:
    """Raises `InputError` in one line where the labels are numbers of a scale, before every row is called wrong."""
    filled = [cell for cell in cells if cell is not None and cell != ""]
    numbers = {parse_number(cell) for cell in filled}
    if None in numbers or len(numbers) <= MOST_CLASSES:
        return
    if all(float(number).is_integer() for number in numbers if number is not None):
        return
    raise InputError(
        f"{rows.source}: column {column!r} holds {len(numbers):,} different numbers in {len(rows):,} rows, such as "
        f"{filled[0]}: this is regression, and a classifier has classes; name another column with --label_column, or "
        "write a class for each range of numbers"
    )
