"""Columns and results that no metric can be computed of."""

import pytest

from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.metrics.core.external import foreign_values
from llmtune.predictions import make_predictions


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"reference": ["a", "b"], "prediction": ["a", None]}, r"row 1: prediction is empty \(null\); give a text, an"),
        ({"reference": ["a", None], "prediction": ["a", ""]}, r"row 1: reference is empty \(null\); give a text, an"),
    ],
)
def test_a_text_that_is_null_is_not_an_empty_text(columns, message):
    with pytest.raises(InputError, match=message):
        score_predictions(make_predictions("text-generation", columns))


def test_a_function_that_returns_no_number_is_no_metric():
    def verdict(predictions, references):
        return "good"

    with pytest.raises(ValueError, match="it returned 'good'; return a number or a dict of numbers"):
        foreign_values(verdict, "verdict", [1], [1])
