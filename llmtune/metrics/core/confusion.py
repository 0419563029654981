"""The confusion matrix: the statistics that accuracy, F1, MCC and kin are computed from.

Letters: c classes, B matrices. Rows are the reference, columns the prediction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from llmtune.metrics.core.base import Columns, MetricContext, SufficientStatistics, insufficient_support
from llmtune.predictions.median_classes import DECIDED_BY
from llmtune.stats import ConfidenceInterval, Statistic, multinomial_bootstrap, wilson_interval


def confusion_matrix(reference_ids: np.ndarray, prediction_ids: np.ndarray, n_classes: int) -> np.ndarray:
    """Rows counted by [reference, prediction]: int64 of shape (c, c), from two arrays of shape (n,).

    Raises:
        ValueError: unequal lengths, or an id that is not one of 0 … c - 1 (then the row is named).

    >>> confusion_matrix([0, 1, 1], [0, 1, 0], 2).tolist()
    [[1, 0], [1, 1]]
    """
    reference, prediction = np.asarray(reference_ids), np.asarray(prediction_ids)
    if reference.shape != prediction.shape:
        raise ValueError(f"{len(reference)} references but {len(prediction)} predictions; give one of each a row")
    for name, ids in (("reference", reference), ("prediction", prediction)):
        if ids.size == 0:
            continue
        if not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(f"{name} ids are {ids.dtype}; give whole numbers 0 to {n_classes - 1} (0.9 is no class)")
        if ids.min() < 0 or ids.max() >= n_classes:
            row = int(np.flatnonzero((ids < 0) | (ids >= n_classes))[0])
            raise ValueError(
                f"row {row}: {name} id {ids[row]} is not one of the {n_classes} classes 0 to {n_classes - 1}; "
                "name all labels in label_names"
            )
    cells = reference.astype(np.int64) * n_classes + prediction
    return np.bincount(cells.ravel(), minlength=n_classes * n_classes).reshape(n_classes, n_classes).astype(np.int64)


@dataclass(frozen=True)
class ConfusionCounts:
    """Statistics: the confusion matrix of a batch, shape (1, c, c)."""

    n_classes: int

    def __call__(self, columns: Columns) -> np.ndarray:
        """Counts a batch."""
        return confusion_matrix(columns["reference"], columns["prediction"], self.n_classes)[None]


def decision_signature(setting: MetricContext) -> str:
    """The settings that a number about the positive label depends on, as a piece of signature."""
    positive = "" if setting.positive_id is None else f"positive:{setting.label_names[setting.positive_id]}|"
    if setting.positive_id is not None:
        return f"{positive}threshold:{setting.threshold:g}"
    return f"decision:{setting.options.get(DECIDED_BY, 'median') if setting.options.get('ordinal') else 'argmax'}"


def one_against_rest(matrix: np.ndarray, label: int) -> np.ndarray:
    """The matrix (2, 2) of one class against all others; the class is number 1."""
    hits = matrix[label, label]
    missed, spurious = matrix[label].sum() - hits, matrix[:, label].sum() - hits
    return np.array([[matrix.sum() - hits - missed - spurious, spurious], [missed, hits]])


def require_support(matrix: np.ndarray, setting: MetricContext, labels: range | list[int]) -> ConfidenceInterval | None:
    """The empty interval where one of these classes has too few rows, named."""
    support = matrix.sum(axis=1)
    rarest = min(labels, key=lambda label: support[label], default=None)
    if rarest is None:
        return insufficient_support(0, "rows")
    return insufficient_support(support[rarest], f"rows of {setting.label_names[rarest]!r}")


def confusion_bootstrap_interval(
    setting: MetricContext, score: Statistic, *, all_classes: bool
) -> Callable[[SufficientStatistics], ConfidenceInterval]:
    """Interval of a score of the whole matrix: BCa, above the evidence floor in every class (or each that occurs)."""

    def interval(sample: SufficientStatistics) -> ConfidenceInterval:
        matrix = sample.total
        labels = [label for label in range(len(matrix)) if all_classes or matrix[label].sum()]
        few = require_support(matrix, setting, labels)
        return few or with_extreme_classes(matrix, score, multinomial_bootstrap(matrix, score, seed=sample.seed))

    return interval


def with_extreme_classes(matrix: np.ndarray, score: Statistic, drawn: ConfidenceInterval) -> ConfidenceInterval:
    """The bootstrap's interval, wider by what it can't see: classes of which all rows or none are right.

    No resample finds a row of a class that was never found, though its recall may be 9 % of 40 rows. The score at
    Wilson's limit of that recall is how far it may be off; these and the bootstrap's own half widths add up as squares
    (MOVER, Zou and Donner 2008).
    """
    counts = matrix.astype(np.float64)
    moved = (_at_wilsons_limit(counts, label) for label in range(len(matrix)))
    return widened(drawn, counts, score, [limit for limit in moved if limit is not None])


def widened(
    drawn: ConfidenceInterval, counts: np.ndarray, score: Statistic, moved: Sequence[np.ndarray]
) -> ConfidenceInterval:
    """A bootstrap's interval with what it can't see: its half widths and the changes of the score added as squares.

    Args:
        drawn: of the bootstrap; stays as it is where that was refused.
        counts: that were seen, of any shape.
        score: of them, (B, …) → (B,).
        moved: counts of the same shape that may as well be true.
    """
    if drawn.low is None and not drawn.is_alike:
        return drawn
    value, *others = (float(score(table[None])[0]) for table in (counts, *moved))
    low, high = (value if end is None else end for end in drawn[:2])
    below = [value - low, *(max(0.0, value - other) for other in others)]
    above = [high - value, *(max(0.0, other - value) for other in others)]
    if not (any(below) or any(above)):
        return drawn
    return ConfidenceInterval(value - float(np.hypot.reduce(below)), value + float(np.hypot.reduce(above)))


def _at_wilsons_limit(matrix: np.ndarray, label: int) -> np.ndarray | None:
    """The matrix with the recall of a class that is 0 or 1 at the other end of its interval; None for other classes."""
    n, hits = matrix[label].sum(), matrix[label, label]
    if n == 0 or 0 < hits < n:
        return None
    limits = wilson_interval(int(hits), int(n))
    moved = matrix.copy()
    if hits == 0:
        moved[label] *= 1 - (limits.high or 0.0)
        moved[label, label] = n * (limits.high or 0.0)
        return moved
    others = np.delete(np.arange(len(matrix)), label)
    if not len(others):
        return None
    moved[label, label] = n * (limits.low or 0.0)
    # Where its rows would go is unknown: to the other classes as often as those are predicted.
    called = matrix[:, others].sum(axis=0) + 1
    moved[label, others] = (n - moved[label, label]) * called / called.sum()
    return moved
