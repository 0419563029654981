"""Temperature scaling: what a fit finds, and when it is taken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from llmtune.predictions import make_predictions
from llmtune.thresholds.temperature import choose_temperature, scale_probabilities

NAMES = ("a", "b", "c")


def validation(n, temperature, seed=0):
    """Rows whose labels are drawn from the softmax of their logits, said with logits times the temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 3))
    labels = [NAMES[rng.choice(3, p=row)] for row in softmax(logits, axis=1)]
    said = softmax(logits * temperature, axis=1)
    columns = {"reference": labels, "prediction": [NAMES[i] for i in said.argmax(axis=1)], "probabilities": said}
    return make_predictions("classification", columns, label_names=NAMES)


@pytest.mark.parametrize("temperature", [0.4, 2.5])
def test_the_fit_finds_by_how_much_the_logits_are_too_large(temperature):
    choice = choose_temperature(validation(3000, temperature))

    assert choice.temperature == pytest.approx(temperature, rel=0.1)
    assert choice.log_loss_at_candidate < choice.log_loss
    assert choice.gain.low > 0
    assert "log loss on validation from" in choice.reason
    assert "95 % interval of the fall [" in choice.reason


def test_probabilities_that_hold_are_left_as_they_are():
    choice = choose_temperature(validation(300, 1.0))

    assert choice.temperature == 1
    assert choice.candidate == pytest.approx(1, abs=0.3)
    assert choice.reason.endswith("perhaps by chance")


def test_too_few_rows_fit_nothing():
    choice = choose_temperature(validation(29, 3.0))

    assert (choice.temperature, choice.gain) == (1, None)
    assert choice.reason == "1: 29 rows of validation are too few to fit a temperature"


@given(st.lists(st.lists(st.floats(-8, 8), min_size=3, max_size=3), min_size=1, max_size=5), st.floats(0.1, 10))
def test_scaled_probabilities_are_the_softmax_of_scaled_logits(logits, temperature):
    scaled = scale_probabilities(softmax(np.array(logits), axis=1), temperature)

    np.testing.assert_allclose(scaled, softmax(np.array(logits) / temperature, axis=1), atol=1e-6)


def test_what_is_not_finite_stays_so():
    assert np.isnan(scale_probabilities(np.array([[np.nan, np.nan]]), 2.0)).all()
