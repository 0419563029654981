"""Times of a series: read, put into one form that sorts, and the steps missing between them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import truncated_repr

Moment = float | datetime
MONTH = 7  # characters of 2018-02


def read_times(rows: Rows, column: str) -> list[Moment]:
    """The cells of a time column: all numbers, or all dates (with a time or not; of a zone in UTC).

    Raises:
        InputError: a cell that is neither, or of the other sort than the first, by its row.
    """
    problems = RowErrors(rows.source)
    moments: list[Moment] = []
    for row, cell in enumerate(rows.cells(column)):
        moment = _moment(cell)
        if moment is None or (moments and type(moment) is not type(moments[0])):
            finding = f"found {truncated_repr(cell)} in column {column!r}, expected a date or a number as in other rows"
            remedy = "write dates as 2018-02-07 or 2018-02-07T13:00, or number the steps"
            problems.add(row, rows.place(row), finding, remedy=remedy)
        else:
            moments.append(moment)
    problems.stop()
    return moments


def _moment(cell: Any) -> Moment | None:
    if isinstance(cell, datetime):
        return _in_utc(cell)
    if isinstance(cell, date):
        return datetime.combine(cell, time())
    try:
        number = float(cell)
        return number if abs(number) < float("inf") else None
    except (TypeError, ValueError):
        pass
    try:
        text = str(cell).strip()
        return _in_utc(datetime.fromisoformat(f"{text}-01" if len(text) == MONTH else text))
    except ValueError:
        return None


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def written(moments: Sequence[Moment]) -> list[Any]:
    """As the predictions table has them: whole numbers, numbers, dates, or dates with times; each form sorts."""
    numbers = [moment for moment in moments if isinstance(moment, float)]
    if numbers:
        return [int(number) for number in numbers] if all(map(float.is_integer, numbers)) else numbers
    dates = [moment for moment in moments if isinstance(moment, datetime)]
    is_dates = all(moment.time() == time() for moment in dates)
    return [moment.date().isoformat() if is_dates else moment.isoformat() for moment in dates]


@dataclass(frozen=True)
class Grid:
    """The regular distance of the steps of all series.

    Args:
        step: the commonest distance of two steps, a number or a `timedelta`; None of series of one step.
    """

    step: Any

    @classmethod
    def of(cls, series: Sequence[Sequence[Moment]]) -> "Grid":
        """From the times of each series, in order."""
        counts = Counter(
            later - earlier  # type: ignore[operator]
            for moments in series
            for earlier, later in zip(moments, moments[1:], strict=False)
        )
        return cls(min(counts, key=lambda step: (-counts[step], step)) if counts else None)

    def missing(self, moments: Sequence[Moment]) -> list[tuple[int, Moment]]:
        """Steps that lie between two others and are not there: the place that each would stand before, and its time."""
        absent: list[tuple[int, Moment]] = []
        for place, (earlier, later) in enumerate(zip(moments, moments[1:], strict=False), start=1):
            count = round((later - earlier) / self.step) - 1  # type: ignore[operator]
            absent += [(place, earlier + (i + 1) * self.step) for i in range(count)]
        return absent

    def __str__(self) -> str:
        if isinstance(self.step, timedelta):
            days = self.step / timedelta(days=1)
            return f"{days:g} day{'' if days == 1 else 's'}" if days >= 1 else str(self.step)
        return "unknown" if self.step is None else f"{self.step:g}"
