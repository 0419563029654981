"""An object that names a key twice is refused by every reader of JSON rows, with the key and its line."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtune.data import read_table
from llmtune.errors import InputError
from llmtune.predictions import read_predictions
from llmtune.tasks.question_answering.rows import read_answers
from llmtune.text.json_objects import RepeatedKeyError, parse_json

KEYS = st.text(st.sampled_from('ab":\\{ é\n'), max_size=4)
VALUES = st.recursive(
    st.none() | st.integers() | KEYS, lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part, max_size=3)
)


@given(VALUES, st.sampled_from([None, 2]))
def test_objects_that_name_each_key_once_are_read_as_json_reads_them(value, indent):
    text = json.dumps(value, indent=indent)

    assert parse_json(text) == json.loads(text)


@given(st.lists(VALUES, max_size=3), st.dictionaries(KEYS, VALUES, min_size=1, max_size=3), st.data())
def test_a_key_named_twice_is_told_with_its_line(before, named, data):
    key = data.draw(st.sampled_from(sorted(named)))
    rows = [*map(json.dumps, before), json.dumps(named)[:-1], f"{json.dumps(key)}: 0}}"]

    with pytest.raises(RepeatedKeyError) as refused:
        parse_json("[" + ",\n".join(rows) + "]")

    assert str(refused.value) == f"an object names the key {key!r} twice"
    assert refused.value.line == len(rows)


ROWS = ['{"reference": "a", "prediction": "a"}', '{"reference": "b", "prediction": "b", "reference": "a"}']
NESTED = '{"text": "Ada", "spans": [{"start": 0, "end": 3, "label": "PER", "label": "ORG"}]}'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "\n".join(ROWS), " line 2: an object names the key 'reference' twice; keep one of the two values"),
        ("a.jsonl", NESTED, " line 1: an object names the key 'label' twice; keep one of the two values"),
        ("a.json", f"[{ROWS[0]},\n\n{ROWS[1]}]", " line 3: an object names the key 'reference' twice; keep one of the"),
        ("a.json", '{"data": [],\n"data": [{"a": 1}]}', " line 2: an object names the key 'data' twice; keep one of"),
        ("a.json", f'{{"data": [\n{NESTED}]}}', " line 2: an object names the key 'label' twice; keep one of the two"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_data_file_is_refused_by_line_and_key(tmp_path, name, content, message, zipped):
    path = tmp_path / (name + ".gz" * zipped)
    path.write_bytes(gzip.compress(content.encode()) if zipped else content.encode())

    with pytest.raises(InputError) as refused:
        read_table(path)

    assert str(refused.value).startswith(f"{path}{message}")
    assert str(refused.value).endswith("or write both as a list")


def test_predictions_are_refused_by_line_and_key(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join(ROWS))

    with pytest.raises(InputError, match="a.jsonl line 2: an object names the key 'reference' twice; keep one of the"):
        read_predictions(tmp_path / "a.jsonl", kind="classification")


def test_an_answer_in_a_csv_is_refused_by_row_and_key(tmp_path):
    (tmp_path / "a.csv").write_text('reference,prediction\n"{""text"": [""x""], ""text"": [""y""]}",y\n')

    with pytest.raises(InputError, match="a.csv row 0: reference: an object names the key 'text' twice; keep one"):
        read_predictions(tmp_path / "a.csv", kind="question-answering")
    assert read_answers('{"text": [], "text": []}')[1].endswith("where an object names the key 'text' twice,")


def test_a_reference_that_spells_a_broken_object_is_a_text(tmp_path):
    (tmp_path / "a.csv").write_text('reference,prediction\n"{""a"": 1, ""a"": 2}",y\n')

    assert read_predictions(tmp_path / "a.csv", kind="text-generation").column("reference") == ['{"a": 1, "a": 2}']
