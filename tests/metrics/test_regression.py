"""Against sklearn, and the published vectors (notes/evaluation.md, section 3)."""

import warnings

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from torchmetrics.functional.regression import symmetric_mean_absolute_percentage_error

from llmtune.metrics import score_predictions
from llmtune.predictions import make_predictions

NUMBER = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6))


def scored(reference, prediction, metrics=(), **settings):
    rows = {"reference": reference, "prediction": prediction}
    return score_predictions(make_predictions("regression", rows, settings=settings), metrics=metrics)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=2, max_size=40), st.floats(-1e5, 1e5))
def test_every_error_is_sklearns(rows, shift):
    y, p = (np.array(column) + shift for column in zip(*rows, strict=True))

    found = scored(y, p, metrics=["mape"])

    assert found["mse"].value == pytest.approx(sk.mean_squared_error(y, p), rel=1e-12)
    assert found["rmse"].value == pytest.approx(sk.root_mean_squared_error(y, p), rel=1e-12)
    assert found["mae"].value == pytest.approx(sk.mean_absolute_error(y, p), rel=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r2 = sk.r2_score(y, p)
    if np.ptp(y) > 1e-3:
        assert found["r2"].value == pytest.approx(r2, rel=1e-9, abs=1e-9)
    if (y == 0).any():
        assert found["mape"].value is None
    else:
        assert found["mape"].value == pytest.approx(sk.mean_absolute_percentage_error(y, p), rel=1e-12)


def test_published_vector():
    found = scored([3, -0.5, 2, 7], [2.5, 0.0, 2, 8], metrics=["mape"])

    names = ("mse", "mae", "rmse", "mape", "r2")
    assert [found[name].value for name in names] == pytest.approx([0.375, 0.5, 0.6124, 0.3274, 0.9486], abs=1e-4)


def test_a_percentage_of_zero_is_refused():
    found = scored([1.0, 0, 2.4, 7], [1.2, 0.1, 2.4, 8], metrics=["mape"])

    assert found["mape"].value is None
    assert found["mape"].reason.startswith("some reference is 0")
    assert found["mae"].value is not None


@pytest.mark.parametrize("targets", [[1.0, 0, 2.4, 7], [0.0, 0, 0, 0], [-1.0, 0, 1, 2]])
@pytest.mark.parametrize("forecasts", [[1.2, 0.1, 2.4, 8], [0.0, 0, 0, 0], [1.0, -1, 1, -2]])
def test_smape_of_a_zero_target_is_that_of_torchmetrics(targets, forecasts):
    expected = symmetric_mean_absolute_percentage_error(torch.tensor(forecasts), torch.tensor(targets))

    score = scored(targets, forecasts)["smape"]

    assert score.value == pytest.approx(float(expected), abs=1e-6)
    assert "zero_target:2|0/0:0" in score.signature


def test_r2_of_one_row_is_undefined_as_sklearns():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(sk.r2_score([1.0], [2.0]))
    score = scored([1.0], [2.0])["r2"]
    assert (score.value, score.reason) == (None, "1 row: R² needs 2")


def test_r2_of_a_constant_reference_is_set_as_sklearns():
    assert scored([2.0, 2, 2], [2.0, 2, 2])["r2"].value == 1.0
    wrong = scored([2.0, 2, 2], [2.0, 2, 3])["r2"]
    assert (wrong.value, wrong.low) == (0.0, None)
    assert "never changes" in wrong.reason


def test_r2_holds_far_from_zero():
    y = 1e6 + np.random.default_rng(0).normal(size=200)
    p = y + np.random.default_rng(1).normal(size=200) / 3

    assert scored(y, p)["r2"].value == pytest.approx(sk.r2_score(y, p), rel=1e-9)


def test_mase_needs_the_naive_error_of_the_training_series():
    assert "mase" not in scored([1.0, 2], [1.5, 2])
    assert scored([1.0, 2], [1.5, 2], naive_mae=0.5)["mase"].value == pytest.approx(0.5)
    constant = scored([1.0, 2], [1.5, 2], naive_mae=0.0)["mase"]
    assert constant.value is None
    assert "never wrong" in constant.reason


def test_forecasts_over_a_horizon_count_every_step():
    y, p = np.random.default_rng(0).normal(size=(2, 60, 3))

    found = scored(y.tolist(), p.tolist())

    assert found["mse"].value == pytest.approx(sk.mean_squared_error(y, p))
    assert found["r2"].value == pytest.approx(sk.r2_score(y.ravel(), p.ravel()))
    assert found["mse"].low < found["mse"].value < found["mse"].high


def test_numbers_that_are_not_finite_are_counted():
    found = scored([1.0, 2, 3], [1.0, None, float("nan")])

    assert found["mae"].value is None
    assert found["mae"].reason == "2 of 3 rows have no finite prediction"


def test_words_are_no_numbers():
    with pytest.raises(ValueError, match="row 0: reference 'x' is no number; give numbers, or lists of them"):
        scored(["x", "y"], [1.0, 1.0])


def test_unequal_horizons_are_refused():
    with pytest.raises(ValueError, match=r"rows have \[1, 2\] numbers; give one, or lists over one horizon"):
        scored([[1.0], [1.0, 2.0]], [[1.0], [1.0]])
    with pytest.raises(ValueError, match=r"references of shape \(1, 2\) but predictions of shape \(1, 1\)"):
        scored([[1.0, 2.0]], [[1.0]])


def forecasts(**columns):
    rows = {"reference": [[1.0, 2.0], [3.0, 3.0], [0.0, 5.0]], "prediction": [[2.0, 0.5], [4.0, 3.0], [4.0, 6.0]]}
    return score_predictions(make_predictions("regression", rows | columns, settings={"interval_level": 0.9}))


def test_directions_are_counted_where_there_is_one_and_no_change_is_a_coin():
    # from 1: none, up foretold down; from 3: none, none; from 4: down foretold none, up foretold up
    score = forecasts(last_value=[1.0, 3.0, 4.0])["directional_accuracy"]

    assert score.value == pytest.approx((0 + 0.5 + 1) / 3)
    assert "directional_accuracy" not in forecasts()


def test_a_series_that_never_changes_has_no_direction():
    rows = {"reference": [2.0, 2.0], "prediction": [1.0, 3.0], "last_value": [2.0, 2.0]}
    score = score_predictions(make_predictions("regression", rows))["directional_accuracy"]

    assert (score.value, score.reason) == (0.0, "no step differs from the last known value: there is no direction")


def test_intervals_are_judged_by_what_they_cover_and_by_their_width():
    scores = forecasts(lower=[[0.0, 0], [2, 3], [1, 4]], upper=[[1.0, 1], [4, 5], [7, 8]])

    assert scores["coverage"].value == pytest.approx(4 / 6)  # 2 is above 1, 0 is below 1
    assert scores["interval_width"].value == pytest.approx((1 + 1 + 2 + 2 + 6 + 4) / 6)
    assert scores["coverage"].signature.startswith("level:0.9|")


def interval_of(name, errors, references=None):
    references = np.zeros(len(errors)) if references is None else references
    return scored(references, references + errors)[name]


def test_the_interval_of_an_error_has_the_t_and_the_shift_of_its_tail():
    errors = np.random.default_rng(0).normal(size=400)
    n, squares = len(errors), errors**2
    influence = -(n - 1) * np.log((squares.sum() - squares) / (n - 1) / squares.mean())
    error = influence.std(ddof=1) / np.sqrt(n)
    t = scipy.stats.t.ppf(0.975, min(n - 2, 2 * n / (scipy.stats.kurtosis(influence, fisher=False) - 1)))
    skewness = scipy.stats.skew(influence) / (6 * np.sqrt(n))

    mse, rmse = interval_of("mse", errors), interval_of("rmse", errors)

    assert mse.low == pytest.approx(squares.mean() * np.exp(error * (skewness * (1 + 2 * 1.96**2) - t)), rel=1e-9)
    assert mse.high == pytest.approx(squares.mean() * (1 + error * (skewness * (1 + 2 * t**2) + t) / 3) ** 3, rel=1e-9)
    assert (rmse.low, rmse.high) == pytest.approx((np.sqrt(mse.low), np.sqrt(mse.high)), rel=1e-9)


@pytest.mark.parametrize("far", [2, 5, 8, 30, 1_000, 1e6])
@pytest.mark.parametrize("name", ["mse", "rmse", "mae", "r2"])
def test_a_far_error_makes_no_interval_absurd(name, far):
    """Nor is it hidden: an interval that is given holds the score without that row."""
    rng = np.random.default_rng(3)
    references, errors = rng.normal(size=(2, 100))
    errors[0] = far
    score = interval_of(name, errors, references)
    rest = interval_of(name, errors[1:], references[1:])

    if score.low is None:
        assert "would be left: no interval" in score.reason
        assert far >= 8
    else:
        off = (lambda value: 1 - value) if name == "r2" else (lambda value: value)
        assert score.low <= rest.value <= score.high
        assert max(off(score.high), off(score.low)) < 30 * off(score.value)


def test_rows_that_are_nearly_all_wrong_alike_leave_room_above():
    errors = np.ones(100)
    errors[0] = 0
    mae = interval_of("mae", errors)
    assert mae.low < mae.value < mae.high


def test_intervals_of_errors_follow_the_unit_and_the_copies_of_rows():
    rng = np.random.default_rng(1)
    references, errors = np.exp(rng.normal(size=(2, 300)))

    for name, power in (("mse", 2), ("rmse", 1), ("mae", 1), ("r2", 0)):
        plain = interval_of(name, errors, references)
        scaled = interval_of(name, 1000 * errors, 1000 * references)
        twice = interval_of(name, np.repeat(errors, 2), np.repeat(references, 2))
        assert (scaled.low, scaled.high) == pytest.approx((plain.low * 1000**power, plain.high * 1000**power), rel=1e-6)
        assert plain.low < plain.value < plain.high
        assert twice.high - twice.low < plain.high - plain.low


@pytest.mark.parametrize(
    ("name", "errors", "reason"),
    [
        ("mse", np.zeros(60), "the score is 0: the rows give no interval"),
        ("r2", np.zeros(60), "the score is 1: the rows give no interval"),
        ("mae", np.ones(60), "all rows have the same value: no interval"),
        ("rmse", np.eye(60)[3], "without one of 60 rows 0% of the error would be left: no interval"),
        ("mae", np.ones(20), "20 rows: an interval needs 30"),
    ],
)
def test_where_errors_give_no_interval_the_reason_is_told(name, errors, reason):
    score = interval_of(name, errors, np.arange(float(len(errors))))

    assert (score.low, score.high) == (None, None)
    assert reason in score.reason


def test_an_interval_ends_at_the_greatest_score():
    rng = np.random.default_rng(2)
    reference = np.where(rng.random(60) < 0.05, 1.0, -1.0)

    smape = scored(reference, np.ones(60))["smape"]

    assert smape.value == pytest.approx(2 * (reference < 0).mean())
    assert smape.high <= 2.0
