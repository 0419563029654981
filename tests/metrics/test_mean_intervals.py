"""Intervals where normal ones fail: nearly all rows alike, labels that are all right, correlations of long tails."""

import math

import numpy as np
import pytest

from llmtune.metrics import lrap, pearson
from llmtune.metrics.core.base import MetricContext, SufficientStatistics
from llmtune.metrics.core.mean_intervals import fractional_wilson_interval, mean_of_labels_interval
from llmtune.metrics.core.registry import reported_metrics
from llmtune.stats import wilson_interval

SIMULATIONS = 1000


def share_covered(intervals, truth):
    covered = [low <= truth <= high for low, high, _ in intervals]
    return sum(covered) / len(covered)


@pytest.mark.parametrize(("mean", "n"), [(0.25, 1000), (0.9, 400), (1.0, 50), (0.0, 50)])
def test_of_rows_that_are_0_or_1_it_is_wilsons(mean, n):
    assert fractional_wilson_interval(mean, mean * (1 - mean), n)[:2] == pytest.approx(
        wilson_interval(mean * n, n)[:2], abs=1e-9
    )


@pytest.mark.parametrize("imperfect", [0.005, 0.01, 0.03])  # 1, 2 and 6 of 200 rows: Wilson's alone covers 63 to 90 %
def test_a_mean_near_one_is_covered_though_few_rows_differ(imperfect):
    draw = np.random.default_rng(0)
    # A third, a half or a whole of a row's precision is lost, as lrap has it.
    rows = 1 - (draw.random((SIMULATIONS, 200)) < imperfect) * draw.choice([1 / 3, 0.5, 0.5, 1.0], (SIMULATIONS, 200))
    truth = 1 - imperfect * (1 / 3 + 0.5 + 0.5 + 1.0) / 4

    intervals = [fractional_wilson_interval(values.mean(), values.var(), 200) for values in rows]

    assert share_covered(intervals, truth) >= 0.94
    widest = max(high - low for low, high, _ in intervals)
    assert widest < 0.1


def test_one_row_that_is_ranked_wrong_leaves_room_above_and_below():
    reference = np.eye(3, dtype=bool)[np.arange(60) % 3]
    probabilities = np.where(reference, 0.9, 0.1)
    probabilities[0] = [0.2, 0.8, 0.1]  # its label is second: 1/2
    columns = {"reference": reference, "prediction": probabilities > 0.5, "probabilities": probabilities}
    (metric,) = lrap.metrics(MetricContext("multilabel-classification", ("a", "b", "c")))

    low, high, _ = metric.interval(SufficientStatistics(metric.statistics(columns), 0))

    # From that row's variance alone the interval would begin at 0.953.
    assert low < 0.95 < 1 - 0.5 / 60 < high < 1


@pytest.mark.parametrize("name", ["roc_auc_macro", "average_precision_macro"])
def test_labels_that_are_all_right_have_an_interval_below_one(name):
    names = ("a", "b")
    reference = np.stack([np.arange(120) % 2 == 0, np.arange(120) % 3 == 0], axis=1)
    columns = {"reference": reference, "prediction": reference, "probabilities": reference.astype(float)}
    setting = MetricContext("multilabel-classification", names)
    metric = next(metric for metric in reported_metrics(setting) if metric.name == name)

    low, high, reason = metric.interval(SufficientStatistics(metric.statistics(columns), 0))

    assert reason is None
    assert high == 1.0
    # As wide as the mean of two labels apart, 60 and 40 of whose rows are right.
    ends = [wilson_interval(60, 60).low, wilson_interval(40, 40).low]
    assert low == pytest.approx(1 - math.hypot(1 - ends[0], 1 - ends[1]) / 2)


def test_labels_that_go_together_have_a_wider_mean():
    values, ends, apart = np.array([0.8, 0.9]), np.array([[0.7, 0.86], [0.8, 0.94]]), np.array([0.04, 0.03])

    low, high, _ = mean_of_labels_interval(values, ends, together=0.025, apart=apart)
    wider = mean_of_labels_interval(values, ends, together=0.05, apart=apart)

    assert (low, high) == pytest.approx((0.85 - math.sqrt(0.02) / 2, 0.85 + math.sqrt(0.0052) / 2))
    assert wider.high - wider.low == pytest.approx(2 * (high - low))


@pytest.mark.parametrize("n", [50, 200])
def test_a_correlation_of_lognormal_numbers_is_covered(n):
    draw = np.random.default_rng(1)
    x, noise = draw.normal(size=(2, SIMULATIONS, n))
    rows = np.exp(np.stack([x, 0.9 * x + math.sqrt(1 - 0.81) * noise], axis=2))
    truth = (math.exp(0.9) - 1) / (math.e - 1)  # of two lognormals whose logarithms correlate by 0.9

    assert 0.94 <= share_covered([pearson.interval(table) for table in rows], truth) <= 0.98


@pytest.mark.parametrize("together", [1, 3])
def test_a_proportion_of_decisions_is_wilsons_as_wide_as_those_of_a_row_go_together(together):
    # Of 100 rows `together` labels each; in 5 rows all of them are missed, in the others all are found.
    reference = np.ones((100, together), dtype=bool)
    prediction = np.repeat(np.arange(100)[:, None] >= 5, together, axis=1)
    setting = MetricContext("multilabel-classification", ("a", "b", "c")[:together])
    metric = next(metric for metric in reported_metrics(setting) if metric.name == "recall_micro")
    columns = {"reference": reference, "prediction": prediction}

    low, high, _ = metric.interval(SufficientStatistics(metric.statistics(columns), 0))

    # However many labels a row has, there are 100 decisions, for those of a row are one.
    assert (low, high) == pytest.approx(wilson_interval(95, 100)[:2], abs=0.003)
