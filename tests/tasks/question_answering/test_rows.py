"""Questions, contexts and answers from every layout; what is wrong in a row is said with its place."""

import json

import pytest

from llmtune.arguments import DataArguments
from llmtune.errors import InputError
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.rows import (
    load_answered_split,
    load_answered_splits,
    majority_answer,
    read_answers,
)

CONTEXT = "Rome was founded in 753 BC."
ROW = {"question": "When?", "context": CONTEXT, "answers": {"text": ["753 BC"], "answer_start": [20]}}


def written(tmp_path, rows, name="train.jsonl"):
    (tmp_path / name).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(tmp_path / name)


def read(tmp_path, rows):
    data = DataArguments(test_file=written(tmp_path, rows, "test.jsonl"))
    return load_answered_split(data, "test", QuestionAnsweringArguments(), labeled=True)[0]


@pytest.mark.parametrize(
    ("cell", "text", "start"),
    [
        ({"text": ["a", "b"], "answer_start": [1, 2]}, ["a", "b"], [1, 2]),  # the Hub's squad
        ([{"text": "a", "answer_start": 1}, {"text": "b", "answer_start": 2}], ["a", "b"], [1, 2]),  # SQuAD's json
        ('{"text": ["a"], "answer_start": [1]}', ["a"], [1]),  # csv
        ({"text": "a", "answer_start": 1}, ["a"], [1]),  # one answer
        ({"text": [], "answer_start": []}, [], []),  # squad_v2
        (None, [], []),
        ([], [], []),
        ("", [], []),
    ],
)
def test_answers_of_every_layout_are_read(cell, text, start):
    assert read_answers(cell) == ({"text": text, "answer_start": start}, "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": {"text": ["753 BC"], "answer_start": [21]}},
         r"test.jsonl line 1: the answer '753 BC' does not stand at answer_start 21 \(there: '53 BC\.'; it begins at "
         r'20\) in column \'answers\'; write \{"text": \["…"\], "answer_start": \[0\]\} as in SQuAD'),
        ({"answers": {"text": ["754 BC"], "answer_start": [20]}}, r"it is nowhere in the text"),
        ({"answers": {"text": ["753 BC"]}}, r"the answer '753 BC' has no answer_start \(it begins at 20\)"),
        ({"answers": {"text": ["753 BC"], "answer_start": [20, 20]}}, r"1 texts and 2 values of answer_start"),
        ({"answers": {"text": [" "], "answer_start": [4]}}, r"an answer without text \(' '\) in column 'answers'"),
        ({"answers": {"text": ["753 BC"], "answer_start": ["20"]}}, r"found \['20'\] as answer_start, expected whole"),
        ({"is_impossible": True},
         r"is_impossible is true, but column 'answers' has 1 answer; correct the answers or is_impossible"),
        ({"is_impossible": "False", "answers": None}, r"is_impossible is false, but column 'answers' has no answers"),
        ({"answers": 753}, r"found 753, expected answers in column 'answers'"),
        ({"answers": "753 BC"}, r"found '753 BC', expected answers in column 'answers'"),
        ({"answers": "{'text': ['753 BC']}"}, r"as in SQuAD \(in csv this JSON text\), characters of the context"),
        ({"question": ["When?"]}, r"expected one text, in column 'question'; write one text, not a list"),
        ({"question": " "}, r"no text \(' '\) in column 'question'; write the text in column 'question'"),
        ({"context": ""}, r"no text \(''\) in column 'context'"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_what_to_do(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, [{**ROW, **change}])


def test_a_missing_column_lists_those_found(tmp_path):
    with pytest.raises(
        InputError, match=r"no column 'answers' \(--answers_column\); columns found: \['question', 'context'"
    ):
        read(tmp_path, [{"question": "When?", "context": CONTEXT, "reply": "753 BC"}])


def test_a_carried_column_of_the_tables_own_name_is_refused(tmp_path):
    data = DataArguments(test_file=written(tmp_path, [{**ROW, "score": 1}]), group_columns=["score"])

    with pytest.raises(
        InputError, match="the predictions table has a column 'score' of its own; rename the column to carry it"
    ):
        load_answered_split(data, "test", QuestionAnsweringArguments(), labeled=True)


def test_title_and_id_of_the_source_are_carried(tmp_path):
    rows = read(tmp_path, [{**ROW, "id": "x7", "title": "Rome"}])

    assert rows["title"] == ["Rome"]
    assert rows["question_id"] == ["x7"]


def test_no_context_is_on_two_sides_of_a_split(tmp_path):
    rows = [
        {
            "question": f"Number {q}?",
            "context": f"Page {c} says {c} and {q}.",
            "answers": {"text": [str(c)], "answer_start": [5]},
        }
        for c in range(40)
        for q in range(3)
    ]
    # The same paragraph with other space and case is the same paragraph.
    rows = [{**row, "context": row["context"].replace("says", "says " * (i % 3 + 1))} for i, row in enumerate(rows)]
    rows += [{**row, "context": row["context"].upper(), "question": "Again?", "answers": None} for row in rows[::3]]
    data = DataArguments(train_file=written(tmp_path, rows))

    splits = load_answered_splits(data, QuestionAnsweringArguments(), seed=1)

    pages = [
        set(text.casefold() for text in splits.splits[part]["context"]) for part in ("train", "validation", "test")
    ]
    assert all(pages)
    assert sum(map(len, pages)) == len(set.union(*pages))
    assert "equal texts and equal 'context' kept together" in splits.describe()["test"]["made"]


@pytest.mark.parametrize("lacking", ["train", "validation", "test"])
def test_a_split_without_any_answer_is_refused(tmp_path, lacking):
    rows = {split: ROW if split != lacking else {**ROW, "answers": None} for split in ("train", "validation", "test")}
    files = {f"{split}_file": written(tmp_path, [row, row], f"{split}.jsonl") for split, row in rows.items()}

    message = (
        f"{lacking}.jsonl: {lacking} has no answer in 2 rows, and who answers nothing would be right on each; check "
        f"column 'answers', name another with --answers_column, or add answerable questions to {lacking}"
    )
    with pytest.raises(InputError, match=message):
        load_answered_splits(DataArguments(**files), QuestionAnsweringArguments(), seed=1)


def test_the_answer_that_most_annotators_gave_is_learned():
    assert majority_answer({"text": ["a", "b", "b"], "answer_start": [0, 5, 5]}) == ("b", 5)
    assert majority_answer({"text": ["a", "b"], "answer_start": [0, 5]}) == ("a", 0)
    assert majority_answer({"text": [], "answer_start": []}) is None
