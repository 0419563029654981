"""Cautions of texts: Unicode forms that make equal words differ, words that ROUGE leaves out."""

import unicodedata

import pytest

from llmtune.diagnosis.text_cautions import text_cautions
from llmtune.metrics import score_predictions
from llmtune.predictions import make_predictions


def cautions(kind, references, predictions, **columns):
    table = make_predictions(kind, {**columns, "reference": references, "prediction": predictions})
    return text_cautions(table, score_predictions(table))


def decomposed(text):
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize("lists", [False, True])
def test_rows_that_are_equal_but_for_their_unicode_form_are_counted(lists):
    references = ["un café noir", "deux cafés", "rien", "été"]
    given = [decomposed(text) for text in references]
    predictions = ["un café noir", "les cafés", "rien", "hiver"]

    (line,) = cautions("text-generation", [[text] for text in given] if lists else given, predictions)

    assert line.startswith("in 2 of 4 rows words of prediction and reference differ only in their Unicode form (é as")
    assert "; 1 of these rows are equal otherwise: write both in NFC (unicodedata.normalize)" in line
    assert not cautions("text-generation", references, predictions)
    assert not cautions("text-generation", given, [decomposed(text) for text in predictions])


def test_answers_in_another_unicode_form_are_counted_too():
    (line,) = cautions(
        "question-answering", [["Zürich"], ["Bern"], []], [decomposed("Zürich"), "Bern", ""], question=["a", "b", "c"]
    )

    assert line.startswith("in 1 of 3 rows")


def test_words_that_rouge_leaves_out_are_a_share_and_name_rouge_unicode():
    references = ["the Москва metro is open today"] * 20

    assert cautions("text-generation", references, references) == [
        "ROUGE does not read 17 % of the words of the references: rouge_score knows a-z and 0-9 alone; add --metrics "
        "rouge_unicode, which reads every script"
    ]
    assert not cautions("text-generation", ["the Москва metro is open today and all of the week"] * 20, references)
    assert not cautions("text-generation", ["l'été à la plage, déjà vu et naïf comme tout"] * 20, references)


def test_where_every_script_is_read_already_nothing_is_said():
    assert not cautions("text-generation", ["москва слезам не верит"] * 20, ["москва"] * 20)


def test_a_table_without_texts_has_none():
    assert cautions("regression", [1.0, 2.0], [1.0, 2.0]) == []
