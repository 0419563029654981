"""The predictions table: one row an example, in the order of the source file. All after training needs only this.

A table is parquet (csv, tsv and jsonl are read too); its settings (kind, split, label names, threshold) travel in the
parquet schema's metadata. The columns of each kind are in `kinds.py`; further columns are carried through untouched.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from llmtune.errors import InputError
from llmtune.predictions.column_types import check_cell_types, float_numbers, plain_texts
from llmtune.predictions.files import read_table_file, to_label_set, to_labels
from llmtune.predictions.kinds import Kind, kind_named
from llmtune.predictions.label_checks import (
    check_entity_types,
    check_independent_order,
    check_label_sets,
    check_names,
    check_order,
)
from llmtune.predictions.label_spelling import closest_label, sort_labels
from llmtune.predictions.metadata import METADATA_KEY, read_metadata
from llmtune.predictions.probability_columns import find_probabilities, labels_in_columns
from llmtune.predictions.tag_checks import check_tag_scheme
from llmtune.text.arrow_texts import check_readable
from llmtune.text.label_names import default_positive
from llmtune.whole_files import whole_file

THRESHOLDS = "thresholds"  # of the settings of a multi-label table: one a label, where they are not all alike
COLUMN_NOTES = "column_notes"  # of the settings of a table made elsewhere: what was read as probabilities, and what not


@dataclass(frozen=True)
class Predictions:
    """A predictions table with its settings.

    Args:
        kind: a key of `COLUMNS`.
        table: n rows; `id` counts from 0 and is the row number in the source.
        split: the split the rows came from; a foreign table is `test`.
        label_names: for classification, with one label a row or several, the classes in the order of `probabilities`;
            for token classification, unused.
        positive_label: for two classes, the one that precision, recall and F1 are about.
        threshold: for two classes, the probability of the positive label from which it is predicted.
        settings: what else the task wants to keep (language, tokenizer of BLEU …), JSON values.
    """

    kind: Kind
    table: pa.Table
    split: str = "test"
    label_names: tuple[str, ...] = ()
    positive_label: str | None = None
    threshold: float = 0.5
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", kind_named(self.kind))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> list[Any]:
        """The column as Python values, in row order."""
        return self.table.column(name).to_pylist()

    def has(self, name: str) -> bool:
        """Whether the table has this column."""
        return name in self.table.column_names

    def label_ids(self, column: str) -> np.ndarray:
        """The label column as positions in `label_names`, int64 of shape (n,)."""
        codes = pa.compute.index_in(self.table.column(column), value_set=pa.array(self.label_names, pa.string()))
        return codes.combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64)

    def label_sets(self, column: str) -> np.ndarray:
        """Which labels each row of a multi-label column has, bool of shape (n, c) in the order of `label_names`."""
        lists = self.table.column(column).combine_chunks()
        found = np.zeros((len(self), len(self.label_names)), dtype=bool)
        labels = lists.flatten().cast(pa.string())
        ids = pa.compute.index_in(labels, value_set=pa.array(self.label_names, pa.string()))
        rows = np.repeat(np.arange(len(self)), lists.value_lengths().to_numpy(zero_copy_only=False))
        found[rows, ids.to_numpy(zero_copy_only=False).astype(np.int64)] = True
        return found

    @property
    def thresholds(self) -> np.ndarray:
        """Of several labels a row, the probability from which each is predicted, (c,)."""
        own = self.settings.get(THRESHOLDS) or [self.threshold] * len(self.label_names)
        return np.array(own, dtype=np.float64)

    def probabilities(self) -> np.ndarray:
        """Class probabilities, float64 of shape (n, c) in the order of `label_names`; NaN where null."""
        lists = self.table.column("probabilities").combine_chunks()
        if lists.null_count:
            rows = [row if row is not None else [np.nan] * len(self.label_names) for row in lists.to_pylist()]
            return np.array(rows, dtype=np.float64)
        flat = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        return flat.reshape(len(self), len(self.label_names))

    @property
    def positive_name(self) -> str | None:
        """Of two classes the positive one; None of others."""
        return self.label_names[self.positive_id] if self.has_positive else None

    @property
    def has_positive(self) -> bool:
        """Whether a row is one of two classes, so that some metrics are about one of them."""
        return self.kind.single_label and len(self.label_names) == 2

    @property
    def positive_id(self) -> int:
        """Position of the positive label in `label_names`."""
        return self.label_names.index(self.positive_label or self.label_names[-1])


def make_predictions(
    kind: str,
    columns: Mapping[str, Any],
    *,
    carried: Mapping[str, Any] | None = None,
    split: str = "test",
    label_names: Sequence[str] = (),
    positive_label: str | None = None,
    threshold: float = 0.5,
    settings: Mapping[str, Any] | None = None,
) -> Predictions:
    """Builds the table from columns of equal length (lists, or arrays of shape (n,) or (n, c)).

    `id` is the carried one, the row number in the source; without it the rows are counted from 0.

    Raises:
        InputError: a column that the kind needs is missing, or a label is not one of `label_names`.
    """
    arrays = {
        name: list(value) if isinstance(value, np.ndarray) and value.ndim > 1 else value
        for name, value in columns.items()
    }
    if kind_named(kind).multi_label:  # of nothing but empty sets pyarrow would not know the type
        arrays |= {name: pa.array(arrays[name], pa.list_(pa.string())) for name in ("reference", "prediction")}
    n = len(next(iter(arrays.values())))
    extra = {name: value for name, value in (carried or {}).items() if name not in arrays}
    table = pa.table({"id": extra.pop("id", np.arange(n)), **arrays, **extra})
    return _checked(
        Predictions(
            kind_named(kind), table, split, tuple(label_names), positive_label, threshold, dict(settings or {})
        ),
        "predictions",
    )


def write_predictions(predictions: Predictions, path: str | os.PathLike[str]) -> Path:
    """Writes parquet beside `path`, then renames: a reader never sees half a table.

    Raises:
        DiskFault: it can't be written.
    """
    path = Path(path)
    settings = {
        "kind": predictions.kind,
        "split": predictions.split,
        "label_names": list(predictions.label_names),
        "positive_label": predictions.positive_label,
        "threshold": predictions.threshold,
        "settings": dict(predictions.settings),
    }
    table = predictions.table.replace_schema_metadata({METADATA_KEY: json.dumps(settings).encode()})
    with whole_file(path, needed=table.nbytes) as partial:
        pa.parquet.write_table(table, partial)
    return path


def read_predictions(
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    label_names: Sequence[str] = (),
    positive_label: str | None = None,
    label_separator: str | None = None,
) -> Predictions:
    """Reads a table of ours, or one made anywhere (parquet, csv, tsv, jsonl).

    Args:
        path: the file; its ending tells the format.
        kind: needed for a foreign table; for ours it must agree with the table's own.
        label_names: for a foreign table, the order of `probabilities`; default the values seen, numbers by value and
            all else as text. For token classification the entity types, to say that they are meant as they are spelled.
        positive_label: of a foreign table by default the one that is looked for (spam, yes, 1 …), else the rarer.
        label_separator: of a foreign table, between several labels in one text.

    Raises:
        InputError: unknown ending or kind, a missing column, an unknown label, probabilities of the wrong width; in a
            foreign table predictions that share no label with the references or spell it otherwise, or that mostly are
            not the most probable class.
    """
    table = read_table_file(Path(path), kind, label_separator=label_separator)
    return predictions_from_arrow(table, str(path), kind=kind, label_names=label_names, positive_label=positive_label)


def predictions_from_arrow(
    table: pa.Table,
    where: str,
    *,
    kind: str | None = None,
    label_names: Sequence[str] = (),
    positive_label: str | None = None,
) -> Predictions:
    """Columns in memory as predictions, with the checks of `read_predictions`; `where` begins its messages.

    Raises:
        InputError: as `read_predictions` does.
    """
    check_readable(table, where, first_row=0)
    facts, own = read_metadata(table, where, kind=kind, label_names=label_names)
    _check_columns(facts, table.column_names, where)
    if not table.num_rows:
        raise InputError(f"{where}: the table has no rows; give one with predictions")
    table = float_numbers(plain_texts(table), facts)
    check_cell_types(table, facts, where)
    if "id" not in table.column_names:
        table = table.add_column(0, "id", pa.array(np.arange(table.num_rows)))
    names: tuple[str, ...] = ()
    notes: list[str] = []
    if facts.multi_label:
        table = _sets_as_text(table, where)
        reference, prediction = (table.column(name).to_pylist() for name in ("reference", "prediction"))
        if not own and not label_names:
            check_label_sets(reference, prediction, where)
        seen = {label for row in (*reference, *prediction) for label in row}
        names = tuple(label_names) or tuple(own.get("label_names", ()))
        names = names or sort_labels(seen.union(labels_in_columns(table.column_names)))
        if not own:
            table, notes = find_probabilities(table, names, None, independent=True)
        table = sets_in_order(table, names)
    if facts.single_label:
        table = _labels_as_text(table, where)
        if not own and not label_names:
            check_names(table.column("reference").to_pylist(), table.column("prediction").to_pylist(), where)
        names = tuple(label_names) or tuple(own.get("label_names", ())) or _seen_labels(table)
        if not own:
            counts = Counter(table.column("reference").to_pylist())
            positive_label = positive_label or (default_positive(names, counts) if len(names) == 2 else None)
            table, notes = find_probabilities(table, names, positive_label)
    predictions = _checked(
        Predictions(
            facts,
            table.replace_schema_metadata(None),
            own.get("split", "test"),
            names,
            positive_label or own.get("positive_label"),
            own.get("threshold", 0.5),
            {**own.get("settings", {}), **({COLUMN_NOTES: notes} if notes else {})},
        ),
        where,
    )
    if not own:
        _check_foreign(predictions, where, named=label_names)
    return predictions


def _check_columns(kind: Kind, found: Collection[str], where: str) -> None:
    missing = [name for name in kind.required if name not in found]
    if missing:
        raise InputError(
            f"{where}: no column {missing[0]!r}; found {list(found)}. A {kind} table needs "
            f"{', '.join(kind.required)}: rename the column"
        )


def is_list(kind: pa.DataType) -> bool:
    """Whether a column of this type holds lists, of one length or several."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _labels_as_text(table: pa.Table, where: str) -> pa.Table:
    for name in ("reference", "prediction"):
        position, column = table.column_names.index(name), table.column(name)
        labels = column if pa.types.is_string(column.type) and not column.null_count else None
        if labels is None:  # numbers, truth values, categories of pandas, or a row without a label
            labels = pa.array(to_labels(column.to_pylist(), where, name), pa.string())
        table = table.set_column(position, name, labels)
    return table


