"""Pearson's and Spearman's correlation against scipy, on random and edge tables, and the intervals."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch

from llmtune.metrics import compute_metrics, pearson, score_predictions, spearman
from llmtune.predictions import make_predictions

REFERENCES = {"pearson": scipy.stats.pearsonr, "spearman": scipy.stats.spearmanr}
MODULES = {"pearson": pearson, "spearman": spearman}


def random_tables(count):
    """Pairs of numbers (n, 2): normal, rounded to ties, of two values, far from 0 and of unlike size, constant."""
    draw = np.random.default_rng(0)
    for number in range(count):
        n = int(draw.integers(2, 40))
        x = draw.normal(size=n)
        y = draw.normal(size=n) + draw.normal() * x
        if number % 5 == 1:
            x, y = np.round(x), np.round(y)
        if number % 5 == 2:
            x, y = draw.integers(0, 3, n).astype(float), draw.integers(0, 2, n).astype(float)
        if number % 5 == 3:
            x, y = 1e-9 * x, 1e8 + y
        if number % 5 == 4:
            y = np.full(n, 0.1)
        yield np.stack([x, y], axis=1)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_correlation_is_scipys_on_thousands_of_tables(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of constant input, and gives NaN as we do
        for rows in random_tables(3000):
            found, expected = MODULES[name].score(rows[None])[0], REFERENCES[name](*rows.T)[0]
            assert found == pytest.approx(expected, abs=1e-9, nan_ok=True), rows


def scored(reference, prediction, **columns):
    return score_predictions(
        make_predictions("regression", {"reference": reference, "prediction": prediction}, carried=columns)
    )


@pytest.mark.parametrize("name", REFERENCES)
def test_two_rows_lie_on_a_line_and_have_no_interval(name):
    score = scored([1.0, 2.0], [5.0, 3.0])[name]

    assert score.value == pytest.approx(-1.0)
    assert (score.low, score.high) == (None, None)
    assert score.reason == "2 rows: an interval needs 30"


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(
    ("reference", "prediction", "reason"),
    [
        ([1.0, 2.0], [3.0, 3.0], "every prediction is 3: a correlation is 0/0"),
        ([0.5, 0.5], [3.0, 4.0], "every reference is 0.5: a correlation is 0/0"),
        ([0.5], [3.0], "1 row: a correlation needs 2"),
    ],
)
def test_one_number_alone_has_no_correlation(name, reference, prediction, reason):
    score = scored(reference, prediction)[name]

    assert (score.value, score.reason) == (None, reason)


@pytest.mark.parametrize("name", REFERENCES)
def test_of_normal_numbers_the_interval_is_about_fishers(name):
    draw = np.random.default_rng(3)
    x = draw.normal(size=20_000)
    rows = np.stack([x, 0.6 * x + 0.8 * draw.normal(size=len(x))], axis=1)
    expected = scipy.stats.pearsonr(*rows.T).confidence_interval()
    score = scored(rows[:, 0], rows[:, 1])[name]

    assert score.low < score.value < score.high
    # Spearman's is a little wider: 1.06 times in theory (Fieller, Hartley and Pearson 1957).
    width = {"pearson": 1.0, "spearman": 1.06}[name] * (expected.high - expected.low)
    assert score.high - score.low == pytest.approx(width, rel=0.05)


def test_ranks_alone_decide_spearmans_and_a_perfect_line_has_no_interval():
    reference = np.arange(40.0)
    scores = scored(reference, np.exp(reference / 5))

    assert scores["spearman"].value == pytest.approx(1.0)
    assert (scores["spearman"].low, scores["spearman"].reason) == (None, "the score is 1: the rows give no interval")
    assert 0.5 < scores["pearson"].low < scores["pearson"].value < 1


def test_one_row_that_makes_the_correlation_is_no_error():
    scores = scored([0.0] * 39 + [1.0], [0.0] * 39 + [1.0])

    assert scores["pearson"].value == pytest.approx(scores["spearman"].value) == pytest.approx(1.0)
    assert scores["pearson"].low is None


def test_the_interval_of_outliers_is_wider_than_fishers():
    draw = np.random.default_rng(0)
    x = draw.standard_t(3, size=500)
    rows = np.stack([x, x + draw.standard_t(3, size=500)], axis=1)
    fisher = scipy.stats.pearsonr(*rows.T).confidence_interval()

    score = scored(rows[:, 0], rows[:, 1])["pearson"]

    assert score.high - score.low > 1.2 * (fisher.high - fisher.low)


def test_texts_have_correlations_and_no_metric_of_series():
    numbers = [1.0, 2.0, 4.0, 3.0]
    of_texts = scored(numbers, numbers, text=["a", "b", "c", "d"])
    of_steps = score_predictions(
        make_predictions("regression", {"reference": numbers, "prediction": numbers, "time": [1, 2, 3, 4]})
    )
    of_horizons = scored([[1.0, 2.0], [2.0, 3.0]], [[1.0, 2.0], [2.0, 3.0]])

    assert set(of_texts) == {"mse", "rmse", "mae", "r2", "pearson", "spearman"}
    assert set(of_steps) == set(of_horizons) == {"mse", "rmse", "mae", "r2", "smape"}


@pytest.mark.parametrize("batch", [41, 8, 1])
@pytest.mark.parametrize("columns", [1, None])  # logits (n, 1), as of num_labels=1, or (n,)
def test_in_anyones_trainer_a_correlation_is_scipys_whatever_the_batches(batch, columns):
    draw = np.random.default_rng(0)
    labels = np.round(draw.normal(size=41), 1)  # with ties
    logits = torch.tensor(labels + draw.normal(size=41), dtype=torch.float32)
    hub = compute_metrics("regression")

    for begin in range(0, 41, batch):
        own = slice(begin, begin + batch)
        outputs = logits[own] if columns is None else logits[own, None]
        reduced = hub.preprocess_logits_for_metrics((outputs, "hidden states"), torch.tensor(labels[own]))
        rows = SimpleNamespace(predictions=reduced.numpy(), label_ids=labels[own])
        values = hub(rows, compute_result=begin + batch >= 41)

    for name, reference in REFERENCES.items():
        assert values[name] == pytest.approx(reference(labels, logits.numpy())[0], rel=1e-6)
