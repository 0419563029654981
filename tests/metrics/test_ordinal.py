"""Metrics of classes in an order, against scikit-learn and by hand."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from llmtune.metrics import score_predictions
from llmtune.metrics.core.confusion import confusion_matrix
from llmtune.metrics.qwk import defined_score
from llmtune.metrics.steps_off import mean_steps, within_one
from llmtune.predictions import make_predictions


def test_qwk_and_steps_are_scikit_learns_on_thousands_of_tables():
    draw = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns where kappa is 0/0, and gives NaN as we do
        for number in range(2000):
            c, n = int(draw.integers(2, 7)), int(draw.integers(1, 30))
            reference = draw.integers(0, 1 + draw.integers(0, c), n)  # often one class alone, or the last never true
            prediction = draw.integers(0, c, n) if number % 3 else reference
            matrix = confusion_matrix(reference, prediction, c)[None]
            expected = cohen_kappa_score(reference, prediction, weights="quadratic", labels=range(c))

            assert defined_score(matrix)[0] == pytest.approx(expected, abs=1e-12, nan_ok=True)
            assert mean_steps(matrix)[0] == pytest.approx(mean_absolute_error(reference, prediction))
            assert within_one(matrix)[0] == pytest.approx(np.mean(np.abs(reference - prediction) <= 1))


def stars(reference, prediction, **settings):
    table = make_predictions(
        "classification",
        {"reference": reference, "prediction": prediction},
        label_names=("1", "2", "3", "4", "5"),
        settings=settings,
    )
    return score_predictions(table, metrics=() if settings else ["qwk", "steps_off"])


@pytest.mark.parametrize("settings", [{"ordinal": True}, {}])
def test_an_order_adds_its_metrics_and_any_table_has_them_by_name(settings):
    reference, prediction = ["1", "2", "3", "4", "5"] * 40, ["1", "3", "3", "1", "5"] * 40
    scores = stars(reference, prediction, **settings)

    assert scores["mae_steps"].value == pytest.approx((1 + 3) / 5)
    assert scores["within_one_step"].value == pytest.approx(4 / 5)
    for name in ("qwk", "mae_steps", "within_one_step"):
        assert scores[name].low < scores[name].value < scores[name].high
    assert "weights:quadratic" in scores["qwk"].signature


def test_classes_without_an_order_have_none_of_them():
    table = make_predictions(
        "classification", {"reference": ["a", "b", "c"], "prediction": ["a", "b", "c"]}, label_names=("a", "b", "c")
    )

    assert not {"qwk", "mae_steps", "within_one_step"} & set(score_predictions(table))


def test_one_class_alone_has_no_weighted_kappa():
    score = stars(["3"] * 40, ["3"] * 40, ordinal=True)["qwk"]

    assert score.value is None
    assert score.reason == "reference and prediction are one same class throughout: kappa is 0/0"


def test_two_steps_cost_four_times_one():
    near, far = ["1", "2", "3", "4", "5"] * 20, ["1", "2", "3", "4", "5"] * 20
    near[0], far[0] = "2", "3"
    reference = ["1", "2", "3", "4", "5"] * 20
    lost = [1 - stars(reference, prediction, ordinal=True)["qwk"].value for prediction in (near, far)]

    assert lost[1] == pytest.approx(4 * lost[0], rel=0.02)
