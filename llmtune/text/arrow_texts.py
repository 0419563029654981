"""Arrow columns that Python can't read: texts that are not UTF-8, times beyond its calendar, a name that stands twice.

Arrow takes any bytes and any number of seconds, and Python fails where it reads them.
"""

from collections.abc import Iterable

import pyarrow as pa

from llmtune.errors import InputError, truncated_repr


def check_readable(table: pa.Table, where: str, *, first_row: int) -> None:
    """Refuses a table with a cell that has no value in Python, also inside a list or struct, or a column named twice.

    Args:
        table: any columns.
        where: begins the message.
        first_row: what the message counts rows from, 0 or 1.

    Raises:
        InputError: such a cell, by row and column, or such a name.
    """
    names = readable_names(table, where)
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"{where}: two columns are named {repeated!r}, expected each name once; rename one of {names}")
    for name, column in zip(names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            _find_broken_cell(column, name, where, first_row)
        if _holds_times(column.type):
            _find_broken_cell(column, name, where, first_row)


def readable_names(table: pa.Table, where: str) -> list[str]:
    """The names of the columns.

    Raises:
        InputError: one is not UTF-8, so that Python can't read it.
    """
    try:
        names: list[str] = table.column_names
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: a column's name holds the byte 0x{error.object[error.start]:02x}, which is not UTF-8; rename it"
        ) from error
    return names


def check_column_names(names: Iterable[str], where: str) -> None:
    """Raises InputError for a column name that Arrow and terminals can't hold: half a character, as JSON can write."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{where}: the column name {truncated_repr(name)} is not valid Unicode; rename it"
            ) from error


def _holds_times(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _holds_times(kind.value_type)
    if pa.types.is_nested(kind):
        return any(_holds_times(kind.field(place).type) for place in range(kind.num_fields))
    return bool(pa.types.is_temporal(kind))


def _find_broken_cell(column: pa.ChunkedArray, name: str, where: str, first_row: int) -> None:
    for row, cell in enumerate(column, start=first_row):
        try:
            cell.as_py()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{where} row {row}: column {name!r} holds the byte 0x{error.object[error.start]:02x}, which is not "
                "UTF-8; decode the column by its own encoding, such as cp1252, and write the file anew"
            ) from error
        except (ValueError, OverflowError) as error:
            raise InputError(
                f"{where} row {row}: column {name!r} holds a time of type {column.type} outside the years 1 to 9999 "
                f"({error}); write it as a text or a number"
            ) from error
