"""Rows as read from one source, and the messages about bad ones. Rows and lines are counted from 1, as editors do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from llmtune.errors import InputError, truncated_repr

SHOWN_ROWS = 10  # enough to see the pattern, short enough to read


@dataclass(frozen=True)
class Rows:
    """The n rows of one file, or of one split of a data set, in source order.

    Args:
        source: the path, or `name[split]`; messages begin with it.
        columns: n cells each.
        unit: what the source's own tools count: "row", or "line" where each row is one line.
        lines: for csv and tsv the line each row begins at, because a quoted field may span lines.
        class_names: for a column of class ids (`ClassLabel`, or lists of them) the name of each id.
    """

    source: str
    columns: Mapping[str, "Sequence[Any] | pa.ChunkedArray"]
    unit: str = "row"
    lines: Sequence[int] = ()
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def place(self, row: int) -> str:
        """Where row number `row` (from 0) stands, in words."""
        return f"{self.unit} {row + 1} (line {self.lines[row]})" if self.lines else f"{self.unit} {row + 1}"

    def has(self, name: str) -> bool:
        """Whether there is this column, or for `outer.inner` a column `outer` that may hold it."""
        outer, point, _ = name.partition(".")
        return name in self.columns or bool(point) and outer in self.columns

    def cells(self, name: str) -> list[Any]:
        """The column as Python values; class ids become names, and -1 (the Hub's "unlabelled") becomes None.

        `translation.en` are the values under `en` of the column `translation`.

        Raises:
            InputError: an id that no name is given for.
        """
        if name not in self.columns:
            outer, _, inner = name.partition(".")
            return [cell.get(inner) if isinstance(cell, dict) else None for cell in self.cells(outer)]
        column = self.columns[name]
        cells = column.to_pylist() if isinstance(column, pa.ChunkedArray) else list(column)
        if name not in self.class_names:
            return cells
        names: dict[int | None, str | None] = {None: None, -1: None, **dict(enumerate(self.class_names[name]))}
        try:
            return [_class_name(cell, names) for cell in cells]
        except KeyError as error:
            raise InputError(
                f"{self.source}: column {name!r} holds the class id {error}, but only 0 to {len(names) - 3} have names "
                f"({self.class_names[name]}); write the file again with all names"
            ) from error


class RowErrors:
    """The bad rows of one source: the first ten are shown, all are counted."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.findings: dict[int, tuple[str, list[str]]] = {}
        self.remedies: dict[str, None] = {}

    def add(self, row: int, place: str, finding: str, *, remedy: str) -> None:
        """Notes a finding on the row that sorts at `row`."""
        self.findings.setdefault(row, (place, []))[1].append(finding)
        self.remedies[remedy] = None

    def stop(self) -> None:
        """Raises an `InputError` if any row was noted."""
        if not self.findings:
            return
        lines = [f"{place}: {', and '.join(found)}" for _, (place, found) in sorted(self.findings.items())]
        remedies = "; ".join(self.remedies)
        if len(lines) == 1:
            raise InputError(f"{self.source} {lines[0]}; {remedies}")
        count = f"{len(lines):,} bad rows" + (f", the first {SHOWN_ROWS} are" if len(lines) > SHOWN_ROWS else "")
        raise InputError("\n  ".join([f"{self.source}: {count}:", *lines[:SHOWN_ROWS]]) + f"\n{remedies}")


def to_arrow(
    rows: Rows, name: str, cells: list[Any], numbers: Sequence[int] | None = None
) -> "pa.Array | pa.ChunkedArray":
    """The cells as one Arrow column.

    Args:
        rows: where they come from.
        name: of the column.
        cells: of all rows, or of some.
        numbers: which of the rows (from 0) the cells are of, where some were held out.

    Raises:
        InputError: a cell that does not fit those before it, by its place in the source.
    """
    if _fits(cells):
        return pa.array(cells)
    fits, fails = 0, len(cells)  # a prefix that fits, and one that does not: find the border
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if _fits(cells[:middle]) else (fits, middle)
    place = rows.place(fits if numbers is None else numbers[fits])
    raise InputError(
        f"{rows.source} {place}: column {name!r} holds {truncated_repr(cells[fits])}, which is not valid Unicode or of "
        "another type than the rows before it; make the column one type"
    )


def _fits(cells: list[Any]) -> bool:
    try:
        pa.array(cells)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return False
    return True


def _class_name(cell: Any, names: Mapping[int | None, str | None]) -> Any:
    return [_class_name(item, names) for item in cell] if isinstance(cell, list) else names[cell]
