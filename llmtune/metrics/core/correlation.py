"""What both correlations share: the pairs of numbers, when they have no value, and the interval on Fisher's z."""

import math
from collections.abc import Callable

import numpy as np

from llmtune.jackknife import heavy_tailed_t, standard_error
from llmtune.metrics.core.base import Columns, Metric, SufficientStatistics, insufficient_support
from llmtune.stats import AT_BOUND, ConfidenceInterval, Statistic
from llmtune.text.shorten import row_count

SURE = 1 - 1e-12  # a correlation beyond is 1 up to rounding


def pairs(columns: Columns) -> np.ndarray:
    """Statistics: reference and prediction of each row, (n, 2)."""
    return np.stack([columns["reference"][:, 0], columns["prediction"][:, 0]], axis=1)


def undefined_correlation(rows: np.ndarray) -> str | None:
    """Fewer than two rows, or one side that never changes: 0/0, as in scipy."""
    if len(rows) < 2:
        return f"{row_count(len(rows))}: a correlation needs 2"
    for side, values in zip(("reference", "prediction"), rows.T, strict=True):
        if (values == values[0]).all():
            return f"every {side} is {values[0]:g}: a correlation is 0/0"
    return None


def product_moment(rows: np.ndarray) -> float:
    """Pearson's correlation of rows (n, 2); NaN where it is undefined."""
    if undefined_correlation(rows) is not None:
        return math.nan
    off = rows - rows.mean(axis=0)
    off /= np.abs(off).max(axis=0)  # so that neither tiny nor huge numbers lose the squares
    x, y = (off / np.linalg.norm(off, axis=0)).T
    return float(np.clip(x @ y, -1.0, 1.0))


def fisher_interval(value: float, influence: np.ndarray, level: float = 0.95) -> ConfidenceInterval:
    """Interval of a correlation, symmetric on Fisher's z = artanh(value).

    Fisher's own error 1 / sqrt(n - 3) is right for normal numbers alone; the spread of what each row adds to z (its
    influence) is for any, with the t of heavy tails. Of lognormal numbers n - 2 degrees of freedom cover 92 %, BCa and
    the bootstrap of t 85 to 89 %.

    Args:
        value: of n rows, within -1 to 1.
        influence: of each row on z, (n,).
        level: nominal coverage.
    """
    error = standard_error(influence)
    if abs(value) > SURE or not math.isfinite(error) or error == 0:
        return ConfidenceInterval(None, None, f"{AT_BOUND} {value:g}: the rows give no interval")
    half = heavy_tailed_t(influence, level) * error
    center = math.atanh(value)
    return ConfidenceInterval(math.tanh(center - half), math.tanh(center + half))


def correlation(name: str, score: Statistic, interval: Callable[[np.ndarray], ConfidenceInterval]) -> Metric:
    """A correlation of reference and prediction, with the interval of its rows."""

    def above_floor(sample: SufficientStatistics) -> ConfidenceInterval:
        return insufficient_support(len(sample.statistics), "rows") or interval(sample.statistics)

    return Metric(
        name=name,
        statistics=pairs,
        score=score,
        interval=above_floor,
        signature="interval:fisher-z of influences",
        range=(-1.0, 1.0),
        undefined=undefined_correlation,
        unit="correlation",
        additive=False,
    )
