"""R² (coefficient of determination): 1 less squared error over variance; 0 for always saying the mean."""

import math
from dataclasses import dataclass

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, SufficientStatistics, insufficient_support, ratio
from llmtune.metrics.core.errors import heavy_tailed_interval
from llmtune.predictions.kinds import REGRESSION
from llmtune.stats import ConfidenceInterval
from llmtune.text.shorten import row_count

KINDS = (REGRESSION,)


@dataclass(frozen=True)
class Variances:
    """Statistics: squared error, reference, squared reference and steps, summed over each row, (n, 4).

    The reference counts from `center`, a value near its mean: else the variance drowns in rounding.
    """

    center: float

    def __call__(self, columns: Columns) -> np.ndarray:
        """One row a unit."""
        reference, prediction = columns["reference"], columns["prediction"]
        off = reference - self.center
        parts = ((prediction - reference) ** 2, off, off**2, np.ones_like(off))
        return np.stack([part.sum(axis=1) for part in parts], axis=1)


def unexplained(sums: np.ndarray) -> np.ndarray:
    """Squared error over variance of all steps of all rows, (B, 4) → (B,).

    As sklearn: with a constant reference 0 if all is right, else 1. Of one number NaN.
    """
    error, total, squares, steps = sums.T
    around_mean = squares - ratio(total * total, steps)
    constant = around_mean <= 1e-14 * np.maximum(squares, 1e-300)
    share = np.where(constant, np.where(error == 0, 0.0, 1.0), ratio(error, around_mean))
    return np.where(steps < 2, np.nan, share)


def score(sums: np.ndarray) -> np.ndarray:
    """(B, 4) → (B,): what is explained."""
    return 1 - unexplained(sums)


unexplained_interval = heavy_tailed_interval(unexplained, of_mean=False, perfect=1.0)


def interval(sample: SufficientStatistics) -> ConfidenceInterval:
    """Of R², from that of the unexplained share; of rows in time, by blocks."""
    if sample.blocks is not None:
        return insufficient_support(len(sample.statistics), "rows") or sample.bootstrap(score)
    low, high, reason = unexplained_interval(sample)
    return ConfidenceInterval(None if high is None else 1 - high, None if low is None else 1 - low, reason)


def undefined(sums: np.ndarray) -> str | None:
    """With fewer than two numbers, or a reference that never changes."""
    _, total, squares, steps = sums
    if steps < 2:
        return f"{row_count(int(steps))}: R² needs 2"
    if squares - total * total / steps <= 1e-14 * squares:
        return "the reference never changes: R² is set to 1 if all is right, else 0 (sklearn)"
    return None


def metrics(setting: MetricContext) -> list[Metric]:
    """`r2`."""
    return [
        Metric(
            name="r2",
            statistics=Variances(float(setting.options.get("center", 0.0))),
            score=score,
            interval=interval,
            signature="average:steps of all rows",
            range=(-math.inf, 1.0),
            undefined=undefined,
            unit="share of variance",
        )
    ]
