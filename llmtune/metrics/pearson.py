"""Pearson's correlation of prediction and reference: 1 for a rising line, 0 for none; blind to offset and scale.

Of texts alone: the steps of a series depend on each other, and even its last value correlates with the next.
"""

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.correlation import SURE, correlation, fisher_interval, product_moment
from llmtune.predictions.kinds import REGRESSION
from llmtune.stats import ConfidenceInterval

KINDS = (REGRESSION,)


def score(batches: np.ndarray) -> np.ndarray:
    """(B, n, 2) → (B,), as scipy's pearsonr."""
    return np.array([product_moment(rows) for rows in batches])


def interval(rows: np.ndarray) -> ConfidenceInterval:
    """Of rows (n, 2), by the jackknife of z (Efron 1982): at 50 rows it covers a point more than influences do."""
    value = product_moment(rows)
    off = rows - rows.mean(axis=0)
    x, y = (off / off.std(axis=0)).T
    sums = np.stack([x, y, x * x, y * y, x * y], axis=1)
    sx, sy, sxx, syy, sxy = (sums.sum(axis=0) - sums).T  # without each row
    n = len(rows) - 1
    with np.errstate(divide="ignore", invalid="ignore"):  # without one row the others may be constant
        without = (sxy - sx * sy / n) / np.sqrt((sxx - sx * sx / n) * (syy - sy * sy / n))
    return fisher_interval(value, n * -np.arctanh(np.clip(without, -SURE, SURE)))


def metrics(setting: MetricContext) -> list[Metric]:
    """`pearson`."""
    return [] if setting.options.get("series") else [correlation("pearson", score, interval)]
