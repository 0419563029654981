"""Windows over steps, their scales, and the forecasts that need no training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtune.errors import InputError
from llmtune.tasks.forecasting import simple
from llmtune.tasks.forecasting.scaling import Scale, fit_scales, scale_of
from llmtune.tasks.forecasting.steps import Steps
from llmtune.tasks.forecasting.windows import make_windows


def made(*series, observed=None, past=(), has_future=True):
    """Steps of series of values, the one input being the target."""
    target = np.concatenate([np.array(values, dtype=float) for values in series])
    keys = [chr(ord("a") + place) for place, values in enumerate(series) for _ in values]
    times = [time for values in series for time in range(len(values))]
    is_past = np.array([place in past for place in range(len(target))])
    known = ~np.isnan(target) if observed is None else np.array(observed)
    return Steps(np.arange(len(target)), times, keys, target[:, None], target, known, is_past, has_future=has_future)


def windows_of(steps, *, lookback=2, horizon=1, scaler="none", changes=False, target_input=0):
    return make_windows(
        steps, lookback=lookback, horizon=horizon, scales=fit_scales(steps, scaler), target_input=target_input,
        predicts_change=changes,
    )  # fmt: skip


def test_a_window_reads_the_lookback_and_predicts_the_horizon_in_one_series():
    windows = windows_of(made([1, 2, 3, 4, 5], [10, 20, 30]), lookback=2, horizon=2)

    assert windows.past_values()[..., 0].tolist() == [[1, 2], [2, 3]]
    assert windows.labels().tolist() == [[3, 4], [4, 5]]
    assert windows.keys == ("a", "a")  # the second series is too short


@given(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3))
def test_no_window_crosses_series_or_predicts_the_past(lengths, lookback, horizon, past):
    lengths = [length + 1 for length in lengths]
    steps = made(*[np.arange(length) + 100 * place for place, length in enumerate(lengths)])
    begins = np.cumsum([0, *lengths[:-1]])
    steps.is_past[[begin + i for begin, n in zip(begins, lengths, strict=True) for i in range(min(past, n))]] = True

    windows = windows_of(steps, lookback=lookback, horizon=horizon)

    expected = sum(max(0, n - max(lookback, past) - horizon + 1) for n in lengths)
    assert len(windows) == expected
    if expected:
        values = np.concatenate([windows.past_values()[..., 0], windows.labels()], axis=1)
        assert (np.diff(values, axis=1) == 1).all()
        assert not steps.is_past[windows.first].any()


def test_windows_that_read_or_predict_a_gap_are_left_out_and_counted():
    values = [1, 2, np.nan, 4, 5, 6, 7]

    windows = windows_of(made(values))

    assert windows.past_targets.tolist() == [[4, 5], [5, 6]]
    assert windows.left_out == 3  # two read it, one would predict it


def test_what_was_filled_is_read_and_never_foretold():
    windows = windows_of(made([1, 2, 3, 3, 5, 6], observed=[True, True, True, False, True, True]))

    assert windows.targets.ravel().tolist() == [3, 5, 6]
    assert windows.past_targets.tolist() == [[1, 2], [3, 3], [3, 5]]


def test_without_a_future_the_window_ends_with_each_series():
    steps = made([1, 2, 3], [10, 20, 30], has_future=False)

    windows = windows_of(steps)

    assert windows.past_targets.tolist() == [[2, 3], [20, 30]]
    assert windows.keys == ("a", "b")


@pytest.mark.parametrize("changes", [False, True])
@pytest.mark.parametrize("scaler", ["standard", "minmax", "none"])
def test_what_the_model_shall_say_comes_back_in_the_unit_of_the_target(scaler, changes):
    walk = np.random.default_rng(0).normal(size=(2, 30)).cumsum(axis=1) * [[1.0], [50.0]] + 100
    windows = windows_of(made(*walk), horizon=3, scaler=scaler, changes=changes)

    np.testing.assert_allclose(windows.to_unit(windows.labels()), windows.targets, rtol=1e-5)


def test_of_changes_nothing_is_persistence_and_the_target_counts_from_the_last_value():
    windows = windows_of(made([1, 2, 4, 8, 16]), horizon=1, scaler="minmax", changes=True)

    np.testing.assert_allclose(windows.to_unit(np.zeros((3, 1)))[:, 0], [2, 4, 8])
    np.testing.assert_allclose(windows.past_values()[..., 0] * 15, [[-1, 0], [-2, 0], [-4, 0]], rtol=1e-6)
    assert windows.scales["a"].change_size == pytest.approx(np.std([1, 2, 4, 8]))


def test_scales_are_those_of_each_series_and_a_constant_has_size_one():
    scales = fit_scales(made([1, 2, 6], [5, 5, 5]), "standard")
    minmax = fit_scales(made([1, 2, 6]), "minmax")

    assert (scales["a"].target_center, scales["a"].target_size) == (3, pytest.approx(np.std([1, 2, 6])))
    assert (scales["b"].target_size, scales["b"].change_size) == (1, 1)
    assert (minmax["a"].target_center, minmax["a"].target_size) == (1, 5)
    assert (
        Scale(**{name: tuple(v) if isinstance(v, list) else v for name, v in scales["a"].to_json().items()})
        == (scales["a"])
    )


def test_a_label_is_never_the_number_that_stands_for_padding():
    windows = windows_of(made([0, 0, -100, 5]))

    assert windows.labels()[0, 0] == pytest.approx(-100, abs=1e-4)
    assert (windows.labels() != -100).all()


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: fit_scales(made([1, 2]), "robust"), "--scaler 'robust' is not one of standard, minmax, none"),
        (
            lambda: fit_scales(made([1, 2], [np.nan, np.nan]), "minmax"),
            "train: series 'b' has an input or target without one number in its 2 steps; leave the series",
        ),
        (
            lambda: scale_of(fit_scales(made([1, 2]), "none"), "z"),
            "series 'z' was not in train, so its scale is not known; known are 'a'; leave its rows out, or",
        ),
    ],
)
def test_a_scale_that_can_not_be_is_refused(refused, message):
    with pytest.raises(InputError) as error:
        refused()

    assert message in str(error.value)


def test_the_simple_forecasts_are_those_by_hand():
    train = windows_of(made([0, 1, 2, 3, 4, 5, 7]), lookback=4, horizon=3)  # the mean change is 7/6
    windows = windows_of(made([1, 2, 3, 4, 9, 9, 9]), lookback=4, horizon=3)

    assert simple.persistence(windows).tolist() == [[4, 4, 4]]
    np.testing.assert_allclose(simple.drift(windows, train), [[4 + 7 / 6, 4 + 14 / 6, 4 + 21 / 6]])
    assert simple.seasonal_naive(windows, 4).tolist() == [[1, 2, 3]]
    assert simple.seasonal_naive(windows, 2).tolist() == [[3, 4, 3]]
    assert simple.naive_mae(train.steps, 1) == pytest.approx(7 / 6)
    assert simple.naive_mae(train.steps, 2) == pytest.approx((2 * 4 + 3) / 5)
    assert simple.naive_mae(train.steps, 7) is None


def test_ridge_finds_a_linear_rule():
    values = [1.0, 1.0]
    for _ in range(60):
        values.append(0.6 * values[-1] - 0.9 * values[-2] + 1)
    train, test = windows_of(made(values[:40])), windows_of(made(values[40:]))

    np.testing.assert_allclose(simple.ridge(test, train), test.targets, atol=1e-2)