def _sets_as_text(table: pa.Table, where: str) -> pa.Table:
    for name in ("reference", "prediction"):
        sets = [to_label_set(cell, where, name, row) for row, cell in enumerate(table.column(name).to_pylist())]
        table = table.set_column(table.column_names.index(name), name, pa.array(sets, pa.list_(pa.string())))
    return table


def sets_in_order(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The labels of each row in the order of the names, so that equal sets are equal lists; unknown ones are last."""
    place = {name: position for position, name in enumerate(names)}
    for name in ("reference", "prediction"):
        rows = table.column(name).to_pylist()
        ordered = [sorted(set(row), key=lambda label: (place.get(label, len(place)), label)) for row in rows]
        table = table.set_column(table.column_names.index(name), name, pa.array(ordered, pa.list_(pa.string())))
    return table


def _seen_labels(table: pa.Table) -> tuple[str, ...]:
    seen = {label for name in ("reference", "prediction") for label in table.column(name).unique().to_pylist()}
    return sort_labels(seen.union(labels_in_columns(table.column_names)))


def _check_foreign(predictions: Predictions, where: str, *, named: Sequence[str]) -> None:
    """What a table made elsewhere must keep to, so that its numbers are about the model and not about its spelling."""
    if predictions.kind.tagged and not named:
        reference, prediction = (predictions.column(name) for name in ("reference", "prediction"))
        check_entity_types(reference, prediction, where)
        if all(isinstance(tag, str) for rows in (reference, prediction) for row in rows for tag in row or [None]):
            check_tag_scheme(reference, prediction, where)
    if predictions.kind.multi_label and predictions.has("probabilities"):
        sets = predictions.label_sets("prediction")
        check_independent_order(sets, predictions.probabilities(), predictions.label_names, where)
    if predictions.kind.single_label and predictions.has("probabilities"):
        ids = predictions.label_ids("prediction")
        check_order(ids, predictions.probabilities(), predictions.label_names, where, named=bool(named))


def _checked(predictions: Predictions, where: str) -> Predictions:
    _check_columns(predictions.kind, predictions.table.column_names, where)
    if not predictions.kind.single_label and not predictions.kind.multi_label:
        return predictions
    names = predictions.label_names
    for column in ("reference", "prediction"):
        labels = predictions.table.column(column).combine_chunks()
        rows = None
        if predictions.kind.multi_label:
            rows = np.repeat(np.arange(len(labels)), labels.value_lengths().to_numpy(zero_copy_only=False))
            labels = labels.flatten().cast(pa.string())
        known = pa.compute.is_in(labels, value_set=pa.array(names, pa.string()))
        if not pa.compute.all(known, min_count=0).as_py():
            place = known.to_pylist().index(False)
            found, row = labels[place].as_py(), place if rows is None else int(rows[place])
            near = None if found is None else closest_label(found, names)
            hint = f", did you mean {near!r}?" if near else ";"
            raise InputError(
                f"{where} row {row}: {column} {found!r} is not one of the labels {list(names)}{hint} name all with "
                "--labels"
            )
    if predictions.positive_label is not None and predictions.positive_label not in names:
        raise InputError(
            f"{where}: positive label {predictions.positive_label!r} is not one of the labels {list(names)}"
        )
    if predictions.has("probabilities"):
        _check_probabilities(predictions, where)
    return predictions


def _check_probabilities(predictions: Predictions, where: str) -> None:
    """One for each label; whether they are finite and add up to 1 is told by the check `numerics`."""
    names = list(predictions.label_names)
    for row, cell in enumerate(predictions.table.column("probabilities").to_pylist()):
        if cell is None:
            continue
        if not isinstance(cell, list) or any(isinstance(one, str) for one in cell):
            raise InputError(
                f"{where} row {row}: probabilities {cell!r} is not a list of numbers; give one for each of {names}"
            )
        if len(cell) != len(names):
            raise InputError(f"{where} row {row}: {len(cell)} probabilities for {len(names)} labels {names}")
