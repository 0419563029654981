"""Intervals, bootstraps, paired tests and corrections: functions on arrays, with numpy and scipy.special alone.

Letters: n rows or units, c classes, s sufficient statistics of one unit, B resamples. Every random draw comes from
`numpy.random.default_rng(seed)`. The choice of method follows what covers (`scripts/coverage.py` measures it).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from llmtune.jackknife import CHUNK, scores_without_each
from llmtune.progress import progress
from llmtune.text.shorten import row_count

Statistic = Callable[[np.ndarray], np.ndarray]

ALIKE = "every resample"
SAME_ROWS, AT_BOUND = "all rows have the same value", "the score is"


class ConfidenceInterval(NamedTuple):
    """A confidence interval; both ends are None where none is given, and `reason` says why."""

    low: float | None
    high: float | None
    reason: str | None = None

    @property
    def is_alike(self) -> bool:
        """Whether there is none because no resample differs from another: the value itself is all there is."""
        return self.reason is not None and self.reason.startswith(ALIKE)


def tells_no_spread(reason: str | None) -> bool:
    """Whether an interval is missing because no row differs from another, so that the value is all there is."""
    return reason is not None and reason.startswith((ALIKE, SAME_ROWS, AT_BOUND))


# ---- proportions ----


def softmax(logits: np.ndarray) -> np.ndarray:
    """Rows of logits (n, c) → rows of probabilities; a row with NaN or infinity becomes NaN.

    >>> softmax(np.array([[0.0, 0.0], [np.log(3), 0.0]])).round(3).tolist()
    [[0.5, 0.5], [0.75, 0.25]]
    """
    logits = np.asarray(logits, dtype=np.float64)
    finite = np.isfinite(logits).all(axis=1, keepdims=True)
    probabilities: np.ndarray = special.softmax(np.where(finite, logits, np.nan), axis=1)
    return probabilities


def wilson_interval(successes: float, n: float, level: float = 0.95) -> ConfidenceInterval:
    """Score interval of a proportion (Wilson 1927), within [0, 1]; never empty at 0 or n successes.

    >>> low, high, _ = wilson_interval(98, 100)
    >>> round(low, 4), round(high, 4)
    (0.93, 0.9945)
    """
    if n == 0:
        return ConfidenceInterval(None, None, "no rows to count")
    z = float(special.ndtri(0.5 + level / 2))
    share = successes / n
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == n else min(1.0, center + half)
    return ConfidenceInterval(low, high)


def clopper_pearson_interval(successes: int, n: int, level: float = 0.95) -> ConfidenceInterval:
    """Exact interval of a proportion (Clopper and Pearson 1934): covers at least `level`, hence wider than Wilson's.

    >>> low, high, _ = clopper_pearson_interval(98, 100)
    >>> round(low, 4), round(high, 4)
    (0.9296, 0.9976)
    """
    if n == 0:
        return ConfidenceInterval(None, None, "no rows to count")
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(special.betaincinv(successes + 1, n - successes, 1 - tail))
    return ConfidenceInterval(low, high)


def mean_of_proportions_interval(successes: np.ndarray, trials: np.ndarray, level: float = 0.95) -> ConfidenceInterval:
    """Interval of the plain mean of independent proportions, from Wilson's of each (MOVER, Zou and Donner 2008).

    For a class whose rows are nearly all right a bootstrap covers 87 % instead of 95 %; this keeps its width.

    Args:
        successes: of each proportion, (c,).
        trials: likewise, none 0.
        level: nominal coverage.
    """
    ends = [wilson_interval(int(hits), int(n), level)[:2] for hits, n in zip(successes, trials, strict=True)]
    shares = np.asarray(successes) / np.asarray(trials)
    low, high = np.array(ends, dtype=np.float64).T
    below, above = np.sqrt(((shares - low) ** 2).sum()), np.sqrt(((high - shares) ** 2).sum())
    mean = shares.mean()
    return ConfidenceInterval(float(mean - below / len(shares)), float(mean + above / len(shares)))


# ---- means and smooth scores ----


def mean_interval(n: float, total: float, squares: float, cubes: float, level: float = 0.95) -> ConfidenceInterval:
    """Interval of a mean from its power sums (sum of x, x², x³ about any fixed origin).

    Student's t with Johnson's (1978) correction for skewness, so that long right tails (log loss) are not undercovered.
    """
    if n < 2:
        return ConfidenceInterval(None, None, f"{row_count(int(n))}: an interval requires 2")
    mean = total / n
    variance = max(0.0, (squares - n * mean * mean) / (n - 1))
    if variance <= 1e-15 * max(1.0, mean * mean):
        return ConfidenceInterval(None, None, f"{SAME_ROWS}: no interval")
    third = cubes / n - 3 * mean * squares / n + 2 * mean**3
    error = math.sqrt(variance / n)
    skew = third / (6 * variance * n)
    t = float(special.stdtrit(n - 1, 0.5 + level / 2))
    shift = skew * (1 + 2 * t * t)
    return ConfidenceInterval(float(mean + shift - t * error), float(mean + shift + t * error))


def logit_interval(value: float, error: float, level: float = 0.95) -> ConfidenceInterval:
    """Interval of a score within (0, 1) with standard error `error`, symmetric on the logit scale."""
    if not 0 < value < 1 or error <= 0:
        return ConfidenceInterval(None, None, f"{AT_BOUND} {value:g}: the rows give no interval")
    center = math.log(value / (1 - value))
    half = float(special.ndtri(0.5 + level / 2)) * error / (value * (1 - value))
    return ConfidenceInterval(float(special.expit(center - half)), float(special.expit(center + half)))


# ---- bootstraps ----


def multinomial_bootstrap(
    counts: np.ndarray,
    statistic: Statistic,
    n_resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> ConfidenceInterval:
    """BCa interval (Efron 1987) of a score of the confusion matrix, over rows drawn again with replacement.

    Drawing the matrix from its multinomial is the same in law as drawing rows, at a cost that does not grow with n; the
    jackknife runs over the distinct cells, each weighted by its count.

    Args:
        counts: confusion matrix of shape (c, c), non-negative integers.
        statistic: vectorized, matrices of shape (B, c, c) to scores of shape (B,); finite for every matrix.
        n_resamples: drawn at most; a matrix with very many filled cells gets fewer, 1,000 at least.
        seed: of the generator.
        level: nominal coverage.
    """
    return _multinomial_bca(np.asarray(counts), statistic, n_resamples, seed, level)[1]


def paired_multinomial_interval(
    counts: np.ndarray,
    statistic: Statistic,
    n_resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, ConfidenceInterval]:
    """Difference score(b) - score(a) of two predictions of the same rows, with its BCa interval.

    Args:
        counts: shape (c, c, c), rows counted by [reference, prediction a, prediction b].
        statistic: as in `multinomial_bootstrap`.
        n_resamples: as there.
        seed: as there.
        level: as there.
    """

    def difference(tensors: np.ndarray) -> np.ndarray:
        return statistic(tensors.sum(axis=2)) - statistic(tensors.sum(axis=3))

    return _multinomial_bca(np.asarray(counts), difference, n_resamples, seed, level)


def _multinomial_bca(
    counts: np.ndarray, statistic: Statistic, n_resamples: int, seed: int, level: float
) -> tuple[float, ConfidenceInterval]:
    value = float(statistic(counts[None])[0])
    cells = np.flatnonzero(counts)
    weights = counts.ravel()[cells]
    n = int(weights.sum())
    if n < 2:
        return value, ConfidenceInterval(None, None, f"{row_count(n)}: an interval requires 2")

    def scores_of(draws: np.ndarray) -> np.ndarray:
        tensors = np.zeros((len(draws), counts.size), dtype=np.int64)
        tensors[:, cells] = draws
        return statistic(tensors.reshape(-1, *counts.shape))

    # 4 million binomial draws take under half a second: more filled cells get fewer resamples, never under 1,000.
    n_resamples = min(n_resamples, max(1_000, 4_000_000 // len(cells)))
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // counts.size)
    samples = np.concatenate(
        [
            scores_of(rng.multinomial(n, weights / n, size=min(step, n_resamples - i)))
            for i in range(0, n_resamples, step)
        ]
    )
    without_one = np.concatenate(
        [scores_of(_minus_one(weights, range(i, min(i + step, len(cells))))) for i in range(0, len(cells), step)]
    )
    return value, _bca(samples, value, without_one, weights, level)


def _minus_one(weights: np.ndarray, positions: range) -> np.ndarray:
    """`weights` once for each position, there less one: shape (positions, cells)."""
    rows = np.repeat(weights[None], len(positions), axis=0)
    rows[np.arange(len(positions)), list(positions)] -= 1
    return rows


def cluster_bootstrap(
    statistics: np.ndarray,
    score: Statistic,
    n_resamples: int = 2_000,
    seed: int = 0,
    level: float = 0.95,
) -> ConfidenceInterval:
    """BCa interval of a corpus score over independent units (sentence, document, conversation) drawn with replacement.

    Args:
        statistics: shape (n, s), the sufficient statistics of each unit; their sum over units gives the score.
        score: vectorized, sums of shape (B, s) to scores of shape (B,).
        n_resamples: drawn at most; above 100,000 units fewer are (500 at least), as the work is resamples times units.
        seed: of the generator.
        level: nominal coverage.
    """
    return interval_of_sums(statistics, resampled_sums(statistics, n_resamples, seed), score, level)


def resampled_sums(statistics: np.ndarray, n_resamples: int = 2_000, seed: int = 0) -> np.ndarray:
    """Sums over units drawn with replacement, (n, s) → (B, s): one draw serves every score of these statistics."""
    statistics = np.ascontiguousarray(statistics, dtype=np.float64)
    n = len(statistics)
    n_resamples = min(n_resamples, max(500, 200_000_000 // max(1, n)))
    rng = np.random.default_rng(seed)
    sums = np.empty((n_resamples, statistics.shape[1]))
    for i in progress(range(n_resamples), "bootstrap", unit="resamples"):
        # How often each unit was drawn, times its statistics: the resampled rows are never written out.
        sums[i] = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64) @ statistics
    return sums


def interval_of_sums(
    statistics: np.ndarray, sums: np.ndarray, score: Statistic, level: float = 0.95
) -> ConfidenceInterval:
    """BCa interval of a score from the units' statistics (n, s) and their resampled sums (B, s)."""
    n = len(statistics)
    if n < 2:
        return ConfidenceInterval(None, None, f"{row_count(n)}: an interval requires 2")
    value = float(score(statistics.sum(axis=0)[None])[0])
    return _bca(score(sums), value, scores_without_each(statistics, score), np.ones(n), level)


