"""Proportions of a predictions table: of each class or entity type its recall and precision, row by row.

Letters: n rows.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from llmtune.metrics.core.columns import read_columns
from llmtune.metrics.entity_f1 import EntityCounts
from llmtune.metrics.token_accuracy import tag_statistics
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import CLASSIFICATION, MULTILABEL_CLASSIFICATION, TOKEN_CLASSIFICATION, Kind
from llmtune.stats import wilson_interval

MOST_MORE = 100  # times the rows there are: beyond, no one labels them


@dataclass(frozen=True)
class Proportion:
    """Hits of n trials."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share; 0 without trials."""
        return self.hits / self.n if self.n else 0.0

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Wilson's, (0, 1) without trials."""
        low, high, _ = wilson_interval(self.hits, self.n, level)
        return (0.0, 1.0) if low is None or high is None else (low, high)

    def significantly_below(self, bound: float, *, p: float) -> bool:
        """Whether the one-sided test at `p` rejects that the true share reaches `bound`."""
        return self.interval(1 - 2 * p)[1] < bound

    def to_json(self) -> dict[str, float | int]:
        """Value, 95 % interval and counts."""
        low, high = self.interval()
        return {"value": self.value, "low": low, "high": high, "hits": self.hits, "n": self.n}


@dataclass(frozen=True)
class RowCounts:
    """Hits and trials of each row, both int64 (n,): 0 or 1 for classes, more for the entities of a sentence."""

    hits: np.ndarray
    trials: np.ndarray

    @cached_property
    def rate(self) -> Proportion:
        """Over all rows."""
        return Proportion(int(self.hits.sum()), int(self.trials.sum()))

    def of(self, rows: np.ndarray) -> Proportion:
        """Over the rows of this mask or index."""
        return Proportion(int(self.hits[rows].sum()), int(self.trials[rows].sum()))


@dataclass(frozen=True)
class ClassCounts:
    """What a table shows of each class.

    Args:
        labels: classes, or entity types of the reference.
        recall: of each label; its trials are the examples of the label.
        precision: of each label; its trials are the predictions of the label.
        accuracy: of rows, of words where rows are sentences, of decisions where rows have several labels.
        majority: share of the most frequent class, of the words outside entities, of the labels that rows have not.
    """

    labels: tuple[str, ...]
    recall: Mapping[str, RowCounts]
    precision: Mapping[str, RowCounts]
    accuracy: Proportion
    majority: float

    def support(self, label: str) -> int:
        """Examples of a label."""
        return self.recall[label].rate.n

    @property
    def rarest(self) -> str:
        """The label with the fewest examples."""
        return min(self.labels, key=self.support)


def outcomes(predictions: Predictions) -> ClassCounts:
    """Of a classification or token-classification table."""
    return OUTCOMES[predictions.kind](predictions)


def _of_classes(predictions: Predictions) -> ClassCounts:
    names = predictions.label_names
    reference, prediction = predictions.label_ids("reference"), predictions.label_ids("prediction")
    hit = reference == prediction
    recall, precision = {}, {}
    for label, name in enumerate(names):
        is_it, said = reference == label, prediction == label
        recall[name] = RowCounts((is_it & hit).astype(np.int64), is_it.astype(np.int64))
        precision[name] = RowCounts((said & hit).astype(np.int64), said.astype(np.int64))
    counts = np.bincount(reference, minlength=len(names))
    majority = float(counts.max() / max(1, counts.sum()))
    return ClassCounts(names, recall, precision, Proportion(int(hit.sum()), len(hit)), majority)


def _of_label_sets(predictions: Predictions) -> ClassCounts:
    """Each label against its absence; the accuracy is of all decisions, one a row and label."""
    reference, prediction = (predictions.label_sets(name) for name in ("reference", "prediction"))
    hits = (reference & prediction).astype(np.int64)
    recall, precision = (
        {
            name: RowCounts(hits[:, label], trials[:, label].astype(np.int64))
            for label, name in enumerate(predictions.label_names)
        }
        for trials in (reference, prediction)
    )
    right = Proportion(int((reference == prediction).sum()), reference.size)
    return ClassCounts(predictions.label_names, recall, precision, right, float(1 - reference.mean()))


def _of_entities(predictions: Predictions) -> ClassCounts:
    """By the statistics of the strict entity metrics: what a check says is what the report's table says."""
    setting, columns, _ = read_columns(predictions)
    counts = EntityCounts(setting.label_names, setting.options["scheme"])(columns).astype(np.int64)
    right, words = tag_statistics(columns).sum(axis=0)
    reference = columns["reference"]
    outside = int((np.array(reference.names, dtype=object) == "O")[reference.codes].sum()) if words else 0
    of_type = {kind: counts[:, k] for k, kind in enumerate(setting.label_names) if counts[:, k, 1].any()}
    return ClassCounts(
        tuple(of_type),
        {kind: RowCounts(of_kind[:, 0], of_kind[:, 1]) for kind, of_kind in of_type.items()},
        {kind: RowCounts(of_kind[:, 0], of_kind[:, 2]) for kind, of_kind in of_type.items()},
        Proportion(int(right), int(words)),
        outside / max(1, int(words)),
    )


OUTCOMES: dict[Kind, Callable[[Predictions], ClassCounts]] = {
    CLASSIFICATION: _of_classes,
    MULTILABEL_CLASSIFICATION: _of_label_sets,
    TOKEN_CLASSIFICATION: _of_entities,
}


def rows_to_decide(value: float, target: float, level: float = 0.95) -> int | None:
    """Examples from which on Wilson's interval about `value` leaves out `target`; None where they are equal.

    >>> rows_to_decide(0.9, 0.8)
    62
    """
    if abs(value - target) < 1e-9:
        return None
    z = float(special.ndtri(0.5 + level / 2))
    return math.ceil(z * z * target * (1 - target) / (value - target) ** 2)


def rows_to_narrow(n: int, value: float, low: float, high: float, bound: float) -> int | None:
    """Rows from which on the interval leaves out `bound`, if it narrows with the root of n; None for far too many.

    >>> rows_to_narrow(100, 0.8, 0.6, 0.9, 0.7), rows_to_narrow(100, 0.8, 0.6, 0.9, 0.8)
    (400, None)
    """
    half = value - low if bound < value else high - value
    distance = abs(value - bound)
    if distance * math.sqrt(MOST_MORE) <= half:
        return None
    return math.ceil(n * (half / distance) ** 2 - 1e-9)


def newcombe_difference(a: Proportion, b: Proportion, level: float = 0.95) -> tuple[float, float, float]:
    """Difference a - b of two independent proportions with Newcombe's (1998) interval: (difference, low, high)."""
    (low_a, high_a), (low_b, high_b) = a.interval(level), b.interval(level)
    difference = a.value - b.value
    low = difference - math.hypot(a.value - low_a, high_b - b.value)
    high = difference + math.hypot(high_a - a.value, b.value - low_b)
    return difference, low, high
