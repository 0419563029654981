"""Rows of tasks that write: `source`, and `target` with one reference or several; each must be text."""

from collections.abc import Mapping
from typing import Any

import datasets

from llmtune.arguments import DataArguments
from llmtune.data import Fingerprint, Splits, load_split, load_splits
from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import InputError, truncated_repr


def load_text_splits(data: DataArguments, source_column: str, target_column: str, *, seed: int) -> Splits:
    """Train, validation and test; rows with an equal source stay on one side of a split.

    Raises:
        InputError: anything in the data that would make a result wrong, by file, row and column.
    """
    if source_column == target_column:
        raise InputError(f"--source_column and --target_column are both {source_column!r}; name two columns")
    reader = _TargetReader(target_column)
    return load_splits(
        data,
        columns={"source": source_column, "target": target_column},
        label_column=None,
        text_columns=["source"],
        seed=seed,
        convert=reader.convert,
    )


def load_text_split(
    data: DataArguments, columns: Mapping[str, str], *, labelled: bool
) -> tuple[datasets.Dataset, Fingerprint]:
    """The given test split; without targets where `labelled` is false."""
    wanted = ("source", "target") if labelled else ("source",)
    return load_split(
        data,
        "test",
        columns={name: columns[name] for name in wanted},
        label_column=None,
        text_columns=["source"],
        convert=_TargetReader(columns["target"]).convert if labelled else None,
    )


class _TargetReader:
    """Checks what is to be written: a text, or a list of them; a split has the one or the other."""

    def __init__(self, column: str) -> None:
        self.column = column

    def convert(self, rows: Rows, cells: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """The cells; where one target is a list, all are.

        Raises:
            InputError: a target that is no text.
        """
        problems = RowErrors(rows.source)
        for row, cell in enumerate(cells["source"]):
            if not isinstance(cell, str):
                finding = f"the source {truncated_repr(cell)} is a list, expected one text"
                problems.add(row, rows.place(row), finding, remedy="join its parts")
        for row, cell in enumerate(cells["target"]):
            if not _is_text(cell):
                finding = f"found {truncated_repr(cell)} in column {self.column!r}, expected a text or a list of texts"
                problems.add(row, rows.place(row), finding, remedy="write the target, or delete the row")
        problems.stop()
        several = any(isinstance(cell, list) for cell in cells["target"])
        return {**cells, "target": [[cell] if several and isinstance(cell, str) else cell for cell in cells["target"]]}


def _is_text(cell: Any) -> bool:
    texts = cell if isinstance(cell, list) else [cell]
    return bool(texts) and all(isinstance(text, str) and text.strip() for text in texts)
