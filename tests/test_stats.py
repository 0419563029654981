import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from llmtune.stats import (
    benjamini_hochberg,
    clopper_pearson_interval,
    cluster_bootstrap,
    homogeneity_test,
    logit_interval,
    mcnemar_exact,
    mean_interval,
    mean_of_proportions_interval,
    multinomial_bootstrap,
    paired_cluster_bootstrap,
    paired_multinomial_interval,
    smallest_detectable_difference,
    wilson_interval,
)


def f1(matrices):
    hits = matrices[:, 1, 1]
    return 2 * hits / np.maximum(1, 2 * hits + matrices[:, 0, 1] + matrices[:, 1, 0])


def share(sums):
    return sums[:, 0] / sums[:, 1]


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 22), (98, 100), (10, 10), (1, 2), (500_000, 1_000_000)])
def test_proportion_intervals_are_scipys(successes, n):
    test = stats.binomtest(successes, n)

    assert wilson_interval(successes, n)[:2] == pytest.approx(tuple(test.proportion_ci(method="wilson")), abs=1e-12)
    assert clopper_pearson_interval(successes, n)[:2] == pytest.approx(tuple(test.proportion_ci()), abs=1e-9)


def test_the_rare_class_of_the_accuracy_paradox_has_a_wide_interval():
    low, high, _ = wilson_interval(3, 22)

    assert (low, high) == pytest.approx((0.047, 0.333), abs=5e-4)


def test_no_rows_give_no_interval_but_a_reason():
    for interval in (wilson_interval(0, 0), clopper_pearson_interval(0, 0), mean_interval(1, 1, 1, 1)):
        assert interval.low is None
        assert interval.reason
    assert "1 row:" in cluster_bootstrap(np.ones((1, 2)), share).reason
    assert "0 rows" in multinomial_bootstrap(np.zeros((2, 2), dtype=int), f1).reason


def test_the_mean_of_normal_values_has_students_interval():
    values = np.concatenate([np.arange(50.0), -np.arange(50.0)])  # symmetric: the correction for skewness is 0

    low, high, _ = mean_interval(100, values.sum(), (values**2).sum(), (values**3).sum())

    expected = stats.t.interval(0.95, 99, values.mean(), stats.sem(values))
    assert (low, high) == pytest.approx(expected, abs=1e-9)


def test_resampling_the_matrix_is_resampling_the_rows():
    counts = np.array([[180, 20], [15, 85]])
    rows = np.repeat(np.arange(4), counts.ravel())

    low, high, _ = multinomial_bootstrap(counts, f1)

    def row_f1(drawn, axis=-1):
        tables = np.stack([(drawn == cell).sum(axis=axis) for cell in range(4)], axis=-1)
        return f1(tables.reshape(-1, 2, 2)).reshape(tables.shape[:-1])

    theirs = stats.bootstrap((rows,), row_f1, n_resamples=4000, method="BCa", rng=1, vectorized=True)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.006)


def test_resampling_sums_is_scipys_bca_of_a_mean():
    values = np.random.default_rng(0).gamma(2.0, size=200)

    low, high, _ = cluster_bootstrap(np.stack([values, np.ones(200)], axis=1), share, n_resamples=10_000)

    theirs = stats.bootstrap((values,), np.mean, n_resamples=10_000, method="BCa", rng=1)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)


def test_a_mean_of_proportions_is_wilsons_of_one_and_tighter_of_two():
    one, two = mean_of_proportions_interval([38], [40]), mean_of_proportions_interval([38, 38], [40, 40])

    assert one[:2] == pytest.approx(wilson_interval(38, 40)[:2])
    assert two.high - two.low == pytest.approx((one.high - one.low) / 2**0.5)
    assert mean_of_proportions_interval([40, 40], [40, 40]).low < 1.0


def test_the_same_seed_gives_the_same_interval():
    counts = np.array([[180, 20], [15, 85]])

    assert multinomial_bootstrap(counts, f1, seed=3) == multinomial_bootstrap(counts, f1, seed=3)
    assert multinomial_bootstrap(counts, f1, seed=3) != multinomial_bootstrap(counts, f1, seed=4)


def test_a_bootstrap_without_spread_says_so():
    interval = multinomial_bootstrap(np.array([[50, 0], [0, 50]]), f1)

    assert interval.low is None
    assert "every resample scores 1" in interval.reason


def test_an_undefined_resample_is_counted():
    def without_zero(matrices):
        return np.where(matrices[:, 1, 1] > 1, 1.0 / np.maximum(matrices[:, 1, 1], 1), np.nan)

    assert "undefined in" in multinomial_bootstrap(np.array([[50, 3], [3, 2]]), without_zero).reason


