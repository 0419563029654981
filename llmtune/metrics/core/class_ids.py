"""Class ids as `evaluate` hands them over, and averages of a ratio over the labels that it was told or that occur."""

from collections.abc import Sequence

import numpy as np

from llmtune.metrics.core.averages import ClassRatio
from llmtune.metrics.core.base import IGNORED
from llmtune.metrics.core.confusion import confusion_matrix

AVERAGES = ("binary", "macro", "micro", "weighted")


def class_ids(name: str, values: Sequence[float]) -> np.ndarray:
    """Whole numbers, int64 (n,).

    Raises:
        ValueError: a value that is no class id. `evaluate`'s own modules cut 0.9 to 0 and score it.
    """
    given = np.asarray(values, dtype=np.float64)
    ids = given.astype(np.int64)
    wrong = np.flatnonzero(ids != given)
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"row {row}: {name} {given[row]:g} is no class id; give whole numbers (arg-max of probabilities)"
        )
    return ids


def counted_ids(predictions: Sequence[float], references: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Class ids of the rows that count: as in the Trainer a reference of -100 is padding."""
    predicted, referenced = class_ids("prediction", predictions), class_ids("reference", references)
    counted = referenced != IGNORED
    return predicted[counted], referenced[counted]


def confusion_of(predictions: Sequence[float], references: Sequence[float], labels: Sequence[int]) -> np.ndarray:
    """Confusion matrix (c, c) over `labels`, or over the ids that occur where none are given."""
    predicted, referenced = counted_ids(predictions, references)
    seen = np.union1d(predicted, referenced)
    positions = np.asarray(labels, dtype=np.int64) if len(labels) else seen
    unknown = np.setdiff1d(seen, positions)
    if len(unknown):
        raise ValueError(f"class id {unknown[0]} occurs but is not one of labels={positions.tolist()}; name all labels")
    order = np.argsort(positions)
    found = [order[np.searchsorted(positions, ids, sorter=order)] for ids in (referenced, predicted)]
    return confusion_matrix(found[0], found[1], len(positions))


def average_of(
    ratio_of: ClassRatio,
    predictions: Sequence[float],
    references: Sequence[float],
    *,
    average: str | None,
    labels: Sequence[int],
    pos_label: int,
) -> float | list[float]:
    """One average, or with None the ratio of each class, of sklearn's meaning.

    Raises:
        ValueError: an unknown average, or "binary" with more than two classes or without `pos_label`.
    """
    if average is not None and average not in AVERAGES:
        raise ValueError(f"{ratio_of.name}: average {average!r} is not one of {', '.join(AVERAGES)}, or None")
    if average == "binary":
        predicted, referenced = counted_ids(predictions, references)
        seen = np.union1d(predicted, referenced)
        if len(np.union1d(seen, [pos_label])) > 2:
            raise ValueError(
                f"{ratio_of.name}: average 'binary' is about one of two classes, found {seen.tolist()} and "
                f"pos_label={pos_label}; use average='macro', 'micro' or 'weighted', or another pos_label"
            )
        flags = [(ids == pos_label).astype(np.int64) for ids in (referenced, predicted)]
        return float(ratio_of.of_class(confusion_matrix(flags[0], flags[1], 2)[None], 1)[0])
    matrix = confusion_of(predictions, references, labels)[None]
    if average is None:
        return [float(value) for value in ratio_of.per_class(matrix)[0]]
    return float({"macro": ratio_of.macro, "micro": ratio_of.micro, "weighted": ratio_of.weighted}[average](matrix)[0])
