"""Rows that are in memory already: a pandas DataFrame, a `datasets.Dataset`, or a dict of columns."""

from collections.abc import Mapping
from os import PathLike
from typing import Any, Self

import datasets
import pyarrow as pa

from llmtune.arguments import DataArguments
from llmtune.arguments.data import SPLIT_NAMES
from llmtune.data.files import arrow_rows, read_rows
from llmtune.data.frames import frame_columns, is_frame
from llmtune.data.rows import Rows
from llmtune.errors import InputError

EXPECTED = "a pandas DataFrame, a datasets.Dataset or a dict of columns"


class InMemoryData(DataArguments):
    """Data arguments whose rows are in memory: what a recipe's steps read instead of files.

    Args:
        source: train, as a pandas DataFrame, a `datasets.Dataset` or a dict of columns; or several splits, as a
            `datasets.DatasetDict` or a dict of split name → one of these. Missing splits are held out of train.
        name: of the source in messages and in run.json; default its type.
        options: fields of `DataArguments`: fractions, columns to carry, limits.

    Raises:
        InputError: a source of another type, without a train split, or beside a file.

    >>> data = InMemoryData({"train": {"text": ["free prize", "at noon"], "label": ["spam", "ham"]}}, name="messages")
    >>> data.splits["train"].source, len(data.splits["train"])
    ('messages[train]', 2)
    """

    def __init__(self, source: Any, *, name: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        name = name or type(source).__name__
        if super().given:
            raise InputError(f"{name}: rows in memory and a file or --dataset_name are both given; give one of the two")
        self.splits = {split: open_rows(rows, f"{name}[{split}]") for split, rows in _by_split(source, name).items()}

    @classmethod
    def of_rows(cls, rows: Rows, split: str) -> Self:
        """Of rows that were read already, as one split; messages name their source."""
        made = cls.__new__(cls)
        DataArguments.__init__(made)
        made.splits = {split: rows}
        return made

    @property
    def given(self) -> bool:
        """Whether any data was named."""
        return True


def _by_split(source: Any, name: str) -> dict[str, Any]:
    """Train, validation and test, as far as the source has them."""
    if not isinstance(source, Mapping) or not all(
        isinstance(part, Mapping) or _is_table(part) for part in source.values()
    ):
        return {"train": source}
    splits = {
        split: next(source[known] for known in names if known in source)
        for split, names in SPLIT_NAMES.items()
        if any(known in source for known in names)
    }
    # A set of the Hub may hold further splits (IMDB has "unsupervised"); in a dict of one's own it is a slip.
    known = {word for names in SPLIT_NAMES.values() for word in names}
    unknown = [] if isinstance(source, datasets.DatasetDict) else [split for split in source if split not in known]
    if unknown or "train" not in splits:
        raise InputError(
            f"{name}: splits found: {list(source)}, expected 'train' (and 'validation', 'test'); rename the keys"
        )
    return splits


def _is_table(source: Any) -> bool:
    return is_frame(source) or isinstance(source, datasets.Dataset)


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
        return dataset_rows(source, name)
    if is_frame(source):
        return Rows(name, frame_columns(source, name))
    if isinstance(source, Mapping):
        columns = {str(column): list(cells) for column, cells in source.items()}
        lengths = {column: len(cells) for column, cells in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"{name}: columns of different length, {lengths}; give each one cell a row")
        return Rows(name, columns)
    raise InputError(f"{name}: found {type(source).__name__}, expected {EXPECTED}")


def dataset_rows(dataset: datasets.Dataset, name: str) -> Rows:
    """The rows of a data set in its order, with the names of its class ids."""
    table: pa.Table = dataset.with_format("arrow")[:]
    return arrow_rows(name, table.replace_schema_metadata(dataset.features.arrow_schema.metadata))