def test_a_bootstrap_of_a_million_rows_is_as_quick_as_one_of_a_hundred():
    counts = np.array([[900_000, 5_000], [10_000, 85_000]])
    multinomial_bootstrap(counts, f1)  # warm

    start = time.perf_counter()
    low, high, _ = multinomial_bootstrap(counts, f1, n_resamples=10_000)

    assert time.perf_counter() - start < 0.1
    assert low < 0.9188 < high


def test_many_classes_and_many_units_stay_in_bounded_memory():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 3, (150, 150))
    statistics = rng.random((100_000, 4))

    tracemalloc.start()
    multinomial_bootstrap(counts, lambda m: np.trace(m, axis1=1, axis2=2) / m.sum(axis=(1, 2)))
    cluster_bootstrap(statistics, share, n_resamples=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 150e6  # 10,000 whole matrices would be 1.8 GB


def test_the_paired_difference_is_tighter_than_two_intervals():
    # [reference, a, b]: both models agree on most rows, b mends 30 misses of a and breaks 5 hits.
    counts = np.zeros((2, 2, 2), dtype=int)
    counts[0, 0, 0], counts[1, 1, 1], counts[1, 0, 1], counts[1, 1, 0], counts[1, 0, 0] = 800, 120, 30, 5, 45

    difference, (low, high, _) = paired_multinomial_interval(counts, f1)

    a, b = counts.sum(axis=2), counts.sum(axis=1)
    assert difference == pytest.approx(float(f1(b[None])[0] - f1(a[None])[0]))
    assert 0 < low < difference < high
    alone = multinomial_bootstrap(a, f1)
    assert high - low < alone.high - alone.low


def test_paired_units_must_be_the_same():
    statistics = np.ones((40, 2))
    with pytest.raises(ValueError, match="a has 40, b has 39; give the same rows in order"):
        paired_cluster_bootstrap(statistics, statistics[1:], share)

    better = statistics.copy()
    better[:20, 0] = 2
    difference, interval = paired_cluster_bootstrap(statistics, better, share)
    assert difference == pytest.approx(0.5)
    assert interval.low < 0.5 < interval.high


def test_two_unequal_units_have_a_paired_interval_too():
    statistics = np.array([[3.0, 10.0], [40.0, 90.0]])

    difference, interval = paired_cluster_bootstrap(statistics, statistics + [[1, 0], [30, 0]], share)

    assert (difference, interval.low, interval.high) == pytest.approx((0.31, 0.1, 1 / 3))


@pytest.mark.parametrize(("b", "c"), [(0, 0), (10, 25), (25, 10), (0, 6), (7, 7), (400, 480)])
def test_mcnemar_is_the_exact_binomial(b, c):
    expected = stats.binomtest(min(b, c), b + c, 0.5).pvalue if b + c else 1.0

    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9)


def test_equal_models_on_few_units_differ_as_rarely_as_the_level_says():
    rng, differing, trials = np.random.default_rng(0), 0, 300
    for trial in range(trials):
        sizes, share_right = rng.integers(5, 30, 8), rng.beta(4, 2, 8)
        a, b = (np.stack([rng.binomial(sizes, share_right), sizes], axis=1) for _ in range(2))
        low, high, _ = paired_cluster_bootstrap(a, b, share, 300, seed=trial)[1]
        differing += low is not None and (low > 0 or high < 0)

    # 5 % of 300 is 15, with a standard deviation of 4; of so few units 7 % differ, without the wider level 11 to 13 %.
    assert differing <= 28


def test_the_smallest_detectable_difference_is_the_published_one():
    assert smallest_detectable_difference(7849, 0.10) == pytest.approx(0.01, abs=1e-5)  # notes section 7


def test_false_discovery_control_is_scipys():
    p_values = np.random.default_rng(0).random(50) ** 2

    assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values))


def test_homogeneity_is_scipys_contingency_test():
    hits, totals = np.array([10, 30, 22]), np.array([40, 60, 50])
    expected = stats.chi2_contingency(np.stack([hits, totals - hits]), correction=False).pvalue

    assert homogeneity_test(hits, totals) == pytest.approx(expected)
    assert homogeneity_test([0, 0], [5, 5]) == 1.0
    assert homogeneity_test([3], [5]) == 1.0


def test_logit_intervals_stay_within_zero_and_one():
    low, high, _ = logit_interval(0.98, 0.02)

    assert 0 < low < 0.98 < high < 1
    assert logit_interval(1.0, 0.1).low is None


def test_importing_statistics_needs_nothing_heavy():
    heavy = ("torch", "sklearn", "pandas", "scipy.stats", "evaluate")
    code = f"import sys, llmtune.stats, llmtune.metrics; print([m for m in {heavy} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
