"""SQuAD's nested json, as its authors publish it."""

import json

import pytest

from llmtune.data.files import read_rows
from llmtune.errors import InputError

ARTICLES = {
    "version": "v2.0",
    "data": [
        {
            "title": "Rome",
            "paragraphs": [
                {
                    "context": "Rome was founded in 753 BC.",
                    "qas": [
                        {"id": "a", "question": "When?", "answers": [{"text": "753 BC", "answer_start": 20}]},
                        {"id": "b", "question": "By whom?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        },
        {"title": "Oslo", "paragraphs": [{"context": "Oslo is cold.", "qas": [{"id": "c", "question": "How is it?"}]}]},
    ],
}


def test_each_question_is_a_row_with_its_article_and_paragraph(tmp_path):
    (tmp_path / "dev.json").write_text(json.dumps(ARTICLES))

    rows = read_rows(tmp_path / "dev.json")

    assert rows.cells("id") == ["a", "b", "c"]
    assert rows.cells("title") == ["Rome", "Rome", "Oslo"]
    assert rows.cells("context")[1] == "Rome was founded in 753 BC."
    assert rows.cells("answers") == [[{"text": "753 BC", "answer_start": 20}], [], None]
    assert rows.cells("is_impossible") == [None, True, None]
    assert rows.place(2) == "question 3"


@pytest.mark.parametrize(
    ("articles", "message"),
    [
        ([{"title": "Rome", "paragraphs": "none"}], r"article 1: found 'none' as its 'paragraphs', expected a list"),
        (
            [{"title": "Rome", "paragraphs": [{"context": "x", "qas": []}, {"context": "x"}]}],
            r"article 1, paragraph 2: found None as its 'qas', expected a list; write \{'title': …, 'paragraphs'",
        ),
        ([{"paragraphs": [{"context": "x", "qas": ["When?"]}]}], r"paragraph 1: found 'When\?' as question 1; write"),
    ],
)
def test_another_layout_is_an_error_that_shows_the_right_one(tmp_path, articles, message):
    (tmp_path / "dev.json").write_text(json.dumps({"data": articles}))

    with pytest.raises(InputError, match=message):
        read_rows(tmp_path / "dev.json")
