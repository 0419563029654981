"""Sums of a regression's or forecast's errors; its metrics are their ratios. Letters: n rows, h steps of horizon."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, ratio
from llmtune.metrics.core.clusters import cluster_bootstrap_interval
from llmtune.stats import Statistic


@dataclass(frozen=True)
class RowSums:
    """Statistics: for each row the sum over its steps of a number `of` the pair, and its steps: (n, 2)."""

    of: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def __call__(self, columns: Columns) -> np.ndarray:
        """One row a unit; all its steps count alike."""
        reference, prediction = columns["reference"], columns["prediction"]
        values = self.of(reference, prediction)
        return np.stack([values.sum(axis=1), np.full(len(values), values.shape[1])], axis=1).astype(np.float64)


def squared(reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Squared errors."""
    return (prediction - reference) ** 2


def absolute(reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Absolute errors."""
    return np.abs(prediction - reference)


SQUARED, ABSOLUTE = RowSums(squared), RowSums(absolute)


def mean(sums: np.ndarray) -> np.ndarray:
    """Over all steps of all rows, (B, 2) → (B,)."""
    return ratio(sums[:, 0], sums[:, 1])


def some_steps(sums: np.ndarray) -> str | None:
    """Undefined without rows."""
    return None if sums[1] else "no rows to score"


def error_metric(
    name: str,
    statistics: RowSums,
    score: Statistic = mean,
    *,
    unit: str,
    signature: str = "average:steps of all rows",
    greatest: float = math.inf,
    undefined: Callable[[np.ndarray], str | None] = some_steps,
) -> Metric:
    """A metric of errors: 0 is perfect, lower is better."""
    return Metric(
        name=name,
        statistics=statistics,
        score=score,
        interval=cluster_bootstrap_interval(score),
        signature=signature,
        range=(0.0, greatest),
        undefined=undefined,
        higher_is_better=False,
        unit=unit,
    )


def zero_targets(sums: np.ndarray) -> str | None:
    """A sum that met a zero target is NaN: the percentage of nothing."""
    if math.isnan(float(sums[0])):
        return "some reference is 0: an error in percent of it has no meaning; read mae or mase"
    return some_steps(sums)
