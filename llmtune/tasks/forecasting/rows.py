"""A source's rows → time steps: columns found, numbers read, series told apart, gaps counted and filled as asked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmtune.arguments import DataArguments
from llmtune.data.columns import missing_column, pick_columns
from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import InputError, truncated_repr
from llmtune.tasks.forecasting.steps import INSERTED, Steps
from llmtune.tasks.forecasting.times import Grid, Moment, read_times, written

FILLS = ("none", "values", "steps")


@dataclass(frozen=True)
class SeriesColumns:
    """The columns of a series under the user's names.

    Args:
        time: of the step.
        target: that is foretold.
        inputs: that the model reads, in its order.
        series: the key of several series; None where there is one.
    """

    time: str
    target: str
    inputs: tuple[str, ...]
    series: str | None = None


@dataclass(frozen=True)
class Gaps:
    """What a source lacks.

    Args:
        values: input or target → empty cells.
        steps: missing from the regular distance of the steps.
        step: that distance, in words.
        filled: `--fill`.
    """

    values: Mapping[str, int]
    steps: int
    step: str
    filled: str

    def lines(self) -> list[str]:
        """What is missing, and what became of it."""
        empty = ", ".join(f"{name} {count:,}" for name, count in self.values.items() if count) or "none"
        treated = {
            "none": "windows with an empty cell are left out, windows run across missing steps",
            "values": "empty cells take the last value known, windows run across missing steps",
            "steps": "missing steps are inserted, they and empty cells take the last values known",
        }
        gaps = f"empty cells: {empty}; steps missing from one every {self.step}: {self.steps or 'none'}"
        return [gaps if not (any(self.values.values()) or self.steps) else f"{gaps}; {treated[self.filled]}"]


def read_steps(
    rows: Rows, columns: SeriesColumns, *, data: DataArguments, fill: str = "none", has_future: bool = True
) -> tuple[Steps, Gaps]:
    """The steps of a source.

    Args:
        rows: of a file or data set.
        columns: their names.
        data: which further columns are carried.
        fill: none, values or steps.
        has_future: as in `Steps`.

    Raises:
        InputError: a column that is not there, a cell that is no number or no time, a time twice in a series.
    """
    if fill not in FILLS:
        raise InputError(f"--fill {fill!r} is not one of {', '.join(FILLS)}")
    wanted = {"time": columns.time, "target": columns.target}
    wanted |= {} if columns.series is None else {"series": columns.series}
    cells = pick_columns(rows, columns=wanted, data=data)
    for name in columns.inputs:
        if not rows.has(name):
            raise InputError(missing_column(rows, name, "--input_columns"))
    names = [*columns.inputs, columns.target]
    numbers = np.array([_numbers(rows, name) for name in names]).T
    moments = read_times(rows, columns.time)
    keys = ["" if key is None else str(key) for key in cells.get("series", [None] * len(rows))]
    order = sorted(range(len(rows)), key=lambda row: (keys[row], moments[row]))
    _check_times(rows, keys, moments, order, columns)
    carried = {name: [column[row] for row in order] for name, column in cells.items() if name not in wanted}
    keys, moments, numbers = [keys[row] for row in order], [moments[row] for row in order], numbers[order]
    ids = np.array(order, dtype=np.int64)
    empty = {name: int(np.isnan(numbers[:, place]).sum()) for place, name in enumerate(names)}
    ends = [*(i for i in range(1, len(keys)) if keys[i] != keys[i - 1]), len(keys)]
    spans = list(zip([0, *ends], ends, strict=False))
    grid = Grid.of([moments[begin:end] for begin, end in spans])
    absent = [(begin + place, time) for begin, end in spans for place, time in grid.missing(moments[begin:end])]
    gaps = Gaps(empty, len(absent), str(grid), fill)
    if fill == "steps" and absent:
        places = [place for place, _ in absent]
        keys = _inserted(keys, [(place, keys[place]) for place in places])
        moments = _inserted(moments, absent)
        carried = {name: _inserted(column, [(place, None) for place in places]) for name, column in carried.items()}
        numbers = np.insert(numbers, places, np.nan, axis=0)
        ids = np.insert(ids, places, INSERTED)
    observed = ~np.isnan(numbers[:, -1])
    steps = Steps(
        ids, written(moments), keys, numbers[:, :-1], numbers[:, -1], observed, np.zeros(len(ids), dtype=bool),
        carried, has_future,
    )  # fmt: skip
    if fill != "none":
        for _, begin, end in steps.spans():
            _fill_forward(numbers[begin:end])  # the arrays of `steps` are views of it
    return steps, gaps


def _numbers(rows: Rows, name: str) -> list[float]:
    """A column as numbers, NaN where a cell is empty."""
    problems = RowErrors(rows.source)
    numbers = []
    for row, cell in enumerate(rows.cells(name)):
        number = _number(cell)
        if number is None:
            finding = f"found {truncated_repr(cell)} in column {name!r}, expected a number or an empty cell"
            problems.add(row, rows.place(row), finding, remedy="mend the number, or leave the cell empty")
        numbers.append(math.nan if number is None else number)
    problems.stop()
    return numbers


def _number(cell: Any) -> float | None:
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return math.nan
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return None if math.isinf(number) else number


def _check_times(
    rows: Rows, keys: Sequence[str], moments: Sequence[Moment], order: Sequence[int], columns: SeriesColumns
) -> None:
    problems = RowErrors(rows.source)
    for before, row in zip(order, order[1:], strict=False):
        if keys[row] == keys[before] and moments[row] == moments[before]:
            series = f" of series {keys[row]!r}" if columns.series else ""
            finding = (
                f"the time {truncated_repr(written([moments[row]])[0])}{series} stands in {rows.place(before)} too"
            )
            remedy = "keep one row a time, or name what tells several series apart by --series_column"
            problems.add(row, rows.place(row), finding, remedy=remedy)
    problems.stop()


def _inserted(column: Sequence[Any], additions: Sequence[tuple[int, Any]]) -> list[Any]:
    """A column with further cells, each before the place (of the old column) that it is given with."""
    longer = list(column)
    for place, cell in reversed(additions):
        longer.insert(place, cell)
    return longer


def _fill_forward(numbers: np.ndarray) -> None:
    """Each NaN takes the last number above it; those before the first number stay."""
    places = np.where(np.isnan(numbers), 0, np.arange(len(numbers))[:, None])
    np.copyto(numbers, np.take_along_axis(numbers, np.maximum.accumulate(places, axis=0), axis=0))
