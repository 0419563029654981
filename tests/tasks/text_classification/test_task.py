"""Text classification: texts to tokens, logits to probabilities and labels."""

from dataclasses import replace

import datasets
import numpy as np
import pytest
import torch
import transformers

from llmtune.baselines import majority
from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.models.from_scratch import train_tokenizer
from llmtune.predictions import make_predictions
from llmtune.predictions.kinds import deciding_metric
from llmtune.tasks import sequence_task
from llmtune.tasks.text_classification.arguments import TextClassificationArguments
from llmtune.tasks.text_classification.task import TextClassification

TASK = TextClassification(("ham", "spam"), "spam", max_length=8)
THREE = TextClassification(("bad", "fair", "good"), "good", max_length=8)
TEXTS = ["win cash now", "see you at lunch my friend at noon today", "ok"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer("bert", TEXTS, 200, 64)


@pytest.mark.parametrize("at_once", [1, 2, 1_000])
def test_rows_keep_their_order_and_the_cut_ones_are_counted(tokenizer, at_once, monkeypatch):
    monkeypatch.setattr(sequence_task, "AT_ONCE", at_once)
    rows = datasets.Dataset.from_dict({"text": TEXTS, "label": ["spam", "ham", "ham"]})

    encoded = TASK.encode(rows, tokenizer)
    tokens = encoded.dataset

    assert tokens["labels"] == [1, 0, 0]
    assert encoded.facts == {"truncated": 1}
    assert [len(ids) for ids in tokens["input_ids"]][1] == 8
    for ids, text in zip(tokens["input_ids"], TEXTS, strict=True):
        assert ids == tokenizer(text, truncation=True, max_length=8)["input_ids"]
    assert set(tokens.column_names) == {"input_ids", "attention_mask", "labels"}
    assert "labels" not in TASK.encode(rows.remove_columns("label"), tokenizer).dataset.column_names


def test_a_micro_batch_is_padded_to_its_longest_row(tokenizer):
    rows = datasets.Dataset.from_dict({"text": ["win", "win cash now"], "label": ["spam"] * 2})
    tokens = TASK.encode(rows, tokenizer).dataset

    batch = TASK.data_collator(tokenizer)(list(tokens))

    assert batch["input_ids"].shape == (2, 5)
    assert batch["attention_mask"].sum(dim=1).tolist() == [3, 5]
    assert batch["labels"].tolist() == [1, 1]


def test_probabilities_are_torchs_softmax_also_for_large_logits():
    logits = np.array([[1.0, -2.0], [1000.0, 999.0], [-1e4, 0.0]])

    expected = torch.tensor(logits, dtype=torch.float64).softmax(-1)

    np.testing.assert_allclose(TASK.probabilities(logits), expected, atol=1e-12)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_nan_and_touches_no_other(broken):
    found = TASK.probabilities(np.array([[0.0, 0.0], [broken, 1.0], [broken, broken]]))

    assert np.isnan(found).all(axis=1).tolist() == [False, True, True]
    assert found[0].tolist() == [0.5, 0.5]
    assert TASK.decide(found) == ["spam", "ham", "ham"]
    assert TextClassification(("ham", "spam"), "ham", max_length=8).decide(found)[1:] == ["spam", "spam"]
    assert THREE.decide(np.full((1, 3), np.nan)) == ["bad"]


@pytest.mark.parametrize(
    ("positive", "threshold", "expected"),
    [
        ("spam", 0.5, ["ham", "spam", "spam"]),
        ("spam", 0.2, ["ham", "spam", "spam"]),
        ("spam", 0.19, ["ham", "spam", "spam"]),
        ("spam", 0.1, ["spam", "spam", "spam"]),
        ("spam", 0.6, ["ham", "ham", "spam"]),
        ("ham", 0.5, ["ham", "ham", "spam"]),  # from the threshold on: a tie is positive
        ("ham", 0.95, ["spam", "spam", "spam"]),
    ],
)
def test_the_threshold_is_of_the_positive_label(positive, threshold, expected):
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.3, 0.7]])

    assert TextClassification(("ham", "spam"), positive, threshold, max_length=8).decide(probabilities) == expected


def test_three_classes_take_the_likeliest():
    assert THREE.decide(np.array([[0.2, 0.5, 0.3], [0.4, 0.35, 0.25]])) == ["fair", "bad"]


def test_the_head_and_settings_survive_the_models_config():
    task = TextClassification(("ham", "spam"), "ham", 0.37, max_length=48)
    config = transformers.BertConfig(**task.head_config(), llmtune=task.to_config())

    again = TextClassification.from_config(transformers.BertConfig.from_dict(config.to_dict()), "run")

    assert again == task


def test_a_foreign_checkpoint_is_read_with_defaults():
    config = transformers.BertConfig(num_labels=2, id2label={0: "NEG", 1: "POS"}, label2id={"NEG": 0, "POS": 1})

    assert TextClassification.from_config(config, "x") == TextClassification(("NEG", "POS"), "POS", 0.5, max_length=256)


def test_a_config_without_classes_is_refused():
    with pytest.raises(
        InputError, match=r"some/model: its config names no classes \(id2label\); is it a text classifier"
    ):
        TextClassification.from_config(transformers.BertConfig(num_labels=1), "some/model")