def paired_cluster_bootstrap(
    statistics_a: np.ndarray,
    statistics_b: np.ndarray,
    score: Statistic,
    n_resamples: int = 2_000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, ConfidenceInterval]:
    """Difference score(b) - score(a) on the same units, each array of shape (n, s), with its BCa interval.

    Where units are few its ends are those of a wider level (Hesterberg 2015, expanded percentiles): a bootstrap has the
    spread of n - 1 units and no heavy tails, and would call 7 to 9 % of equal models different.
    """
    if len(statistics_a) != len(statistics_b):
        raise ValueError(
            f"paired units: a has {len(statistics_a)}, b has {len(statistics_b)}; give the same rows in order"
        )
    width = statistics_a.shape[1]

    def difference(sums: np.ndarray) -> np.ndarray:
        return score(sums[:, width:]) - score(sums[:, :width])

    both = np.concatenate([statistics_a, statistics_b], axis=1, dtype=np.float64)
    value = float(difference(both.sum(axis=0)[None])[0])
    return value, cluster_bootstrap(both, difference, n_resamples, seed, expanded_level(level, len(both)))


def expanded_level(level: float, n: int) -> float:
    """The level whose normal quantile is Student's at `level`, widened by sqrt(n / (n - 1)); `level` itself below 2.

    >>> [round(expanded_level(0.95, n), 4) for n in (10, 60, 100_000)]
    [0.9829, 0.9564, 0.95]
    """
    if n < 2:
        return level
    t = math.sqrt(n / (n - 1)) * float(special.stdtrit(n - 1, 0.5 + level / 2))
    return 2 * float(special.ndtr(t)) - 1


