"""What quoting does to tables as text: in tsv a quotation mark is a letter, in csv it may swallow whole rows.

GLUE, Quora and most NLP sets write tsv without quoting (IANA's text/tab-separated-values has none); csv is RFC 4180's.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LINE_END = re.compile(r"\r\n|\n|\r")
FEWEST_ROWS = 10  # fewer don't show whether a column repeats its values
FEWEST_QUOTED = 5  # cells with a comma that show a program's habit, where no mark is doubled
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")


SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}


def other_separators(names: Sequence[str]) -> str | None:
    """What separates the columns of a header that was read as one name; None where nothing does.

    >>> other_separators(["text;label"]), other_separators(["text", "label"])
    ('semicolons', None)
    """
    return next((word for sign, word in SEPARATORS.items() if len(names) == 1 and sign in names[0]), None)


class SwallowedRows(NamedTuple):
    """A csv cell that holds rows of the table: the row (from 0) and column it is in, and how many rows it holds."""

    row: int
    column: str
    rows: int


def tsv_records(text: str) -> Iterator[tuple[int, list[str]]]:
    r"""Line (from 1) and cells of each line; a blank line has none.

    Some programs quote nevertheless. R puts all texts in quotation marks, the header too; pandas and the csv module a
    cell that holds one, and they double those inside; Excel a cell that holds a comma too. Where the whole header,
    every cell that holds a mark, or every cell that holds a mark or a comma is quoted so, the marks are taken off
    again; otherwise they are letters.

    >>> list(tsv_records('a\tb\n"so" he said\t1\r\n\n'))
    [(1, ['a', 'b']), (2, ['"so" he said', '1']), (3, []), (4, [])]
    >>> list(tsv_records('a\n"[""x""]"'))
    [(1, ['a']), (2, ['["x"]'])]
    >>> list(tsv_records('a\n"so, he said"\n"a ""b"" c"'))
    [(1, ['a']), (2, ['so, he said']), (3, ['a "b" c'])]
    >>> list(tsv_records('"a"\t"b"\n"it ""is"" so"\t7'))
    [(1, ['a', 'b']), (2, ['it "is" so', '7'])]
    """
    lines = LINE_END.split(text)
    marked = (cell for line in lines if '"' in line for cell in line.split("\t") if '"' in cell)
    quoted = all(map(_is_quoted, lines[0].split("\t"))) or all(map(_is_doubled, marked)) or _is_of_excel(lines)
    for number, line in enumerate(lines, start=1):
        cells = line.split("\t") if line else []
        yield number, [cell[1:-1].replace('""', '"') if quoted and _is_quoted(cell) else cell for cell in cells]


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


def _is_doubled(cell: str) -> bool:
    return _is_escaped(cell) and '""' in cell[1:-1]


def _is_escaped(cell: str) -> bool:
    """Whether it is quoted, and each mark inside is doubled."""
    return _is_quoted(cell) and '"' not in cell[1:-1].replace('""', "")


def _is_of_excel(lines: Sequence[str]) -> bool:
    """Whether the cells that hold a mark or a comma, and no others, are quoted as Excel does it.

    A saying, as "Yes, sir", is quoted by its author; where every comma stands in a quoted cell it is Excel who quotes.
    """
    special = [cell for line in lines for cell in line.split("\t") if '"' in cell or "," in cell]
    if not all(_is_escaped(cell) and ("," in cell or '""' in cell[1:-1]) for cell in special):
        return False
    return len(special) >= FEWEST_QUOTED or any('""' in cell[1:-1] for cell in special)


def swallowed_rows(records: Sequence[Sequence[str]], header: Sequence[str]) -> Iterator[SwallowedRows]:
    r"""The csv cells that are rows of the table if their quotation marks are letters.

    Such a cell has the commas of rows, line by line. A poem or an address may have them too, at the ends of its lines:
    what stands between the commas must also be what the other rows have in that column. In a table of fewer than ten
    rows two such commas are enough.

    Args:
        records: cells of each row, as many as the header has.
        header: names of the columns.

    >>> rows = [["fine", "ham"], ["so,ham\nit ends", "spam"], ["more", "ham"], ["Roses,\nviolets,\nsugar", "ham"]]
    >>> list(swallowed_rows(rows, ["text", "label"]))
    [SwallowedRows(row=1, column='text', rows=2)]
    """
    suspects = [
        (SwallowedRows(row, name, len(LINE_END.split(cell))), cells_inside)
        for row, record in enumerate(records)
        for position, (name, cell) in enumerate(zip(header, record, strict=True))
        if ("\n" in cell or "\r" in cell) and (cells_inside := _cells_inside(cell, position, len(header)))
    ]
    columns: dict[int, _Column] = {}
    for swallowed, cells_inside in suspects:
        for column, _ in cells_inside:
            if column not in columns:
                columns[column] = _Column([record[column] for record in records])
        if _are_rows(cells_inside, header.index(swallowed.column), columns):
            yield swallowed


def _cells_inside(cell: str, position: int, width: int) -> list[tuple[int, str]]:
    """Column and content of the whole cells in a cell that has the commas of rows; none where it hasn't them.

    Its own begin and end are no whole cells.
    """
    lines = [line.split(",") for line in LINE_END.split(cell)]
    if width == 1 or [len(line) for line in lines] != [width - position, *[width] * (len(lines) - 2), position + 1]:
        return []
    first, *inner, last = lines
    whole = [*enumerate(first, start=position)][1:]
    for line in inner:
        whole += enumerate(line)
    return [*whole, *[*enumerate(last)][:-1]]


class _Column:
    """What a column holds in cells of one line."""

    def __init__(self, cells: Sequence[str]) -> None:
        lines = [cell for cell in cells if "\n" not in cell and "\r" not in cell]
        self.values = set(lines)
        self.repeats = len(lines) >= FEWEST_ROWS and 2 * len(self.values) <= len(lines)  # as classes do
        filled = self.values - {""}
        self.numbers = bool(filled) and all(NUMBER.fullmatch(cell) for cell in filled)
        self.indented = any(cell.startswith(" ") for cell in self.values)

    def may_hold(self, cell: str) -> bool:
        if not cell or self.numbers:
            return cell in self.values or bool(NUMBER.fullmatch(cell))
        return self.indented or not cell.startswith(" ")


def _are_rows(cells: list[tuple[int, str]], position: int, columns: dict[int, _Column]) -> bool:
    """Whether the whole cells inside a cell of column `position` are what their columns hold."""
    if not all(columns[column].may_hold(cell) for column, cell in cells):
        return False
    filled = [(column, cell) for column, cell in cells if cell and column != position]
    repeated = [cell in columns[column].values for column, cell in filled if columns[column].repeats]
    if repeated:
        return 2 * sum(repeated) >= len(repeated)
    known = any(cell in columns[column].values and not NUMBER.fullmatch(cell) for column, cell in filled)
    return known or len(filled) > 1  # one comma between two lines may be that of 1,000
