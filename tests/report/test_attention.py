"""What a page shows of a model's attention: which rows, which words, in a browser too."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from llmtune.metrics import score_predictions
from llmtune.predictions import make_predictions, read_predictions, write_predictions
from llmtune.report.attention import attended_texts, attention_rows, with_attention
from llmtune.report.page import render_page, write_page
from llmtune.report.report import Report

PIECES = ["[CLS]", "win", "##ning", "<b>cash</b>", "now", "[SEP]"]
WEIGHTS = [0.05, 0.2, 0.25, 0.3, 0.1, 0.1]


def table(n=60):
    """Of three classes, a wrong answer in every fourth row, surest at the end."""
    names = ("a", "b", "c")
    reference = [names[row % 3] for row in range(n)]
    prediction = [names[(row + (row % 4 == 0)) % 3] for row in range(n)]
    sure = np.linspace(0.4, 0.9, n)
    probabilities = [
        [p if name == label else (1 - p) / 2 for name in names] for p, label in zip(sure, prediction, strict=True)
    ]
    columns = {"reference": reference, "prediction": prediction, "probabilities": probabilities}
    return make_predictions("classification", columns, carried={"text": PIECES * (n // 6)}, label_names=names)


def attended(rows=None):
    made = table()
    shown = attention_rows(made) if rows is None else rows
    return replace(made, table=with_attention(made, {row: list(zip(PIECES, WEIGHTS, strict=True)) for row in shown}))


def test_the_surest_errors_and_right_answers_of_each_class_are_shown():
    made = table()

    rows = attention_rows(made)

    reference, prediction = made.column("reference"), made.column("prediction")
    assert rows[:6] == [56, 52, 48, 44, 40, 36]  # every fourth row is wrong; the last are surest
    assert all(reference[row] == prediction[row] for row in rows[6:])
    assert Counter(prediction[row] for row in rows[6:]) == {"a": 2, "b": 2, "c": 2}
    assert rows[6:9] == [57, 58, 59]


def test_few_rows_and_rows_without_probabilities_are_shown_as_they_come():
    few = table(n=6)
    bare = replace(few, table=few.table.drop_columns(["probabilities"]))

    assert sorted(attention_rows(few)) == list(range(6))
    assert attention_rows(bare) == list(range(6))


def test_the_pieces_of_a_word_add_up():
    (text,) = attended_texts(attended(rows=[4]))

    assert [word for word, _ in text.words] == ["[CLS]", "winning", "<b>cash</b>", "now", "[SEP]"]
    assert [share for _, share in text.words] == pytest.approx([0.05, 0.45, 0.3, 0.1, 0.1])
    assert text.largest == "winning 45%, <b>cash</b> 30%, now 10%"
    assert [shade for _, shade in text.shades()] == pytest.approx([1 / 9, 1, 2 / 3, 2 / 9, 2 / 9])
    assert (text.row, text.reference, text.prediction) == (4, "b", "c")


def test_weights_travel_with_the_table(tmp_path):
    path = write_predictions(attended(), tmp_path / "test.parquet")

    assert attended_texts(read_predictions(path)) == attended_texts(attended())
    assert pa.parquet.read_schema(path).field("attention").type == attended().table.schema.field("attention").type


def test_a_table_without_weights_has_no_such_section():
    page = render_page(Report("x", table(), score_predictions(table())))

    assert attended_texts(table()) == []
    assert "What the model attends to" not in page


def test_words_are_text_on_the_page():
    page = render_page(Report("x", attended(), score_predictions(attended())))

    assert '<span style="--part: 25%">&lt;b&gt;cash&lt;/b&gt;</span>' in page
    assert "winning 45%, &lt;b&gt;cash&lt;/b&gt; 30%" in page
    assert "<b>cash" not in page


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_section_can_be_read_at_every_width(browser, tmp_path, width, dark):
    path = write_page(tmp_path, Report("x", attended(), score_predictions(attended())))

    browser.open(path, width=width, dark=dark)

    assert browser.violations() == []
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    heights = "return [...document.querySelectorAll('.attended')].map((words) => words.getBoundingClientRect().height)"
    assert max(browser.run(heights)) < 60, "words run on in lines, they don't stand in a column"
