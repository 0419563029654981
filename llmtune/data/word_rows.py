"""Tables of one word a row, as spreadsheets and many csv exports have them, as rows of one sentence each."""

from collections.abc import Sequence
from typing import Any

from llmtune.data.rows import Rows
from llmtune.errors import InputError


def group_words(rows: Rows, sentence_column: str, document_column: str | None = None) -> Rows:
    """One row a sentence: each column a list over its words, those of sentence and document the value that they share.

    A sentence goes on while its cell stays as it is or is empty: some exports name a sentence only at its first word.
    Numbers that begin anew with each document tell sentences apart only beside the document: of two documents of one
    sentence each, both are number 1.

    Args:
        rows: one a word.
        sentence_column: holds the number or name of the sentence.
        document_column: holds that of the document, where it is known and the rows have it.

    Raises:
        InputError: there is no such column, the first row has no sentence, or a sentence goes on after another began.
    """
    if sentence_column not in rows.columns:
        raise InputError(
            f"{rows.source}: no column {sentence_column!r}; found {', '.join(rows.columns)}; name the column "
            "that numbers the sentences by --sentence_column"
        )
    names: list[Any] = []
    documents: list[Any] = []
    begins: list[int] = []
    seen: dict[Any, int] = {}
    if document_column not in rows.columns:
        document_column = None  # whoever needs it says so, with the flag
    words_documents = rows.cells(document_column) if document_column else [None] * len(rows)
    for row, (cell, document) in enumerate(zip(rows.cells(sentence_column), words_documents, strict=True)):
        empty, document = _is_empty(cell), documents[-1] if documents and _is_empty(document) else document
        if names and (empty or cell == names[-1]) and document == documents[-1]:
            continue
        if empty:
            raise InputError(
                f"{rows.source} {rows.place(row)}: column {sentence_column!r} is empty, expected the number of the "
                "first sentence; fill it"
            )
        if (document, cell) in seen:
            remedy = "sort the rows by sentence, or number them anew"
            if not document_column:
                remedy = "number the sentences throughout, or, where their numbers begin anew with each document, name "
                remedy += "the column of the documents by --split_group_column"
            raise InputError(
                f"{rows.source} {rows.place(row)}: sentence {cell!r} of column {sentence_column!r} began at "
                f"{rows.place(seen[document, cell])} and goes on after another; {remedy}"
            )
        seen[document, cell] = row
        names.append(cell)
        documents.append(document)
        begins.append(row)
    ends = [*begins[1:], len(rows)]
    columns: dict[str, Sequence[Any]] = {
        name: [cells[begin:end] for begin, end in zip(begins, ends, strict=True)]
        for name, cells in ((name, rows.cells(name)) for name in rows.columns)
    }
    lines = [rows.lines[begin] if rows.lines else begin + 1 for begin in begins]
    shared = {sentence_column: names} | ({document_column: documents} if document_column else {})
    return Rows(rows.source, {**columns, **shared}, unit="sentence", lines=lines)


def _is_empty(cell: Any) -> bool:
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())  # NaN is pandas' null
