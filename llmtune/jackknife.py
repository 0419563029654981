"""What a score owes to each row: the score without it, and the spread that those tell. Letters: n rows, s sums."""

import math
from collections.abc import Callable

import numpy as np
from scipy import special

CHUNK = 2**21  # numbers held at once (16 MiB of float64): memory stays flat however many rows


def scores_without_each(statistics: np.ndarray, score: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The score (n,) of all rows but one, of statistics (n, s) whose sum the score reads, (B, s) → (B,)."""
    total, step = statistics.sum(axis=0), max(1, CHUNK // statistics.shape[1])
    chunks = range(0, len(statistics), step)
    return np.concatenate([score(total - statistics[begin : begin + step]) for begin in chunks])


def standard_error(influence: np.ndarray) -> float:
    """Of a score, from what each row adds to it, (n,): its influence (Hampel 1974)."""
    return float(influence.std(ddof=1)) / math.sqrt(len(influence))


def heavy_tailed_t(influence: np.ndarray, level: float = 0.95) -> float:
    """Standard errors to either side of a score that hold the truth at this level, from influences (n,).

    Where few rows add most of the spread, the standard error is itself a guess: Student's t has the degrees of freedom
    of its variance (Satterthwaite 1946; Lipsitz, Ibrahim and Parzen 1999), 2n / (kurtosis - 1), at least 2 (t is 4.3)
    and at most n - 2.
    """
    n = len(influence)
    kurtosis = float(((influence - influence.mean()) ** 4).mean()) / float(influence.var()) ** 2
    freedom = min(n - 2.0, max(2.0, 2 * n / max(kurtosis - 1, 1e-9)))
    return float(special.stdtrit(freedom, 0.5 + level / 2))


def johnson_shift(influence: np.ndarray, quantile: float) -> float:
    """Standard errors by which an end at this quantile moves to the side of the long tail, from influences (n,).

    Johnson (1978): a mean and its standard error go together where the rows are skewed.
    """
    off = influence - influence.mean()
    skewness = float((off**3).mean()) / float(influence.var()) ** 1.5
    return skewness / (6 * math.sqrt(len(influence))) * (1 + 2 * quantile**2)
