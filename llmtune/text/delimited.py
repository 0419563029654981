"""What quoting does to tables as text: in tsv a quotation mark is a letter, in csv it may swallow whole rows.

GLUE, Quora and most NLP sets write tsv without quoting (IANA's text/tab-separated-values has none); csv is RFC 4180's.
"""

import re
from collections.abc import Iterator

LINE_END = re.compile(r"\r\n|\n|\r")
CELL_COMMA = re.compile(r",(?! )")  # in prose a comma stands before a space, between cells it doesn't


def tsv_records(text: str) -> Iterator[tuple[int, list[str]]]:
    r"""Line (from 1) and cells of each line; a blank line has none.

    pandas and the csv module put a cell that holds a quotation mark in quotation marks and double those inside. Where
    every cell with one is so, they are taken off again; one cell that isn't says that they are letters.

    >>> list(tsv_records('a\tb\n"so" he said\t1\r\n\n'))
    [(1, ['a', 'b']), (2, ['"so" he said', '1']), (3, []), (4, [])]
    >>> list(tsv_records('a\n"[""x""]"'))
    [(1, ['a']), (2, ['["x"]'])]
    """
    lines = LINE_END.split(text)
    marked = (cell for line in lines if '"' in line for cell in line.split("\t") if '"' in cell)
    doubled = all(map(_is_doubled, marked))
    for number, line in enumerate(lines, start=1):
        cells = line.split("\t") if line else []
        yield number, [cell[1:-1].replace('""', '"') if doubled and '"' in cell else cell for cell in cells]


def _is_doubled(cell: str) -> bool:
    inside = cell[1:-1]
    return cell[0] == cell[-1] == '"' and '""' in inside and '"' not in inside.replace('""', "")


def swallowed_rows(record: list[str], header: list[str]) -> tuple[str, int] | None:
    """The column of a csv cell whose lines have the commas that rows would have, were its quotation marks letters.

    Returns:
        the column and how many rows; None where there is no such cell.
    """
    for position, (name, cell) in enumerate(zip(header, record, strict=False)):
        lines = cell.splitlines()
        expected = [len(header) - 1 - position, *[len(header) - 1] * (len(lines) - 2), position]
        if len(lines) > 1 and sum(expected) > 1 and [len(CELL_COMMA.findall(line)) for line in lines] == expected:
            return name, len(lines)
    return None
