"""Spearman's rank correlation of prediction and reference: 1 where both order the rows alike, whatever the scale.

Equal numbers share the mean of their ranks. Of texts alone, as Pearson's.
"""

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.correlation import correlation, fisher_interval, product_moment
from llmtune.predictions.kinds import REGRESSION
from llmtune.stats import ConfidenceInterval

KINDS = (REGRESSION,)


def ranks(values: np.ndarray) -> np.ndarray:
    """From 1, of equal values (n,) the mean of theirs: scipy's rankdata, without scipy.stats' second of import."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: np.ndarray = (last - (counts - 1) / 2)[place]
    return shared


def ranked(rows: np.ndarray) -> np.ndarray:
    """Rows (n, 2) with the ranks of each column in its place."""
    return np.stack([ranks(values) for values in rows.T], axis=1)


def score(batches: np.ndarray) -> np.ndarray:
    """(B, n, 2) → (B,), as scipy's spearmanr."""
    return np.array([product_moment(ranked(rows)) for rows in batches])


def influence(rows: np.ndarray, value: float) -> np.ndarray:
    """Of each row on the rank correlation, (n,): its own ranks, and that it moves the ranks of all above it."""
    ranking = ranked(rows)
    deviations = ranking.std(axis=0)
    x, y = ((ranking - ranking.mean(axis=0)) / deviations).T
    own = x * y - value / 2 * (x**2 + y**2)
    # Of each row above it raises the rank by 1, of its equals by 1/2; what that adds is the slope there.
    moved = _above(ranking[:, 0], y - value * x) / deviations[0] + _above(ranking[:, 1], x - value * y) / deviations[1]
    total: np.ndarray = own + moved
    return total


def _above(ranking: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Of each row the slopes of the rows above it, and half of those of its equals, summed; (n,)."""
    _, place = np.unique(ranking, return_inverse=True)
    of_rank = np.bincount(place, weights=slope)
    above = of_rank.sum() - np.cumsum(of_rank)
    total: np.ndarray = (above + of_rank / 2)[place]
    return total


def interval(rows: np.ndarray) -> ConfidenceInterval:
    """Of rows (n, 2)."""
    value = product_moment(ranked(rows))
    with np.errstate(divide="ignore", invalid="ignore"):  # at 1 there is none
        return fisher_interval(value, influence(rows, value) / (1 - value**2))


def metrics(setting: MetricContext) -> list[Metric]:
    """`spearman`."""
    return [] if setting.options.get("series") else [correlation("spearman", score, interval)]
