"""Corpus scores over independent units (sentence, document): the bootstrap of their sufficient statistics."""

from collections.abc import Callable

import numpy as np

from llmtune.metrics.core.base import SufficientStatistics, insufficient_support, ratio
from llmtune.metrics.core.mean_intervals import fractional_wilson_interval
from llmtune.stats import ConfidenceInterval, Statistic, wilson_interval


def cluster_bootstrap_interval(
    score: Statistic,
    *,
    scale: float = 1.0,
    informative: Callable[[np.ndarray], np.ndarray] | None = None,
    what: str = "rows",
    proportion: Callable[[np.ndarray], tuple[float, float]] | None = None,
) -> Callable[[SufficientStatistics], ConfidenceInterval]:
    """Interval by BCa over units, given the evidence floor.

    Args:
        score: sums (B, …) → (B,).
        scale: greatest value of the score, if it is a proportion times that.
        informative: statistics (n, …) → which units count as evidence, (n,); default all.
        what: those units are called, in the reason.
        proportion: sums (…) → successes and trials, for Wilson's interval where no resample differs (all right or all
            wrong).
    """

    def interval(sample: SufficientStatistics) -> ConfidenceInterval:
        statistics = sample.statistics
        units = len(statistics) if informative is None else int(informative(statistics).sum())
        few = insufficient_support(units, what)
        if few:
            return few
        found = sample.bootstrap(score)
        if found.low is None and proportion is not None:
            successes, trials = proportion(sample.total)
            low, high, reason = wilson_interval(int(successes), int(trials))
            return ConfidenceInterval(
                None if low is None else scale * low, None if high is None else scale * high, reason
            )
        return found

    return interval


def row_mean_interval(sample: SufficientStatistics) -> ConfidenceInterval:
    """Of the mean over rows of a number from 0 to 1 each, which is the first of the statistics (n, 2).

    Near 0 and 1 the interval stays as skewed as the truth, where Student's t covers 90 %, and of rows that are all 1
    gives nothing.
    """
    values = sample.statistics[:, 0]
    few = insufficient_support(len(values), "rows")
    if few:
        return few
    return fractional_wilson_interval(float(values.mean()), float(values.var()), len(values))


def mean_of(position: int) -> Statistic:
    """Score: the mean over rows of one column of the sums, whose last column counts rows; (B, s) → (B,)."""

    def score(sums: np.ndarray) -> np.ndarray:
        return ratio(sums[:, position], sums[:, -1])

    return score


def some_rows(sums: np.ndarray) -> str | None:
    """Undefined without rows; the last column of the sums counts them."""
    return None if sums[-1] else "no rows to score"
