"""What probabilities tell: calibration, the threshold, wrong labels, broken numbers."""

import numpy as np
import pytest

from llmtune.diagnosis.calibration import calibration, temperature
from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS
from llmtune.diagnosis.context import Context, diagnose
from llmtune.diagnosis.label_noise import label_noise
from llmtune.diagnosis.numerics import numerics
from llmtune.diagnosis.threshold import threshold
from llmtune.metrics import score_predictions
from llmtune.predictions import make_predictions
from tests.diagnosis.tables import binary, with_probabilities


def calibrated(n=2_000, seed=0):
    """References drawn from the probabilities."""
    draw = np.random.default_rng(seed)
    positive = draw.beta(0.5, 0.5, n)
    return draw.random(n) < positive, positive


def sharpened(positive, t):
    logit = np.log(positive / (1 - positive)) / t
    return 1 / (1 + np.exp(-logit))


def test_calibrated_probabilities_pass_and_sharpened_ones_fail_with_the_temperature():
    truth, positive = calibrated()
    cold = with_probabilities(truth, sharpened(positive, 1 / 3))

    assert calibration(with_probabilities(truth, positive)).status == PASS
    check = calibration(cold, cold)
    assert check.status == FAIL
    assert "overconfident" in check.finding
    assert check.numbers["temperature_on_validation"] == pytest.approx(3, rel=0.1)
    assert "divide the logits by" in check.remedy
    warm = with_probabilities(truth, sharpened(positive, 3))
    assert "underconfident" in calibration(warm).finding
    assert temperature(binary(5, 5, 5, 5)) is None


def test_a_model_trained_with_class_weights_is_advised_no_temperature():
    truth, positive = calibrated()
    cold = with_probabilities(truth, sharpened(positive, 1 / 3))
    check = diagnose_calibration(Context(cold, cold, class_weights="balanced"))
    assert check.remedy == (
        "train without --class_weights balanced: weights move the probabilities of a label away from its share, which "
        "no temperature undoes; for a rare label --threshold_objective does what weights do"
    )


def diagnose_calibration(case):
    (check,) = (check for check in diagnose(case).checks if check.check == "calibration")
    return check


def test_small_error_above_chance_is_no_fault():
    truth, positive = calibrated(60_000)
    check = calibration(with_probabilities(truth, sharpened(positive, 0.9)))

    assert check.numbers["ece"] > check.numbers["ece_chance_bound"]
    assert check.status == PASS


def test_calibration_says_what_it_lacks():
    assert calibration(binary(50, 0, 0, 50)).status == NOT_APPLICABLE
    truth, positive = calibrated(20)
    assert calibration(with_probabilities(truth, positive)).status == NOT_ENOUGH_DATA


def test_a_threshold_that_lost_on_test_is_told_and_its_price_is_not():
    truth, positive = calibrated()
    table = with_probabilities(truth, positive, threshold=0.97)

    lost = threshold(table, "f1")
    assert lost.status == FAIL
    assert "--threshold_objective none" in lost.remedy
    assert lost.numbers["gain"] < 0
    assert threshold(table, "precision>=0.95").status == PASS
    assert threshold(with_probabilities(truth, positive, threshold=0.45), "f1").status == PASS
    assert threshold(with_probabilities(truth, positive)).status == NOT_APPLICABLE
    assert threshold(binary(5, 5, 5, 5)).status == NOT_APPLICABLE
    few = with_probabilities(truth[:40], positive[:40], threshold=0.97)
    assert threshold(few, "f1").status == PASS


def test_flipped_labels_are_shortlisted_the_surest_first():
    draw = np.random.default_rng(0)
    truth = draw.random(1_000) < 0.5
    positive = np.where(truth, 0.97, 0.03)
    flipped = np.zeros(1_000, dtype=bool)
    flipped[draw.choice(1_000, 80, replace=False)] = True
    right = draw.random(1_000) < 0.97
    reference = np.where(right, truth, ~truth) ^ flipped

    check = label_noise(with_probabilities(reference, positive))

    assert check.status == FAIL
    ids = {row["id"] for row in check.numbers["shortlist"]}
    assert len(ids & set(np.flatnonzero(flipped | ~right).tolist())) == len(ids) == 50
    assert set(check.numbers["shortlist"][0]) == {"id", "label", "likely", "probability"}
    assert "relabel" in check.remedy


def test_errors_that_the_probabilities_admit_are_no_label_noise():
    truth, positive = calibrated()

    assert label_noise(with_probabilities(truth, positive)).status == PASS
    assert label_noise(binary(5, 5, 5, 5)).status == NOT_APPLICABLE
    assert label_noise(with_probabilities(truth[:40], positive[:40])).status == NOT_ENOUGH_DATA


def test_rows_of_nan_fail_and_are_counted():
    truth, positive = calibrated(100)
    positive[:3] = np.nan

    check = numerics(with_probabilities(truth, positive))

    assert check.status == FAIL
    assert check.numbers["faults"] == {"rows whose probabilities are NaN or missing": 3}


@pytest.mark.parametrize("row", [[0.7, 0.7], [-0.2, 1.2], [0.0, 0.0]])
def test_probabilities_that_are_none_fail(row):
    table = make_predictions(
        "classification",
        {"reference": ["a", "b"], "prediction": ["a", "b"], "probabilities": [[0.5, 0.5], row]},
        label_names=["a", "b"],
    )

    assert numerics(table).numbers["faults"] == {"rows whose probabilities do not sum to 1": 1}


def test_other_broken_numbers_are_found():
    numbers = make_predictions("regression", {"reference": [1.0, None], "prediction": [1.0, float("nan")]})
    assert numerics(numbers).numbers["faults"] == {
        "rows without reference": 1,
        "rows whose prediction is NaN or infinite": 1,
    }
    likelihoods = make_predictions("language-modeling", {"nll": [1.0, float("inf")], "tokens": [3, 4]})
    assert numerics(likelihoods).numbers["faults"] == {"rows whose nll is NaN or infinite": 1}
    silent = make_predictions("text-generation", {"reference": ["a", "b"], "prediction": ["a", None]})
    assert numerics(silent).numbers["faults"] == {"rows without prediction": 1}
    assert numerics(binary(1, 0, 0, 1), losses=[0.4, None]).status == FAIL


def test_cut_texts_are_said_and_no_fault():
    check = numerics(binary(50, 0, 0, 50), truncated={"test": 20, "train": 0})

    assert check.status == PASS
    assert "20 % of the texts were truncated" in check.finding
    assert check.remedy == "raise --max_length"


def test_logits_in_the_place_of_probabilities_give_no_score():
    labels = ["ham", "spam"] * 40
    table = make_predictions(
        "classification",
        {"reference": labels, "prediction": labels, "probabilities": [[9.0, -3.0], [-2.0, 4.0]] * 40},
        label_names=["ham", "spam"],
    )

    ece = score_predictions(table)["ece"]

    assert (ece.value, ece.reason) == (None, "80 of 80 rows have probabilities outside 0 to 1")
    assert numerics(table).status == FAIL
    assert calibration(table).status == NOT_ENOUGH_DATA
