"""Probabilities of a table made elsewhere, in the columns that people write: `probability[spam]`, `proba_0`, `y_prob`.

What looks like a probability is read, or named with the reason why it is not. Letters: n rows, c classes.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

PREFIXES = ("probability", "probabilities", "proba", "prob", "y_proba", "y_prob", "y_score", "score", "p")
OF_LABEL = re.compile(rf"({'|'.join(PREFIXES)})(?:\[(.+)\]|_(.+))")
BRACKETED = re.compile(rf"(?:{'|'.join(PREFIXES)})\[(.+)\]")
INSTEAD = "give a column probabilities, with a list of one number a label"


class FoundProbabilities(NamedTuple):
    """What the columns gave.

    Args:
        table: with a column `probabilities` where there are some.
        notes: what was read and how, and what looks like a probability and is not used.
    """

    table: pa.Table
    notes: list[str]


def labels_in_columns(names: Sequence[str]) -> list[str]:
    """The labels that columns such as `probability[spam]` name: one may be neither predicted nor a reference.

    >>> labels_in_columns(["text", "probability[ham]", "p[spam]", "proba_0"])
    ['ham', 'spam']
    """
    return [match[1] for name in names if (match := BRACKETED.fullmatch(name))]


def find_probabilities(
    table: pa.Table, label_names: Sequence[str], positive_label: str | None, *, independent: bool = False
) -> FoundProbabilities:
    """The table with the column `probabilities`, from columns that are named otherwise.

    Args:
        table: n rows, with `prediction` as text; one that has `probabilities` is returned as it is.
        label_names: the c classes.
        positive_label: of two, the one that a single column is about; default the last.
        independent: whether a row may have several labels: then no probability follows from another.
    """
    if "probabilities" in table.column_names or len(label_names) < 2:
        return FoundProbabilities(table, [])
    found: np.ndarray | None = None
    notes: list[str] = []
    for prefix, columns in _columns_of_labels(table.column_names, label_names).items():
        values, note = _from_labels(table, columns, label_names, independent)
        found, notes = _taken(found, values, notes, note, prefix)
    for name in [name for name in table.column_names if name in PREFIXES and not independent]:
        values, note = _from_single(table, name, label_names, positive_label)
        found, notes = _taken(found, values, notes, note, name)
    if found is None:
        return FoundProbabilities(table, notes)
    rows = [row.tolist() if np.isfinite(row).all() else None for row in found]
    return FoundProbabilities(table.append_column("probabilities", pa.array(rows, pa.list_(pa.float64()))), notes)


def _taken(
    found: np.ndarray | None, values: np.ndarray | None, notes: list[str], note: str, name: str
) -> tuple[np.ndarray | None, list[str]]:
    """The first probabilities, and what is said of these."""
    if found is not None and values is not None:
        return found, [*notes, f"column {name!r} is not used: the probabilities were read already"]
    return (values if found is None else found), [*notes, note]


def _columns_of_labels(names: Sequence[str], label_names: Sequence[str]) -> dict[str, dict[str, str]]:
    """By what stands before the label: label or position → column."""
    groups: dict[str, dict[str, str]] = {}
    positions = set(map(str, range(len(label_names))))
    for name in names:
        match = OF_LABEL.fullmatch(name)
        if match and (match[2] or match[3] in label_names or match[3] in positions):
            groups.setdefault(match[1], {})[match[2] or match[3]] = name
    return groups


def _from_labels(
    table: pa.Table, columns: Mapping[str, str], label_names: Sequence[str], independent: bool
) -> tuple[np.ndarray | None, str]:
    shown = ", ".join(columns.values())
    keys = list(label_names)
    if not set(keys) <= set(columns) and set(columns) == set(map(str, range(len(keys)))):
        keys = [str(position) for position in range(len(keys))]  # scikit-learn's order, that of the sorted labels
    given = [key for key in keys if key in columns]
    missing = [key for key in keys if key not in columns]
    if len(missing) > (len(keys) == 2 and not independent) or not given:
        return None, f"columns {shown} are not used: none is of {', '.join(map(repr, missing))}; {INSTEAD}"
    numbers = {key: _numbers(table, columns[key]) for key in given}
    texts = [columns[key] for key, values in numbers.items() if values is None]
    if texts:
        return None, f"columns {shown} are not used: {texts[0]!r} holds what is no number; {INSTEAD}"
    known = {key: values for key, values in numbers.items() if values is not None}
    if missing:
        known[missing[0]] = 1 - known[given[0]]
    order = f", in the order {', '.join(label_names)}" if keys != list(label_names) else ""
    return np.stack([known[key] for key in keys], axis=1), f"probabilities are read from {shown}{order}"


def _from_single(
    table: pa.Table, name: str, label_names: Sequence[str], positive_label: str | None
) -> tuple[np.ndarray | None, str]:
    values = _numbers(table, name)
    if values is None:
        return None, f"column {name!r} is not used: it holds what is no number"
    if len(label_names) != 2:
        return (
            None,
            f"column {name!r} is not used: one number does not say the probability of {len(label_names)} labels",
        )
    finite = np.isfinite(values)
    low, high = values[finite].min(initial=1.0), values[finite].max(initial=0.0)
    if low < 0 or high > 1:
        return None, f"column {name!r} is not used: values from {low:.3g} to {high:.3g} are no probabilities"
    positive = label_names.index(positive_label or label_names[-1])
    is_positive = np.array(table.column("prediction").to_pylist()) == label_names[positive]
    of_positive, of = _of_positive(values, is_positive, finite)
    if of_positive is None:
        return None, (
            f"column {name!r} is not used: it is neither the probability of one label nor that of the prediction; "
            f"{INSTEAD}"
        )
    both = [of_positive, 1 - of_positive] if positive == 0 else [1 - of_positive, of_positive]
    label = {"positive": label_names[positive], "negative": label_names[1 - positive]}.get(of, "the prediction")
    return np.stack(both, axis=1), f"column {name!r} is read as the probability of {label}"


def _of_positive(values: np.ndarray, is_positive: np.ndarray, finite: np.ndarray) -> tuple[np.ndarray | None, str]:
    """The probabilities of the positive label, and what the values are of: the predictions tell."""
    yes, no = values[finite & is_positive], values[finite & ~is_positive]
    if min(yes.min(initial=1.0), no.min(initial=1.0)) >= 0.5:  # of the label that was predicted, as in pipelines
        return np.where(is_positive, values, 1 - values), "prediction"
    lowest_yes, highest_yes = (yes.min(), yes.max()) if len(yes) else (0.5, 0.5)
    lowest_no, highest_no = (no.min(), no.max()) if len(no) else (0.5, 0.5)
    if lowest_yes >= highest_no:
        return values, "positive"
    if lowest_no >= highest_yes:
        return 1 - values, "negative"
    return None, ""


def _numbers(table: pa.Table, name: str) -> np.ndarray | None:
    """The column as float64 of shape (n,), NaN where null; None where a cell is no number."""
    kind = table.column(name).type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        return None
    cells = table.column(name).to_pylist()
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
