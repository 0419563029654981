"""Rows that are in memory already: a pandas DataFrame, a `datasets.Dataset`, or a mapping of columns."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

import datasets
import pyarrow as pa

from llmtune.data.files import arrow_rows, read_rows
from llmtune.data.frames import frame_columns, is_frame
from llmtune.data.rows import Rows
from llmtune.errors import InputError


def open_rows(source: Any, name: str) -> Rows:
    """The rows of a file, or of an object in memory.

    Args:
        source: a path, a pandas DataFrame, a `datasets.Dataset`, or column name → cells.
        name: what an object is called in messages.

    Raises:
        InputError: not one of these, no rows, or columns that can't be read.
    """
    if isinstance(source, (str, PathLike)):
        return read_rows(source)
    rows = memory_rows(source, name)
    if not len(rows):
        raise InputError(f"{name}: no rows (columns {list(rows.columns)}), expected at least one")
    return rows


def memory_rows(source: Any, name: str) -> Rows:
    """The rows of an object in memory, in its order; an index of pandas is no column."""
    if isinstance(source, datasets.Dataset):
        return arrow_rows(name, dataset_table(source))
    if is_frame(source):
        return Rows(name, frame_columns(source))
    if isinstance(source, Mapping):
        return Rows(name, {str(column): list(cells) for column, cells in source.items()})
    raise InputError(
        f"{name}: found {type(source).__name__}, expected a path, a pandas DataFrame, a datasets.Dataset or a dict of "
        "columns"
    )


def dataset_table(dataset: datasets.Dataset) -> pa.Table:
    """The rows of a data set in its order, with the features in the schema's metadata."""
    table = dataset.with_format("arrow")[:]
    return table.replace_schema_metadata(dataset.features.arrow_schema.metadata)
