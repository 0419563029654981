"""The numbers of a source's rows, and the range that predictions are clipped to."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import InputError, truncated_repr
from llmtune.text.label_names import parse_decimal_comma, parse_number

LARGEST = 1e100


def read_scores(rows: Rows, cells: Mapping[str, list[Any]], column: str) -> dict[str, list[Any]]:
    """The cells, with the numbers of `label` as floats.

    Args:
        rows: of a source.
        cells: by canonical name.
        column: the user's name of the numbers.

    Raises:
        InputError: cells that are no finite number, by row; or not one that is: then they are classes.
    """
    numbers = [parse_number(cell) for cell in cells["label"]]
    filled = [cell for cell in cells["label"] if cell is not None and cell == cell and cell != ""]
    if filled and not any(number is not None for number in numbers):
        if parse_decimal_comma(filled[0]) is not None:
            raise InputError(
                f"{rows.source}: column {column!r} holds {truncated_repr(filled[0])}, expected numbers with a point; "
                "write the decimal comma as a point, as in 4.5"
            )
        raise InputError(
            f"{rows.source}: column {column!r} holds no number, but {truncated_repr(filled[0])}: these are classes; "
            "train a classifier (recipes/text_classification.py), or name the column of the numbers with --label_column"
        )
    problems = RowErrors(rows.source)
    for row, number in enumerate(numbers):
        if number is None:
            finding = f"found {truncated_repr(cells['label'][row])} in column {column!r}, expected a finite number"
            remedy = "write it as 4.5 (a point, no unit), or delete the row"
            problems.add(row, rows.place(row), finding, remedy=remedy)
    problems.stop()
    return {**cells, "label": numbers}


def read_limits(text: str, train: Sequence[float]) -> tuple[float, float] | None:
    """`--clip_predictions` as the least and greatest prediction; None for none.

    Args:
        text: none, train, or LOW,HIGH.
        train: the numbers of train.

    Raises:
        InputError: another word, or ends that are no range.

    >>> read_limits("train", [3.0, 1.0, 5.0]), read_limits("0,5", []), read_limits("none", [1.0])
    ((1.0, 5.0), (0.0, 5.0), None)
    """
    if text == "none":
        return None
    if text == "train":
        return min(train), max(train)
    ends = [parse_number(part) for part in text.split(",")]
    low, high = ends if len(ends) == 2 else (None, None)
    if low is None or high is None or not low < high:
        raise InputError(f"--clip_predictions {text!r}: expected none, train, or LOW,HIGH such as 0,5 (0 below 5)")
    return low, high


def center_and_size(numbers: Sequence[float], source: str, column: str) -> tuple[float, float]:
    """Mean and standard deviation of the numbers of train.

    Raises:
        InputError: they are all the same, or one is too large to be squared.
    """
    largest = max(numbers, key=abs)
    if abs(largest) > LARGEST:
        raise InputError(
            f"{source}: column {column!r} holds {largest:g}, expected numbers up to {LARGEST:g}, whose squares can be "
            "summed; correct it, or give the numbers in another unit"
        )
    center = math.fsum(numbers) / len(numbers)
    size = math.sqrt(math.fsum((number - center) ** 2 for number in numbers) / len(numbers))
    if min(numbers) == max(numbers):
        raise InputError(
            f"{source}: column {column!r} holds {numbers[0]:g} in all {len(numbers):,} rows of train, expected numbers "
            "that differ; add rows, or name another column with --label_column"
        )
    return center, size
