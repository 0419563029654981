"""Intervals of means of numbers from 0 to 1: over rows, and over labels whose scores go together."""

import numpy as np

from llmtune.stats import ConfidenceInterval, wilson_interval

PSEUDO_ROW = 0.25  # variance of one row that is 0 or 1, as likely either


def fractional_wilson_interval(mean: float, variance: float, n: float) -> ConfidenceInterval:
    """Of the mean of n numbers within [0, 1]: Wilson's of as many rows of 0 and 1 as have this variance.

    As with the effective sample size of a survey (Korn and Graubard 1998). Where nearly all rows are alike the variance
    of the few others is hardly known, and an interval from it covers 84 %; so one row that is 0 or 1 is added to both
    variances (after Agresti and Coull 1998). Of many rows that changes nothing; rows that are all 1 keep Wilson's.

    Args:
        mean: of the numbers.
        variance: of one number.
        n: how many there are.

    >>> interval = fractional_wilson_interval(0.99, 0.0049, 200)  # four of them 0.5, the others 1
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.973, 0.996)
    """
    as_proportion = mean * (1 - mean)
    share = 1.0 if variance <= 1e-15 else (n * variance + PSEUDO_ROW) / (n * as_proportion + PSEUDO_ROW)
    return wilson_interval(mean * n / share, n / share)


def mean_of_labels_interval(
    values: np.ndarray, ends: np.ndarray, *, together: float, apart: np.ndarray
) -> ConfidenceInterval:
    """Of the mean of labels' scores, from the interval of each (MOVER, Zou and Donner 2008), within [0, 1].

    MOVER holds for labels apart: by as much as the mean scatters more or less than theirs, it is wider or narrower.

    Args:
        values: of the labels, (c,).
        ends: of their intervals, (c, 2).
        together: standard error of the mean, of rows as a whole.
        apart: standard error of each label's value, (c,).
    """
    value, alone = float(values.mean()), float(np.sqrt((apart**2).sum())) / len(values)
    factor = together / alone if together and alone else 1.0
    below, above = np.sqrt(((values[:, None] - ends) ** 2).sum(axis=0)) / len(values)
    return ConfidenceInterval(max(0.0, float(value - factor * below)), min(1.0, float(value + factor * above)))
