"""Predicted tags of another scheme than the references' are refused with both; a model's own mistakes are scored."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.predictions import Predictions, read_predictions
from llmtune.predictions.table import predictions_from_arrow
from llmtune.predictions.tag_checks import check_tag_scheme
from llmtune.text.tag_schemes import entity_spans

SENTENCES = [
    ["B-PER", "I-PER", "I-PER", "O", "B-LOC"],
    ["O", "B-ORG", "I-ORG"],
    ["B-PER", "B-PER", "O"],
    ["O", "B-LOC", "I-LOC"],
]
ENDS = {"BIOES": "BIES", "BILOU": "BILU", "BMES": "BMES"}  # first, inner, last and only word


def written(tags, scheme):
    """Tags of IOB2 in another scheme, by its definition."""
    converted, entities = ["O"] * len(tags), entity_spans(tags)
    for number, (kind, first, end) in enumerate(entities):
        size = end - first
        after = any(other == kind and last == first for other, _, last in entities[:number])
        before = any(other == kind and start == end for other, start, _ in entities[number + 1 :])
        letters = {
            "IO": "I" * size,
            "IOB2": "B" + "I" * (size - 1),
            "IOB1": ("B" if after else "I") + "I" * (size - 1),
            "IOE2": "I" * (size - 1) + "E",
            "IOE1": "I" * (size - 1) + ("E" if before else "I"),
        }
        if scheme in ENDS:
            start, inner, last, only = ENDS[scheme]
            letters[scheme] = only if size == 1 else start + inner * (size - 2) + last
        converted[first:end] = [f"{letter}-{kind}" for letter in letters[scheme]]
    return converted


def write(path, reference, prediction):
    columns = {"reference": reference, "prediction": prediction}
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.table(columns), path)
    elif path.suffix == ".jsonl":
        rows = [dict(zip(columns, row, strict=True)) for row in zip(reference, prediction, strict=True)]
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        cells = [map(json.dumps, row) for row in zip(reference, prediction, strict=True)]
        path.write_text("\n".join(["reference\tprediction", *map("\t".join, cells)]))
    return path


SCHEMES = ("IOB2", "IOB1", "IOE2", "IOE1", "BIOES", "BILOU", "BMES")


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".tsv"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_both_columns_of_one_scheme_are_scored(tmp_path, ending, scheme):
    tags = [written(row, scheme) for row in SENTENCES]

    table = read_predictions(write(tmp_path / f"a{ending}", tags, tags), kind="token-classification")

    assert score_predictions(table)["entity_f1"].value == 1


@pytest.mark.parametrize("predicted", [*SCHEMES, "IO"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_another_scheme_is_refused_with_both_names(scheme, predicted):
    if scheme == predicted or {scheme, predicted} <= ENDS.keys():
        return  # BIOES, BILOU and BMES are one scheme by other letters
    if predicted == "IO" and scheme in ("IOB1", "IOE1"):
        return  # as a model that never divides neighbors

    with pytest.raises(InputError) as refused:
        check_tag_scheme(
            [written(row, scheme) for row in SENTENCES], [written(row, predicted) for row in SENTENCES], "a.csv"
        )

    name = "IOB1" if predicted == "IO" else predicted
    assert f"is not {scheme}, the scheme of the references: the predictions are {name}; in {scheme} " in str(
        refused.value
    )


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".tsv"])
def test_a_foreign_table_is_refused_by_row_unless_its_types_are_named(tmp_path, ending):
    predicted = [SENTENCES[3], *(written(row, "BIOES") for row in SENTENCES[1:])]
    path = write(tmp_path / f"a{ending}", SENTENCES, predicted)

    with pytest.raises(InputError) as refused:
        read_predictions(path, kind="token-classification")

    assert str(refused.value).startswith(f"{path} row 1: predicted tag 'E-ORG' (word 3) is not IOB2, the scheme of the")
    assert "write both columns in one scheme, best IOB2 (B-X on the first word of an entity, I-X" in str(refused.value)
    named = read_predictions(path, kind="token-classification", label_names=["PER", "LOC", "ORG"])
    assert isinstance(named, Predictions)


def test_types_without_letters_are_refused(tmp_path):
    path = write(tmp_path / "a.jsonl", SENTENCES, [[tag[2:] or "O" for tag in row] for row in SENTENCES])

    with pytest.raises(InputError, match="predicted tag 'PER' is an entity type without a letter, the references are"):
        read_predictions(path, kind="token-classification")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_a_model_that_breaks_its_scheme_here_and_there_is_scored_as_seqeval_does(seed):
    rng = np.random.default_rng(seed)
    reference = SENTENCES * 10
    predicted = [
        [tag if rng.random() < 0.8 else rng.choice(["O", "I-PER", "I-LOC"]) for tag in row] for row in reference
    ]
    rows = pa.table({"reference": reference, "prediction": [list(map(str, row)) for row in predicted]})

    check_tag_scheme(reference, rows["prediction"].to_pylist(), "a.csv")
    scores = score_predictions(predictions_from_arrow(rows, "a.csv", kind="token-classification"))
    expected = f1_score(reference, rows["prediction"].to_pylist(), mode="strict", scheme=IOB2)
    assert scores["entity_f1"].value == pytest.approx(expected)


@given(st.lists(st.sampled_from(["O", "B-PER", "I-PER"]), min_size=1, max_size=6))
def test_predictions_without_an_entity_and_references_without_one_are_no_other_scheme(tags):
    check_tag_scheme([["O"] * len(tags)], [tags], "a.csv")
    check_tag_scheme(SENTENCES, [["O"] * len(row) for row in SENTENCES], "a.csv")
