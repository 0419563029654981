"""What the cells of a predictions table are, by column: one row a column, read before any of them is used."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa

from llmtune.errors import InputError, truncated_repr
from llmtune.predictions.kinds import Kind

Fits = Callable[[Any], bool]


class Cells(NamedTuple):
    """What a column holds.

    Args:
        fits: whether a cell that is not null is one of these.
        expected: what a message says.
        may_be_null: whether a cell may be empty.
        types: Arrow types of which every cell that is not null fits, so that no cell need be looked at.
    """

    fits: Fits
    expected: str
    may_be_null: bool = True
    types: Callable[[pa.DataType], bool] = pa.types.is_null


def _is_text(cell: Any) -> bool:
    return isinstance(cell, str)


def _is_text_or_words(cell: Any) -> bool:
    return isinstance(cell, str) or isinstance(cell, list) and all(map(_is_text, cell))


def _is_words(cell: Any) -> bool:
    return isinstance(cell, list) and all(map(_is_text, cell))


def _is_attention(cell: Any) -> bool:
    return isinstance(cell, list) and all(
        isinstance(piece, dict) and _is_text(piece.get("token")) and isinstance(piece.get("weight"), int | float)
        for piece in cell
    )


def _is_name(cell: Any) -> bool:
    return not isinstance(cell, list | dict)


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


TEXT = Cells(_is_text, "a text", types=_is_string)
TEXT_OR_WORDS = Cells(_is_text_or_words, "a text, or a list of words", types=_is_string)
WORDS = Cells(_is_words, "a list of words, none of them null", may_be_null=False)
ATTENTION = Cells(_is_attention, "a list of {token, weight}")
NAME = Cells(_is_name, "a text or a number", types=lambda kind: not pa.types.is_nested(kind))
OF_INPUTS = {
    "id": NAME,
    **dict.fromkeys(("text", "text_pair"), TEXT_OR_WORDS),
    **dict.fromkeys(("source", "question", "context"), TEXT),
    "attention": ATTENTION,
}


def column_cells(kind: Kind) -> dict[str, Cells]:
    """By column of a table of this kind, what it holds, where others than its metrics read it too."""
    return OF_INPUTS | (dict.fromkeys(("tokens", "reference", "prediction"), WORDS) if kind.tagged else {})


def plain_texts(table: pa.Table) -> pa.Table:
    """The table with texts in the place of categories (pandas) and views (polars), which merge with no other texts."""
    for place, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        kind = column.type
        is_category = pa.types.is_dictionary(kind) and _is_string(kind.value_type)
        if is_category or pa.types.is_string_view(kind):
            table = table.set_column(place, name, column.cast(pa.string()))
    return table


def float_numbers(table: pa.Table, kind: Kind) -> pa.Table:
    """The table with float64 in the place of decimals and of unsigned integers of 64 bits."""
    for name in kind.number_columns:
        if name in table.column_names:
            place, column = table.column_names.index(name), table.column(name)
            if pa.types.is_decimal(column.type) or pa.types.is_uint64(column.type):
                table = table.set_column(place, name, column.cast(pa.float64(), safe=False))
    return table


def check_cell_types(table: pa.Table, kind: Kind, where: str) -> None:
    """Refuses a cell of another type than its column has.

    Raises:
        InputError: such a cell, by row (from 0) and column.
    """
    for name, cells in column_cells(kind).items():
        if name not in table.column_names:
            continue
        column = table.column(name)
        if cells.types(column.type) and (cells.may_be_null or not column.null_count):
            continue
        for row, cell in enumerate(column.to_pylist()):
            if (cell is None and cells.may_be_null) or (cell is not None and cells.fits(cell)):
                continue
            raise InputError(
                f"{where} row {row}: column {name!r} holds {truncated_repr(cell)}, expected {cells.expected}; write "
                "it so, or give the column another name"
            )
