"""Means of a number that each row has (log loss, Brier score): power sums as statistics, a closed form as interval."""

import numpy as np

from llmtune.metrics.core.base import SufficientStatistics, insufficient_support, ratio
from llmtune.stats import ConfidenceInterval, mean_interval


def power_sums(values: np.ndarray) -> np.ndarray:
    """Statistics of a batch from values (n,): count, sum, sum of squares, of cubes; shape (1, 4)."""
    values = np.asarray(values, dtype=np.float64)
    return np.array([[len(values), values.sum(), (values**2).sum(), (values**3).sum()]])


def row_mean(sums: np.ndarray) -> np.ndarray:
    """(B, 4) → (B,)."""
    return ratio(sums[:, 1], sums[:, 0])


def interval(sample: SufficientStatistics) -> ConfidenceInterval:
    """Student's t, corrected for skewness."""
    n, total, squares, cubes = sample.total
    return insufficient_support(n, "rows") or mean_interval(n, total, squares, cubes)


def undefined(sums: np.ndarray) -> str | None:
    """Without rows."""
    return None if sums[0] else "no rows to score"
