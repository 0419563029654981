"""Whether two predictions tables are about the same rows; the first difference is named."""

from dataclasses import replace

import pyarrow as pa

from llmtune.errors import InputError, truncated_repr
from llmtune.predictions import Predictions
from llmtune.predictions.table import THRESHOLDS, sets_in_order


def same_rows(a: Predictions, b: Predictions, names: tuple[str, str]) -> Predictions:
    """B, its labels in the order of A's.

    Raises:
        InputError: they differ in kind, split, labels or rows; the message names the first difference.
    """
    for what, of_a, of_b in (("kind", a.kind, b.kind), ("split", a.split, b.split)):
        if of_a != of_b:
            raise InputError(
                f"{names[0]} is of {what} {of_a!r}, {names[1]} of {what} {of_b!r}; give tables of one {what}"
            )
    b = _same_labels(a, b, names)
    if len(a) != len(b):
        raise InputError(
            f"{names[0]} has {len(a):,} rows, {names[1]} has {len(b):,}; give predictions of the same rows"
        )
    for column in (*_id_column(a, b), *_row_columns(a, b)):
        cells = list(zip(a.column(column), b.column(column), strict=True))
        row = next((i for i, (x, y) in enumerate(cells) if x != y and not (x != x and y != y)), None)
        if row is not None:
            x, y = map(truncated_repr, cells[row])
            raise InputError(
                f"row {row}: {column} is {x} in {names[0]} but {y} in {names[1]}; give predictions of the same rows, "
                "in the same order"
            )
    return b


def _id_column(a: Predictions, b: Predictions) -> list[str]:
    """`id`, but for a table that only counts its rows since it named none, beside one with row numbers."""
    ids = a.column("id"), b.column("id")
    counted = list(range(len(a))) in ids
    return [] if counted and set(ids[0]) != set(ids[1]) else ["id"]


def _row_columns(a: Predictions, b: Predictions) -> list[str]:
    """The columns that tell whether rows are the same, as far as both tables have them."""
    return [name for name in a.kind.row_columns if a.has(name) and b.has(name)]


def _same_labels(a: Predictions, b: Predictions, names: tuple[str, str]) -> Predictions:
    if not a.kind.single_label and not a.kind.multi_label:
        return b
    if set(a.label_names) != set(b.label_names):
        raise InputError(
            f"{names[0]} has the labels {', '.join(a.label_names)}, {names[1]} has {', '.join(b.label_names)}; compare "
            "models of the same labels (a table made elsewhere is told them by --labels)"
        )
    positive_a, positive_b = (table.positive_label or table.label_names[-1] for table in (a, b))
    if a.has_positive and positive_a != positive_b:
        raise InputError(
            f"the positive label is {positive_a!r} in {names[0]} but {positive_b!r} in {names[1]}; choose one by "
            "--positive_label"
        )
    if a.label_names == b.label_names:
        return b
    table, settings = b.table, b.settings
    order = [b.label_names.index(name) for name in a.label_names]
    if b.has("probabilities"):
        reordered = pa.array(list(b.probabilities()[:, order]))
        table = table.set_column(table.column_names.index("probabilities"), "probabilities", reordered)
    if b.kind.multi_label:
        table = sets_in_order(table, a.label_names)
        if THRESHOLDS in settings:
            settings = {**settings, THRESHOLDS: [settings[THRESHOLDS][place] for place in order]}
        return replace(b, table=table, label_names=a.label_names, settings=settings)
    return replace(b, table=table, label_names=a.label_names, positive_label=positive_b)
