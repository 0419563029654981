"""Texts of an Arrow table that are not UTF-8: Arrow takes any bytes, and Python fails where it reads them."""

import pyarrow as pa

from llmtune.errors import InputError


def check_utf8(table: pa.Table, where: str, *, first_row: int) -> None:
    """Refuses a table with a text, also one inside a list or struct, that is not UTF-8.

    Args:
        table: any columns.
        where: begins the message.
        first_row: what the message counts rows from, 0 or 1.

    Raises:
        InputError: such a text, by row and column.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            _find_broken_text(column, name, where, first_row)


def _find_broken_text(column: pa.ChunkedArray, name: str, where: str, first_row: int) -> None:
    for row, cell in enumerate(column, start=first_row):
        try:
            cell.as_py()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{where} row {row}: column {name!r} holds the byte 0x{error.object[error.start]:02x}, which is not "
                "UTF-8; decode the column by its own encoding, such as cp1252, and write the file anew"
            ) from error
