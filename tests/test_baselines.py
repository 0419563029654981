"""The baselines that stand beside every classifier."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from llmtune.baselines import majority, tfidf_logistic_regression
from llmtune.predictions import make_predictions


def held_out(*names):
    reference = ["ham", "spam", "ham", "ham"]
    return make_predictions(
        "classification",
        {"reference": reference, "prediction": reference},
        label_names=names or ("ham", "spam"),
        positive_label="spam",
        split="test",
    )


TRAIN_TEXTS = [
    "see you at lunch",
    "win free cash",
    "free prize now",
    "lunch at noon",
    "you win a prize",
    "see you soon",
]
TRAIN_LABELS = ["ham", "spam", "spam", "ham", "spam", "ham"]


def test_the_majority_class_is_always_said_with_the_shares_of_train():
    found = majority(["ham"] * 7 + ["spam"] * 3, held_out())

    assert found.column("prediction") == ["ham"] * 4
    np.testing.assert_allclose(found.probabilities(), [[0.7, 0.3]] * 4)
    assert found.column("reference") == held_out().column("reference")
    assert (found.label_names, found.positive_label, found.split) == (("ham", "spam"), "spam", "test")


def test_a_majority_of_spam_is_spam():
    assert majority(["spam", "ham", "spam"], held_out()).column("prediction") == ["spam"] * 4


@pytest.mark.parametrize("names", [("ham", "spam"), ("spam", "ham")])
def test_tfidf_tells_by_words_in_the_order_of_the_label_names(names):
    texts = ["lunch, see you", "free cash prize", "at noon", "see you at lunch"]

    found = tfidf_logistic_regression(TRAIN_TEXTS, TRAIN_LABELS, texts, held_out(*names))

    assert found.column("prediction") == ["ham", "spam", "ham", "ham"]
    probabilities = found.probabilities()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert [names[i] for i in probabilities.argmax(axis=1)] == found.column("prediction")
    spam = probabilities[:, names.index("spam")]
    assert log_loss([0, 1, 0, 0], spam) < 0.5


def test_emoji_and_punctuation_are_words_too():
    found = tfidf_logistic_regression(["😀 !", "💰 ?"] * 5, ["ham", "spam"] * 5, ["😀", "💰", "!", "!"], held_out())

    assert found.column("prediction") == ["ham", "spam", "ham", "ham"]
