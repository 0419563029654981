"""Lists that a csv writes as text, `["Ada", "met"]`, as the lists that they spell: csv has none of its own."""

from collections.abc import Sequence
from dataclasses import replace

from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import truncated_repr
from llmtune.predictions.cells import spelled_value


def read_list_cells(rows: Rows, names: Sequence[str]) -> Rows:
    """The rows, of whose columns those named hold lists where every cell is the text of one.

    Raises:
        InputError: a cell that opens a list and spells none, in a column whose cells all open one.
    """
    columns, problems = dict(rows.columns), RowErrors(rows.source)
    for name in (name for name in names if name in columns):
        cells = rows.cells(name)
        if not all(isinstance(cell, str) and cell.lstrip().startswith("[") for cell in cells):
            continue
        columns[name] = lists = [spelled_value(cell) for cell in cells]
        for row, (cell, spelled) in enumerate(zip(cells, lists, strict=True)):
            if not isinstance(spelled, list):
                finding = f"{truncated_repr(cell)} in column {name!r} opens a list and spells none"
                remedy = (
                    'write a JSON list, as ["Ada", "met"] (numpy prints its arrays without commas: write .tolist())'
                )
                problems.add(row, rows.place(row), finding, remedy=remedy)
    problems.stop()
    return replace(rows, columns=columns)
