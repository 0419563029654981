"""The baselines that stand beside a model's result."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from llmtune.baselines import (
    best_overlap_sentence,
    copy_source,
    lead_sentences,
    majority,
    mean_value,
    persistence,
    table_baselines,
    tfidf_logistic_regression,
)
from llmtune.errors import InputError
from llmtune.predictions import make_predictions
from llmtune.text.sentences import sentences_of


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


def test_of_classes_in_an_order_tfidf_answers_the_median_as_the_model_does():
    stars = ("1", "2", "3")
    texts = ["poor", "fine", "superb", "poor fine", "fine superb"]
    rows = {"reference": ["1", "2", "3", "1", "3"], "prediction": ["1", "2", "3", "1", "3"]}
    train = [text for text in ("poor", "fine", "superb", "poor superb") for _ in range(4)]
    labels = ["1", "2", "1", "1", "2", "3", "2", "1", "3", "3", "2", "1", "1", "3", "3", "1"]

    decided = {
        ordinal: tfidf_logistic_regression(
            train, labels, texts, make_predictions("classification", rows, label_names=stars, settings=settings)
        )
        for ordinal, settings in ((True, {"ordinal": True}), (False, {}))
    }

    shares = decided[True].probabilities()
    median = [stars[i] for i in (shares.cumsum(axis=1) < 0.5).sum(axis=1)]
    assert decided[True].column("prediction") == median
    assert decided[False].column("prediction") == [stars[i] for i in shares.argmax(axis=1)] != median


def test_emoji_and_punctuation_are_words_too():
    found = tfidf_logistic_regression(["😀 !", "💰 ?"] * 5, ["ham", "spam"] * 5, ["😀", "💰", "!", "!"], held_out())

    assert found.column("prediction") == ["ham", "spam", "ham", "ham"]


def texts(source, reference, **more):
    columns = {"source": source, "reference": reference, "prediction": ["?"] * len(source)}
    return make_predictions("text-generation", columns, split="test", settings={"language": "de"}, **more)


def test_the_source_is_copied_and_all_else_kept():
    table = texts(["A man.", None], ["Ein Mann.", "Nichts."], carried={"group": ["x", "y"]})

    found = copy_source(table)

    assert found.column("prediction") == ["A man.", ""]
    assert found.column("reference") == table.column("reference")
    assert found.column("group") == ["x", "y"]
    assert found.settings == table.settings


def test_the_first_sentences_are_a_summary():
    article = "Dr. Who came in. He sat! Why? Nobody knows."

    assert lead_sentences(texts([article], ["Who sat."])).column("prediction") == ["Dr. Who came in. He sat! Why?"]
    assert lead_sentences(texts([article], ["Who sat."]), 1).column("prediction") == ["Dr. Who came in."]


SENTENCES = [
    ("One. Two.", ["One.", "Two."]),
    ("It cost 3.50 e.g. today (see J. Smith et al. and so on) and no more.", 1),
    ('He said "No." Then left', ['He said "No."', "Then left"]),
    ("#A#: Hi\n#B#: Hello", ["#A#: Hi", "#B#: Hello"]),
    ("他来了。“好。”他说！", ["他来了。", "“好。”", "他说！"]),
    (" \n ", []),
]


@pytest.mark.parametrize(("text", "expected"), SENTENCES)
def test_sentences_end_where_a_reader_sees_them_end(text, expected):
    assert sentences_of(text) == ([text] if expected == 1 else expected)


def questions(**more):
    columns = {"question": ["Who wrote the opera?", "Where?"], "reference": [["Verdi"], ["Rome"]], **more}
    return make_predictions("question-answering", columns | {"prediction": ["", ""]})


def test_the_answer_is_the_sentence_with_the_rare_words_of_the_question():
    context = "The man was the son of the king. Verdi wrote an opera. The rest is silence."

    found = best_overlap_sentence(questions(), [context, ""])

    assert found.column("prediction") == ["Verdi wrote an opera.", ""]
    carried = best_overlap_sentence(questions(context=[context, ""]))
    assert carried.column("prediction") == found.column("prediction")


def numbers(reference, **more):
    return make_predictions("regression", {"reference": reference, "prediction": reference, **more})


def test_the_last_value_stays_in_the_order_of_time():
    found = persistence(numbers([3.0, 1.0, 2.0], time=["2024-03", "2024-01", "2024-02"]))

    assert found.column("prediction") == [2.0, 1.0, 1.0]  # the first in time keeps the model's own


def test_the_last_value_stays_over_the_horizon():
    windows = numbers([[1.0, 2.0], [2.0, 3.0]], time=[0, 1])

    assert persistence(windows).column("prediction") == [[1.0, 2.0], [1.0, 1.0]]
    assert persistence(windows, [0.0, 1.0]).column("prediction") == [[0.0, 0.0], [1.0, 1.0]]


def test_the_mean_is_of_train_or_of_the_rows_themselves():
    assert mean_value(numbers([1, 2, 6])).column("prediction") == [3.0] * 3
    assert mean_value(numbers([[1.0, 2.0]]), [4.0, 6.0]).column("prediction") == [[5.0, 5.0]]


LONG = "word " * 50
MADE = [
    (texts(["one two"], ["eins zwei"]), ["copy-source"]),
    (texts([LONG], ["a word"]), ["lead-3"]),
    (make_predictions("text-generation", {"reference": ["a"], "prediction": ["b"]}), []),
    (questions(context=["", ""]), ["best-overlap sentence"]),
    (questions(), []),
    (numbers([1.0, 2.0], time=[0, 1]), ["mean", "persistence"]),
    (numbers([1.0, 2.0]), ["mean"]),
    (numbers([1.0, float("nan")]), []),
    (held_out(), []),
]


@pytest.mark.parametrize(("table", "names"), MADE)
def test_a_table_gives_the_baselines_that_it_has_columns_for(table, names):
    assert list(table_baselines(table)) == names


LACKING = [
    (copy_source, texts(["a"], ["b"]), "source", "copy-source"),
    (best_overlap_sentence, questions(context=["", ""]), "context", "best-overlap sentence"),
    (persistence, numbers([1.0], time=[0]), "time", "persistence"),
]


@pytest.mark.parametrize(("make", "table", "column", "name"), LACKING)
def test_a_missing_column_is_named(make, table, column, name):
    without = make_predictions(table.kind, {c: table.column(c) for c in table.table.column_names if c != column})

    with pytest.raises(InputError, match=f"the baseline {name} needs a column '{column}'; the table has "):
        make(without)
