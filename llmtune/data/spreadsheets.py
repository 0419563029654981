"""The rows of an Excel sheet, through pandas and openpyxl where they are installed; cells as csv would have them."""

import importlib.util
import io
import zlib
from typing import Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from llmtune.data.rows import Rows
from llmtune.errors import InputError

# What openpyxl and pandas raise on the way through a workbook that is broken somewhere: its archive, its XML, a number.
UNREADABLE = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, EOFError, OSError, RuntimeError),
    *(BadZipFile, zlib.error, ParseError),
)


def read_sheet(source: str, content: bytes) -> Rows:
    """The only sheet of a workbook: its first row names the columns, texts stay as they are, empty cells are null.

    Raises:
        InputError: pandas or openpyxl is missing, it is no workbook, or several of its sheets hold rows.
    """
    missing = [name for name in ("pandas", "openpyxl") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{source}: reading a sheet needs {missing[0]}, not installed here: pip install pandas openpyxl, or save "
            "the sheet as CSV UTF-8"
        )
    import pandas

    try:
        # As they are written: else "NA" would become no value, and "007" the number 7 where a cell holds text.
        sheets = pandas.read_excel(
            io.BytesIO(content), sheet_name=None, dtype=object, keep_default_na=False, engine="openpyxl"
        )
    except UNREADABLE as error:
        raise InputError(f"{source}: not readable as xlsx ({error}); save the sheet as CSV UTF-8") from error
    filled = {name: frame for name, frame in sheets.items() if len(frame)}
    if len(filled) > 1:
        raise InputError(
            f"{source}: {len(filled)} sheets hold rows ({', '.join(filled)}), expected one; save the one that is meant "
            "as CSV UTF-8, or delete the others"
        )
    frame = next(iter(filled.values()), next(iter(sheets.values())))
    columns = {str(name): [_cell(value) for value in frame[name]] for name in frame.columns}
    return Rows(source, columns, lines=range(2, len(frame) + 2))


def _cell(value: Any) -> Any:
    """A Python value; a date as its text, an empty cell as null."""
    if value is None or value == "":
        return None
    return value if isinstance(value, (str, bool, int, float)) else str(value)