def test_the_positive_label_defaults_to_the_last_and_must_be_a_label():
    assert TextClassification.from_options(TextClassificationArguments(), ("a", "b")).positive_label == "b"
    with pytest.raises(InputError, match="--positive_label 'c' is not one of the labels a, b"):
        TextClassification.from_options(TextClassificationArguments(positive_label="c"), ("a", "b"))
    with pytest.raises(InputError, match="--max_length 2: expected 3 or more"):
        TextClassification.from_options(TextClassificationArguments(max_length=2), ("a", "b"))


def test_the_deciding_metric_is_f1_of_two_classes_and_macro_f1_of_more():
    assert (TASK.deciding_metric, THREE.deciding_metric) == ("f1", "f1_macro")


def overconfident(n=400):
    """Two classes whose logits are three times too large; and the encoded rows, as `tabulate` takes them."""
    rng = np.random.default_rng(3)
    logits = np.stack([np.zeros(n), rng.normal(0, 1.5, n)], axis=1)
    spam = rng.random(n) < 1 / (1 + np.exp(-logits[:, 1]))
    return logits * 3, ["spam" if is_spam else "ham" for is_spam in spam]


def table_of(task, logits, labels):
    probabilities = task.probabilities(logits)
    columns = {"reference": labels, "prediction": task.decide(probabilities), "probabilities": probabilities}
    return make_predictions("classification", columns, label_names=("ham", "spam"))


def test_the_fitted_temperature_travels_with_the_model_and_the_threshold_is_chosen_under_it():
    task = TextClassification.from_options(TextClassificationArguments(temperature="auto"), ("ham", "spam"))
    logits, labels = overconfident()

    tuned = task.tune(table_of(task, logits, labels), seed=0)

    assert tuned.temperature == pytest.approx(3, rel=0.3)
    expected = torch.tensor(logits / tuned.temperature).softmax(-1).numpy()
    np.testing.assert_allclose(tuned.probabilities(logits), expected, atol=1e-9)
    config = transformers.BertConfig(**tuned.head_config())
    config.llmtune = tuned.to_config()
    assert TextClassification.from_config(config, "run").temperature == tuned.temperature
    facts = tuned.run_facts({}, seed=0)
    assert facts["temperature"]["log_loss_at_candidate"] < facts["temperature"]["log_loss"]
    table = table_of(tuned, logits, labels)
    assert any("temperature" in note for note in tuned.notes(table, {}, facts))
    assert tuned.choice.at_default == pytest.approx(
        replace(task, threshold_objective="f1", fits_temperature=False).tune(table, seed=0).choice.at_default
    )


def test_without_auto_nothing_is_fitted():
    logits, labels = overconfident()

    tuned = TASK.tune(table_of(TASK, logits, labels), seed=0)

    assert tuned.temperature == 1
    assert "temperature" not in tuned.to_config()
    assert "temperature" not in tuned.run_facts({}, seed=0)


def test_another_word_for_the_temperature_is_refused():
    with pytest.raises(InputError, match="--temperature '2': expected none, or auto to fit one on validation"):
        TextClassification.from_options(TextClassificationArguments(temperature="2"), ("ham", "spam"))


STARS = ("1", "2", "3", "4", "5")
ORDERED = TextClassification(STARS, "5", max_length=8, ordinal=True)


def test_classes_in_an_order_are_judged_by_weighted_kappa_and_told_how_far_they_are_off(tokenizer):
    rows = datasets.Dataset.from_dict({"id": range(4), "text": [*TEXTS, "so so"], "label": ["1", "5", "3", "2"]})
    encoded = ORDERED.encode(rows, tokenizer)
    outputs = np.log(np.eye(5)[[0, 3, 0, 1]] + 1e-6)  # right, one step off, two steps off, right

    table = ORDERED.tabulate(outputs, encoded)
    scores = score_predictions(table)

    assert ORDERED.deciding_metric == "qwk"
    assert scores["mae_steps"].value == pytest.approx(3 / 4)
    assert "50.0% right, 25.0% one step off, 25.0% further" in ORDERED.notes(table, scores, {})
    assert deciding_metric(table, scores) == "qwk"
    assert {"qwk", "mae_steps"} <= set(score_predictions(ORDERED.example_table()))
    assert {"qwk", "mae_steps"} <= set(score_predictions(majority(["1", "1", "5"], table)))


def test_an_order_is_answered_by_the_median_which_is_off_by_the_fewest_steps():
    shares = np.random.default_rng(0).dirichlet(np.ones(5), 500)
    steps = np.abs(np.arange(5)[:, None] - np.arange(5))

    decided = [STARS.index(label) for label in ORDERED.decide(shares)]

    expected = shares @ steps  # of each row the mean steps off for each answer
    np.testing.assert_allclose(expected[np.arange(500), decided], expected.min(axis=1))
    assert ORDERED.decide(np.full((1, 5), np.nan)) == ["1"]
    assert ORDERED.decide(np.array([[0, 0, 0, 0, 0.499]])) == ["5"]


def test_the_order_survives_the_models_config():
    config = transformers.BertConfig(**ORDERED.head_config(), llmtune=ORDERED.to_config())

    assert TextClassification.from_config(transformers.BertConfig.from_dict(config.to_dict()), "run") == ORDERED


def test_an_order_of_two_classes_is_refused():
    with pytest.raises(InputError, match="--ordinal: found a and b, expected three or more in an order; leave it out"):
        TextClassification.from_options(TextClassificationArguments(ordinal=True), ("a", "b"))
