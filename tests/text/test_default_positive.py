"""The class that F1 is about, where nobody says which."""

import pytest

from llmtune.predictions import read_predictions
from llmtune.tasks.text_classification.arguments import TextClassificationArguments
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.text.label_names import REST, SOUGHT, default_positive


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["junk", "legit"], "junk"),
        (["ham", "spam"], "spam"),
        (["Spam", "ham"], "Spam"),
        (["negative", "positive"], "positive"),
        (["no", "yes"], "yes"),
        (["False", "True"], "True"),
        (["0", "1"], "1"),
        (["1", "2"], "2"),
        (["-1", "1"], "1"),
        (["not_toxic", "toxic"], "toxic"),
        (["hate_speech", "neither"], "hate_speech"),
        (["churned", "not churned"], "churned"),
        (["fraud", "ok"], "fraud"),
        (["bug", "other"], "bug"),
    ],
)
def test_the_words_decide_whatever_the_counts(names, expected):
    for counts in ({}, {names[0]: 9, names[1]: 1}, {names[0]: 1, names[1]: 9}):
        assert default_positive(names, counts) == expected


def test_where_words_say_nothing_the_rarer_is_meant_and_else_the_last():
    assert default_positive(["a", "b"], {"a": 3, "b": 9}) == "a"
    assert default_positive(["a", "b"], {"a": 9, "b": 3}) == "b"
    assert default_positive(["a", "b"], {"a": 3, "b": 3}) == "b"
    assert default_positive(["a", "b", "spam"], {}) == "spam"


def test_no_word_is_on_both_sides():
    assert not SOUGHT & REST


def test_a_run_and_a_foreign_table_mean_the_same_class(tmp_path):
    task = TextClassification.from_options(TextClassificationArguments(), ("junk", "legit"))
    (tmp_path / "t.csv").write_text("reference,prediction\njunk,junk\nlegit,junk\njunk,legit\njunk,junk\n")

    table = read_predictions(tmp_path / "t.csv", kind="classification")

    assert task.positive_label == table.positive_name == "junk"
