"""The thresholds of several labels a row: one for all, one of its own only where the gain is real."""

import numpy as np
import pytest

from llmtune.predictions import make_predictions
from llmtune.thresholds.label_sets import choose_label_thresholds

NAMES = ("common", "rare", "shifted")


def table(probabilities, truth):
    sets = [[NAMES[label] for label in np.flatnonzero(row)] for row in truth]
    columns = {"reference": sets, "prediction": sets, "probabilities": probabilities}
    return make_predictions("multilabel-classification", columns, label_names=NAMES)


def drawn(n, bias, seed=0):
    """Calibrated probabilities of three labels, each then moved by a bias of its logit."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (n, 3)) + [0, -4, 0]
    truth = draw.random((n, 3)) < 1 / (1 + np.exp(-logits))
    return table(1 / (1 + np.exp(-(logits + bias))), truth)


def test_all_labels_share_a_threshold_where_all_are_moved_alike():
    choice = choose_label_thresholds(drawn(800, -2.0), "f1", "all")

    assert len(set(choice.thresholds)) == 1
    assert choice.thresholds[0] < 0.3
    assert choice.common.gain.low > 0
    assert choice.reason.startswith(f"for every label {choice.thresholds[0]:.3g}: on validation f1 rises from")


def test_one_label_that_is_moved_gets_a_threshold_of_its_own_and_the_others_keep_the_common_one():
    choice = choose_label_thresholds(drawn(1500, [0.0, 0.0, 3.0]), "f1")

    common, rare, shifted = choice.thresholds
    assert list(choice.of_labels) == ["shifted"]
    assert shifted > 0.75
    assert common == rare == choice.common.threshold
    assert "of their own, significantly better on validation: shifted" in choice.reason
    assert choice.to_json()["of_labels"]["shifted"]["threshold"] == shifted


def test_one_half_stays_for_good_probabilities_for_few_rows_and_when_asked():
    kept = (0.5, 0.5, 0.5)
    moved = sum(choose_label_thresholds(drawn(300, 0.0, seed), "none").thresholds != kept for seed in range(3))
    assert moved == 0
    few = choose_label_thresholds(drawn(12, -2.0), "f1")
    assert few.thresholds == kept
    assert "rows of any label on validation are too few" in few.reason


def test_a_floor_is_reached_by_each_label_with_enough_rows_and_by_all_together():
    validation = drawn(1500, [0.0, 0.0, 3.0])

    choice = choose_label_thresholds(validation, "recall>=0.95")

    predicted = validation.probabilities() >= np.array(choice.thresholds)
    truth = validation.label_sets("reference")
    recall = (predicted & truth).sum(axis=0) / truth.sum(axis=0)
    assert (recall >= 0.95).all()


@pytest.mark.slow
def test_chance_moves_thresholds_of_good_probabilities_rarely():
    moved = [bool(choose_label_thresholds(drawn(400, -0.4, seed), "f1").of_labels) for seed in range(60)]

    assert np.mean(moved) < 0.15
