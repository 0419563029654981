import json
import re

import datasets
import pytest

from llmtune.arguments import DataArguments
from llmtune.errors import InputError
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.rows import check_types, load_tagged_split, load_tagged_splits


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def tagged(*tags):
    return {"tokens": [f"w{i}" for i in range(len(tags))], "tags": list(tags)}


def test_files_in_different_schemes_become_iob2_and_each_is_said(tmp_path):
    (tmp_path / "train.conll").write_text("EU I-ORG\nsaid O\n\nPeter I-PER\nBlackburn I-PER\n")
    validation = write(tmp_path / "v.jsonl", [tagged("B-PER", "E-PER", "O", "S-ORG")])
    test = write(tmp_path / "t.jsonl", [tagged("B-PER", "I-PER"), tagged("O", "B-IP")])
    data = DataArguments(train_file=str(tmp_path / "train.conll"), validation_file=validation, test_file=test)

    splits = load_tagged_splits(data, TokenClassificationArguments(), seed=0)

    assert splits.splits.train["tags"][:] == [["B-ORG", "O"], ["B-PER", "I-PER"]]
    assert splits.splits.validation["tags"][:] == [["B-PER", "I-PER", "O", "B-ORG"]]
    assert splits.types == ("ORG", "PER")
    assert splits.unseen() == {"test": {"IP": 1}}
    said = splits.describe()
    assert [of["scheme"] for of in said.values()] == ["IOB1", "BIOES", "IOB2"]
    assert said["test"]["entities"] == {"IP": 1, "PER": 1}
    assert said["train"]["words"] == 4


def test_spans_become_tags_of_words_and_text_is_kept(tmp_path):
    rows = [{"text": f"call Anna {n}", "spans": [{"start": 5, "end": 9, "label": "PERSON"}]} for n in range(40)]
    data = DataArguments(train_file=write(tmp_path / "a.jsonl", rows))

    splits = load_tagged_splits(data, TokenClassificationArguments(input_format="spans"), seed=0)

    assert splits.splits.train["tags"][0] == ["O", "B-PERSON", "O"]
    assert "text" in splits.splits.train.column_names
    assert sum(n["PERSON"] for n in splits.splits.class_counts.values()) == 40


def test_class_ids_with_names_are_read(tmp_path):
    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "tags": datasets.List(datasets.ClassLabel(names=["O", "B-X"])),
        }
    )
    path = tmp_path / "test.parquet"
    datasets.Dataset.from_dict({"tokens": [["a", "b"]], "tags": [[0, 1]]}, features=features).to_parquet(str(path))

    rows, fingerprint = load_tagged_split(DataArguments(test_file=str(path)), "test", TokenClassificationArguments())

    assert rows["tags"][0] == ["O", "B-X"]
    assert fingerprint.rows == 1


BAD_TAGS = [
    (
        {"tokens": "EU rejects", "tags": ["O"]},
        "line 1: found 'EU rejects', expected a list of words in column 'tokens'",
    ),
    (
        {"tokens": ["EU"], "tags": "O"},
        "line 1: found 'O', expected a list of tags in column 'tags'; write words and tags",
    ),
    ({"tokens": ["EU"], "tags": ["O", "O"]}, "line 1: 1 words and 2 tags; give each word one tag, O outside entities"),
    ({"tokens": ["EU"], "tags": ["ORG"]}, "line 1: 'ORG' (word 1) in column 'tags' is not a tag; write O, B-X and I-X"),
    (
        {"tokens": ["EU"], "tags": [3]},
        "line 1: 3 (word 1) in column 'tags' is not a tag; name the tags in the order of their "
        "ids with --label_names O,B-PER,I-PER,…, or give the data set's column the feature ClassLabel",
    ),
    ({"tokens": ["EU"], "tags": ["O"]}, "train has no entity in 1 row, expected tags B-X or I-X, or spans"),
]
BAD_SPANS = [
    (None, "line 1: found None, expected a list of spans (an empty one where there are none),; write column 'spans'"),
    ([{"start": 0}], "span {'start': 0} has not the keys start, end and label"),
    ([{"start": 0, "end": 2, "label": " "}], "has no label"),
    ([{"start": 2, "end": 99, "label": "X"}], "span 2:99 X does not lie within the text's 8 characters"),
    ([{"start": 3, "end": 4, "label": "X"}], "span 3:4 X covers only space"),
    (
        [{"start": 0, "end": 5, "label": "X"}, {"start": 4, "end": 8, "label": "Y"}],
        "spans 0:5 X and 4:8 Y overlap; write column 'spans' as [{'start': 0, 'end': 5, 'label': 'PERSON'}, …]",
    ),
]


@pytest.mark.parametrize(("row", "message"), BAD_TAGS)
def test_a_row_whose_words_and_tags_can_not_be_read_is_named(tmp_path, row, message):
    path = write(tmp_path / "a.jsonl", [row])
    data = DataArguments(train_file=path, validation_file=path, test_file=path)

    with pytest.raises(InputError) as error:
        load_tagged_splits(data, TokenClassificationArguments(), seed=0)

    assert message in str(error.value)
    assert "a.jsonl" in str(error.value)


@pytest.mark.parametrize(("spans", "message"), BAD_SPANS)
def test_a_row_whose_spans_can_not_be_read_is_named(tmp_path, spans, message):
    path = write(tmp_path / "a.jsonl", [{"text": "pay Anna", "spans": spans}])
    data = DataArguments(train_file=path, validation_file=path, test_file=path)

    with pytest.raises(InputError) as error:
        load_tagged_splits(data, TokenClassificationArguments(input_format="spans"), seed=0)

    assert message in str(error.value)


def test_an_unknown_input_format_is_refused():
    with pytest.raises(InputError, match="--input_format 'words' is not one of tokens, spans"):
        load_tagged_splits(DataArguments(), TokenClassificationArguments(input_format="words"), seed=0)


@pytest.mark.parametrize(
    ("types", "message"),
    [
        (["loc", "PER"], "found the entity types loc, the model knows PER, LOC; 'loc': did you mean 'LOC'?; write the"),
        (["CITY", "NAME"], "found the entity types CITY, NAME, the model knows PER, LOC; write the model's types in"),
    ],
)
def test_types_that_a_model_can_never_find_are_refused_before_they_are_scored_0(types, message):
    with pytest.raises(InputError, match=re.escape(f"test.jsonl: {message}")):
        check_types("test.jsonl", types, ("PER", "LOC"))


def test_a_type_more_than_the_model_knows_is_scored():
    check_types("test.jsonl", ["LOC", "MISC", "PER"], ("PER", "LOC"))
    check_types("test.jsonl", [], ("PER", "LOC"))
