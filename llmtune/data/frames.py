"""Columns of a pandas DataFrame as Python values; pandas itself is not imported."""

from typing import Any

from llmtune.errors import InputError


def is_frame(source: Any) -> bool:
    """Whether this is a pandas DataFrame."""
    kind = type(source)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame"


def frame_columns(frame: Any, where: str) -> dict[str, list[Any]]:
    """All columns of a DataFrame by name; the index is none. `where` begins the message.

    Raises:
        InputError: two columns of one name.
    """
    names = [str(name) for name in frame.columns]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InputError(
            f"{where}: {names.count(repeated)} columns are called {repeated!r}; give each a name of its own"
        )
    return {str(name): series_cells(frame[name]) for name in frame.columns}


def series_cells(series: Any) -> list[Any]:
    """The cells of a pandas Series; missing ones (NaN, NaT, NA) are None, arrays are lists."""
    cells = [cell.tolist() if hasattr(cell, "tolist") else cell for cell in series.tolist()]
    return [None if missing else cell for missing, cell in zip(series.isna().tolist(), cells, strict=True)]
