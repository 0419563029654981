"""Tables of one word a row, as spreadsheets and many csv exports have them, as rows of one sentence each."""

from collections.abc import Sequence
from typing import Any

from llmtune.data.rows import Rows
from llmtune.errors import InputError


def group_words(rows: Rows, sentence_column: str) -> Rows:
    """One row a sentence: each column a list over its words, the sentence column the value that they share.

    A sentence goes on while its cell stays as it is or is empty: some exports name a sentence only at its first word.

    Args:
        rows: one a word.
        sentence_column: holds the number or name of the sentence.

    Raises:
        InputError: there is no such column, the first row has no sentence, or a sentence goes on after another began.
    """
    if sentence_column not in rows.columns:
        raise InputError(
            f"{rows.source}: no column {sentence_column!r}; found {', '.join(rows.columns)}; name the column "
            "that numbers the sentences by --sentence_column"
        )
    names: list[Any] = []
    begins: list[int] = []
    seen: dict[Any, int] = {}
    for row, cell in enumerate(rows.cells(sentence_column)):
        empty = cell is None or (isinstance(cell, str) and not cell.strip())
        if names and (empty or cell == names[-1]):
            continue
        if empty:
            raise InputError(
                f"{rows.source} {rows.place(row)}: column {sentence_column!r} is empty, expected the number of the "
                "first sentence; fill it"
            )
        if cell in seen:
            raise InputError(
                f"{rows.source} {rows.place(row)}: sentence {cell!r} of column {sentence_column!r} began at "
                f"{rows.place(seen[cell])} and goes on after another; sort the rows by sentence, or number them anew"
            )
        seen[cell] = row
        names.append(cell)
        begins.append(row)
    ends = [*begins[1:], len(rows)]
    columns: dict[str, Sequence[Any]] = {
        name: [cells[begin:end] for begin, end in zip(begins, ends, strict=True)]
        for name, cells in ((name, rows.cells(name)) for name in rows.columns)
    }
    lines = [rows.lines[begin] if rows.lines else begin + 1 for begin in begins]
    return Rows(rows.source, {**columns, sentence_column: names}, unit="sentence", lines=lines)
