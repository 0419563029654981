"""Diebold and Mariano's test, by hand and against Student's t, and the block bootstrap it stands beside."""

import math

import numpy as np
import pytest
from scipy import stats

from llmtune.comparison.diebold_mariano import diebold_mariano
from llmtune.comparison.paired import judge_pair
from llmtune.metrics import score_predictions
from llmtune.metrics.core.blocks import TimeBlocks
from llmtune.predictions import make_predictions


def test_one_step_ahead_it_is_students_t_of_the_losses():
    loss_a, loss_b = np.random.default_rng(0).exponential(size=(2, 50)) + [[0.3], [0.0]]

    test = diebold_mariano(loss_a, loss_b)

    # HLN's correction for h = 1, sqrt((u - 1) / u), turns the variance over u into that over u - 1
    expected = stats.ttest_rel(loss_a, loss_b)
    assert test.statistic == pytest.approx(expected.statistic)
    assert test.p == pytest.approx(expected.pvalue)


def test_two_steps_ahead_it_counts_the_first_autocovariance():
    difference = np.array([1.0, 2, 4, 3, 1, 0, 2, 5])
    centered = difference - 2.25
    gamma_0, gamma_1 = (centered**2).mean(), (centered[1:] * centered[:-1]).sum() / 8
    plain = 2.25 / math.sqrt((gamma_0 + 2 * gamma_1) / 8)
    corrected = plain * math.sqrt((8 + 1 - 4 + 2 / 8) / 8)

    test = diebold_mariano(difference, np.zeros(8), horizon=2)

    assert test.statistic == pytest.approx(corrected)
    assert test.p == pytest.approx(2 * stats.t.sf(corrected, 7))


def test_losses_that_alternate_have_no_variance_below_zero():
    difference = np.array([1.0, -1] * 10) + 0.1

    assert diebold_mariano(difference, np.zeros(20), horizon=2).p > 0.05


def test_equal_or_few_losses_tell_nothing():
    assert diebold_mariano(np.ones(20), np.ones(20)) is None
    assert diebold_mariano(np.arange(5.0), np.zeros(5), horizon=3) is None


def slow_errors(rng, n=200, memory=0.8):
    errors = rng.normal(size=n)
    for i in range(1, n):
        errors[i] += memory * errors[i - 1]
    return errors


def test_blocks_cover_the_mean_of_slow_errors_where_single_rows_do_not():
    blocks = TimeBlocks.of(np.arange(200))

    def covers(draw, interval):
        low, high, _ = interval(draw)
        return low <= 0 <= high

    def of_blocks(errors):
        statistics = np.stack([errors, np.ones_like(errors)], axis=1)
        return blocks.interval(statistics, lambda sums: sums[:, 0] / sums[:, 1])

    def of_rows(errors):
        half = 1.96 * errors.std() / math.sqrt(len(errors))
        return errors.mean() - half, errors.mean() + half, None

    draws = [slow_errors(np.random.default_rng(seed)) for seed in range(100)]
    covered = {name: sum(covers(draw, way) for draw in draws) for name, way in (("b", of_blocks), ("r", of_rows))}
    assert blocks.length == 6
    assert covered["r"] < 60
    assert covered["b"] > covered["r"] + 15


def test_a_resample_holds_every_time_once_in_the_mean_and_series_of_one_time_together():
    rank = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    blocks = TimeBlocks(rank, 2)
    counts = np.eye(5)[rank]

    sums = blocks.resampled(blocks.by_time(counts), seed=0)

    assert (sums.sum(axis=1) == 10).all()  # as many rows as there are
    assert (sums % 2 == 0).all()  # both series of a time, or none
    np.testing.assert_allclose(sums.mean(axis=0), 2, atol=0.1)


def table(errors, *, horizon=1):
    n = len(errors)
    reference = np.arange(float(n))
    return make_predictions(
        "regression",
        {"reference": reference, "prediction": reference + errors, "time": list(range(n)), "last_value": reference - 1},
    )


def test_forecasts_are_compared_over_blocks_of_time_and_the_test_is_told():
    rng = np.random.default_rng(0)
    judged = judge_pair(table(rng.normal(size=200)), table(rng.normal(size=200) * 2), "other")

    assert (judged.better, judged.worse) == (True, False)
    assert judged.p < 1e-6
    assert "|block:6|" in score_predictions(table(rng.normal(size=200)))["mse"].signature


def test_few_times_have_no_interval():
    score = score_predictions(table(np.random.default_rng(0).normal(size=31)))["mse"]
    assert score.low is not None

    blocks = TimeBlocks(np.arange(31), 5)
    low, _, reason = blocks.interval(np.ones((31, 2)), lambda sums: sums[:, 0])
    assert (low, reason) == (None, "31 times are 6 blocks of 5: an interval needs 8")
