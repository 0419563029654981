"""Probabilities in the columns that people write are read, or named as not used."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from llmtune import cli
from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.predictions import read_predictions
from llmtune.predictions.kinds import KINDS, SYNONYMS, kind_named
from llmtune.predictions.table import COLUMN_NOTES

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SPAM = np.array([0.9, 0.2, 0.6, 0.4])
PREDICTED = ["spam", "ham", "spam", "ham"]


def read(tmp_path, columns, kind="classification", predicted=PREDICTED, **options):
    """A csv with references, these predictions and columns."""
    path = tmp_path / "table.csv"
    columns = {"reference": ["spam", "ham", "ham", "ham"][: len(predicted)], "prediction": predicted, **columns}
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join(",".join(map(str, row)) for row in [columns, *rows]))
    return read_predictions(path, kind=kind, **options)


@pytest.mark.parametrize(
    ("columns", "note"),
    [
        ({"probability[ham]": 1 - SPAM, "probability[spam]": SPAM}, "read from probability[ham], probability[spam]"),
        ({"proba_0": 1 - SPAM, "proba_1": SPAM}, "read from proba_0, proba_1, in the order ham, spam"),
        ({"prob_spam": SPAM}, "read from prob_spam"),
        ({"probability": SPAM}, "'probability' is read as the probability of spam"),
        ({"y_prob": SPAM}, "'y_prob' is read as the probability of spam"),
        ({"y_score": 1 - SPAM}, "'y_score' is read as the probability of ham"),
        ({"score": np.maximum(SPAM, 1 - SPAM)}, "'score' is read as the probability of the prediction"),
    ],
)
def test_the_columns_of_two_classes_are_read_and_said(columns, note, tmp_path):
    table = read(tmp_path, columns)

    np.testing.assert_allclose(table.probabilities(), np.stack([1 - SPAM, SPAM], axis=1))
    assert note in "; ".join(table.settings[COLUMN_NOTES])
    assert {"roc_auc", "log_loss"} <= set(score_predictions(table))


def test_a_threshold_that_is_not_a_half_is_still_the_positive_label(tmp_path):
    table = read(tmp_path, {"y_prob": SPAM}, predicted=["spam", "ham", "ham", "ham"])

    np.testing.assert_allclose(table.probabilities()[:, 1], SPAM)


def test_three_classes_are_read_by_their_names_whatever_their_order(tmp_path):
    given = {"c": [0.1, 0.2, 0.7], "a": [0.8, 0.1, 0.1], "b": [0.1, 0.7, 0.2]}
    path = tmp_path / "t.jsonl"
    rows = [
        {
            "reference": label,
            "prediction": label,
            **{f"probability[{name}]": column[i] for name, column in given.items()},
        }
        for i, label in enumerate("abc")
    ]
    path.write_text("\n".join(map(json.dumps, rows)))

    table = read_predictions(path, kind="classification")

    np.testing.assert_allclose(table.probabilities(), np.array([given["a"], given["b"], given["c"]]).T)


def test_a_label_that_only_a_column_names_is_a_class(tmp_path):
    columns = {
        "probability[ham]": [0.1, 0.7, 0.3, 0.5],
        "probability[spam]": [0.8, 0.2, 0.6, 0.4],
        "probability[odd]": [0.1] * 4,
    }

    assert read(tmp_path, columns).label_names == ("ham", "odd", "spam")


def test_a_row_without_a_number_has_no_probabilities(tmp_path):
    table = read(tmp_path, {"y_prob": [0.9, "", 0.6, 0.4]})

    assert np.isnan(table.probabilities()).any(axis=1).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("columns", "note"),
    [
        ({"score": [3.2, -1.0, 0.5, 0.1]}, "column 'score' is not used: values from -1 to 3.2 are no probabilities"),
        ({"score": ["high", "low", "high", "low"]}, "column 'score' is not used: it holds what is no number"),
        (
            {"score": [0.1, 0.9, 0.9, 0.2]},
            "'score' is not used: it is neither the probability of one label nor that of",
        ),
        ({"prob_spam": ["a", "b", "c", "d"]}, "prob_spam are not used: 'prob_spam' holds what is no number; give a"),
        ({"y_prob": SPAM, "score": SPAM}, "column 'score' is not used: the probabilities were read already"),
    ],
)
def test_what_looks_like_a_probability_and_is_none_is_named(columns, note, tmp_path):
    table = read(tmp_path, columns)

    assert note in "; ".join(table.settings[COLUMN_NOTES])
    assert table.has("probabilities") == ("y_prob" in columns)


def test_of_three_classes_one_number_and_missing_columns_are_named(tmp_path):
    columns = {"score": [0.9] * 4, "prob_ham": [0.1] * 4}
    table = read(tmp_path, columns, label_names=("ham", "odd", "spam"))

    notes = "; ".join(table.settings[COLUMN_NOTES])
    assert "columns prob_ham are not used: none is of 'odd', 'spam'; give a column probabilities" in notes
    assert "column 'score' is not used: one number does not say the probability of 3 labels" in notes


def test_what_is_no_probability_is_not_spoken_of(tmp_path):
    assert COLUMN_NOTES not in read(tmp_path, {"text": ["a"] * 4, "price_eur": [1, 2, 3, 4]}).settings


def test_a_report_says_what_it_read(tmp_path, capsys):
    read(tmp_path, {"score": [3.2, -1.0, 0.5, 0.1]})

    cli.run(["report", str(tmp_path / "table.csv"), "--kind", "spam"])

    assert "column 'score' is not used: values from -1 to 3.2" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("translation", "text-generation"),
        ("summarization", "text-generation"),
        ("NER", "token-classification"),
        ("text_classification", "classification"),
        ("qa", "question-answering"),
        ("forecasting", "regression"),
    ],
)
def test_a_kind_is_known_by_the_words_that_people_use(word, kind):
    assert kind_named(word) == kind


def test_no_word_means_two_kinds():
    words = [word for words in SYNONYMS.values() for word in words.split()]

    assert len(words) == len(set(words))
    assert not set(words) & set(KINDS)
    with pytest.raises(InputError, match="unknown kind 'poem'; expected one of classification, "):
        kind_named("poem")


@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_table_of_each_kind_in_help_and_readme_is_read(kind, tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.run(["report", "--help"])
    shown = capsys.readouterr().out.partition("the smallest table of each --kind")[2].splitlines()
    columns, row = re.search(rf"^\| `{kind}` \| `(.*)` \| `(.*)` \|$", README, re.MULTILINE).groups()

    for name, text in (("help", cli.EXAMPLES[kind].replace(";", "\n")), ("readme", f"{columns}\n{row}")):
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        table = read_predictions(path, kind=kind, label_names=("ham", "spam") if kind == "classification" else ())
        assert len(table) == 1
        assert score_predictions(table)
    assert f"  {kind:<28}{cli.EXAMPLES[kind].replace(';', '   ')}" in shown
