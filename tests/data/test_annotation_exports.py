"""Exports of annotation tools are read as the rows that they are."""

import json

import pytest

from llmtune.arguments import DataArguments
from llmtune.data.files import read_rows
from llmtune.errors import InputError
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.rows import load_tagged_splits

SPLIT_FILES = ("train_file", "validation_file", "test_file")
TEXT = "Ada met Babbage"
SPANS = [{"start": 0, "end": 3, "label": "PER"}, {"start": 8, "end": 15, "label": "PER"}]
MARKED = [(0, 3, "PER"), (8, 15, "PER")]


def label_studio(result, **more):
    return {"id": 7, "data": {"text": TEXT, "source": "mail"}, "annotations": [{"result": result, **more}]}


MARKS = [
    {"type": "labels", "value": {"start": start, "end": end, "text": TEXT[start:end], "labels": [label]}}
    for start, end, label in MARKED
]
JSON_MIN = [{"start": start, "end": end, "text": TEXT[start:end], "labels": [label]} for start, end, label in MARKED]
ENTITIES = [{"id": 1, "label": label, "start_offset": start, "end_offset": end} for start, end, label in MARKED]


def write(folder, name, records):
    path = folder / name
    lines = "\n".join(map(json.dumps, records))
    path.write_text(lines if name.endswith(".jsonl") else json.dumps(records), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("doccano.jsonl", {"id": 1, "text": TEXT, "label": [list(mark) for mark in MARKED]}),
        ("older-doccano.jsonl", {"id": 1, "text": TEXT, "labels": [list(mark) for mark in MARKED]}),
        ("doccano-relations.jsonl", {"id": 1, "text": TEXT, "entities": ENTITIES, "relations": []}),
        ("label-studio.json", label_studio(MARKS)),
        ("label-studio-min.json", {"id": 7, "text": TEXT, "label": JSON_MIN}),
        ("spacy.json", [TEXT, {"entities": [list(mark) for mark in MARKED]}]),
        ("spacy.jsonl", [TEXT, {"entities": [list(mark) for mark in MARKED]}]),
        ("prodigy.jsonl", {"text": TEXT, "tokens": [{"text": "Ada"}], "spans": SPANS, "answer": "accept"}),
    ],
)
def test_the_marked_words_of_each_tool_are_the_same_entities(name, record, tmp_path):
    path = write(tmp_path, name, [record] * 20)

    rows = read_rows(path)
    told = TokenClassificationArguments(input_format="spans")
    splits = load_tagged_splits(DataArguments(**dict.fromkeys(SPLIT_FILES, str(path))), told, seed=0)

    assert rows.cells("text")[0] == TEXT
    assert [{key: span[key] for key in ("start", "end", "label")} for span in rows.cells("spans")[0]] == SPANS
    assert splits["test"]["tokens"][0] == ["Ada", "met", "Babbage"]
    assert splits["test"]["tags"][0] == ["B-PER", "O", "B-PER"]


def test_a_text_without_marks_has_no_entity(tmp_path):
    path = write(tmp_path, "a.jsonl", [{"text": TEXT, "label": [[0, 3, "PER"]]}, {"text": "none", "label": []}])

    assert read_rows(path).cells("spans") == [[{"start": 0, "end": 3, "label": "PER"}], []]


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("doccano.jsonl", {"id": 1, "text": TEXT, "label": ["spam"]}),
        ("label-studio.json", label_studio([{"type": "choices", "value": {"choices": ["spam"]}}])),
    ],
)
def test_the_choice_of_each_tool_is_a_label(name, record, tmp_path):
    rows = read_rows(write(tmp_path, name, [record]))

    assert (rows.cells("text"), rows.cells("label")) == ([TEXT], ["spam"])


def test_the_fields_of_label_studio_are_columns_and_an_unfinished_task_has_no_label(tmp_path):
    finished = label_studio([{"value": {"choices": ["spam"]}}])
    skipped = label_studio([{"value": {"choices": ["ham"]}}], was_cancelled=True)

    rows = read_rows(write(tmp_path, "a.json", [finished, skipped]))

    assert rows.cells("source") == ["mail", "mail"]
    assert rows.cells("label") == ["spam", None]
    assert rows.cells("id") == [7, 7]


def test_two_annotations_of_a_task_are_refused(tmp_path):
    task = label_studio(MARKS)
    task["annotations"] *= 2

    with pytest.raises(InputError, match="row 1: 2 annotations of one task, expected one; export the one that counts"):
        read_rows(write(tmp_path, "a.json", [task]))


@pytest.mark.parametrize("label", [["a", "b"], "spam", 3])
def test_other_labels_stay_as_they_are(label, tmp_path):
    assert read_rows(write(tmp_path, "a.jsonl", [{"text": "t", "label": label}])).cells("label") == [label]


def test_spans_where_words_are_expected_name_the_flag(tmp_path):
    path = write(tmp_path, "a.jsonl", [{"text": TEXT, "label": [[0, 3, "PER"]]}])

    with pytest.raises(InputError, match="no column 'tokens', but texts with character spans, in column 'spans'; add"):
        load_tagged_splits(DataArguments(train_file=str(path)), TokenClassificationArguments(), seed=0)