def _bca(
    samples: np.ndarray, value: float, without_one: np.ndarray, weights: np.ndarray, level: float
) -> ConfidenceInterval:
    """Bias-corrected and accelerated ends; `without_one` (m,): jackknife scores, each of `weights` rows."""
    undefined = int((~np.isfinite(samples)).sum())
    if undefined or not math.isfinite(value):
        return ConfidenceInterval(None, None, f"undefined in {undefined} of {len(samples)} resamples")
    tolerance = 1e-12 * max(1.0, abs(value))
    if float(np.ptp(samples)) <= tolerance:
        return ConfidenceInterval(None, None, f"{ALIKE} scores {value:g}: the rows give no interval")
    below = float((samples < value - tolerance).mean() + 0.5 * (np.abs(samples - value) <= tolerance).mean())
    bias = float(special.ndtri(min(max(below, 0.5 / len(samples)), 1 - 0.5 / len(samples))))
    deviation = np.average(without_one, weights=weights) - without_one
    spread = float((weights * deviation**2).sum())
    acceleration = float((weights * deviation**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    z = float(special.ndtri(0.5 + level / 2))
    low, high = np.quantile(samples, [_bca_share(bias, acceleration, end) for end in (-z, z)])
    return ConfidenceInterval(min(float(low), value), max(float(high), value))


def _bca_share(bias: float, acceleration: float, end: float) -> float:
    """The share of resamples below an end; 0 or 1 beyond the pole, and of two units, whose level is all but 1."""
    rest = 1 - acceleration * (bias + end)
    return float(end > 0) if math.isinf(end) or rest <= 0 else float(special.ndtr(bias + (bias + end) / rest))


def percentile_interval(samples: np.ndarray, value: float, level: float = 0.95) -> ConfidenceInterval:
    """Percentiles of resampled scores (B,): for scores that are too dear for the jackknife of BCa."""
    if undefined := int((~np.isfinite(samples)).sum()):
        return ConfidenceInterval(None, None, f"undefined in {undefined} of {len(samples)} resamples")
    if float(np.ptp(samples)) <= 1e-12 * max(1.0, abs(value)):
        return ConfidenceInterval(None, None, f"{ALIKE} scores {value:g}: the rows give no interval")
    low, high = np.quantile(samples, [0.5 - level / 2, 0.5 + level / 2])
    return ConfidenceInterval(min(float(low), value), max(float(high), value))


# ---- two models on the same rows ----


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided p of McNemar's exact test: b rows right only under one model, c right only under the other.

    >>> round(mcnemar_exact(10, 25), 5)
    0.01667
    """
    if b + c == 0:
        return 1.0
    return min(1.0, 2 * float(special.bdtr(min(b, c), b + c, 0.5)))


def smallest_detectable_difference(n: int, discordant: float, level: float = 0.95, power: float = 0.8) -> float:
    """Smallest difference of two accuracies that n paired rows would show as significant, with this power.

    Args:
        n: rows.
        discordant: share of rows on which exactly one of the two is right; for other scores, the variance of the
            difference of one row.
        level: 1 less the significance level, two-sided.
        power: probability of seeing it.

    >>> round(smallest_detectable_difference(7849, 0.10), 4)
    0.01
    """
    z = float(special.ndtri(0.5 + level / 2) + special.ndtri(power))
    return z * math.sqrt(discordant / n)


# ---- many tests ----


def benjamini_hochberg(p_values: Sequence[float]) -> np.ndarray:
    """Adjusted p-values, shape (m,), that bound the false discovery rate (Benjamini and Hochberg 1995).

    >>> benjamini_hochberg([0.001, 0.02, 0.04, 0.5]).round(4).tolist()
    [0.004, 0.04, 0.0533, 0.5]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def homogeneity_test(successes: Sequence[int], totals: Sequence[int]) -> float:
    """P of the chi-squared test that all groups share one proportion; 1.0 where the groups can't differ."""
    hits, sizes = np.asarray(successes, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    hits, sizes = hits[sizes > 0], sizes[sizes > 0]
    share = hits.sum() / sizes.sum() if len(sizes) else 0.0
    if len(sizes) < 2 or share in (0.0, 1.0):
        return 1.0
    chi_squared = ((hits - sizes * share) ** 2 / (sizes * share * (1 - share))).sum()
    return float(special.chdtrc(len(sizes) - 1, chi_squared))
