"""The predictions table: written whole, read back the same, and foreign ones read or refused with a reason."""

import csv
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from llmtune.errors import InputError
from llmtune.predictions import make_predictions, read_predictions, write_predictions

PROBABILITIES = np.array([[0.9, 0.1], [0.25, 0.75], [np.nan, np.nan]])


def table(**options):
    return make_predictions(
        "classification",
        {"reference": ["ham", "spam", "ham"], "prediction": ["ham", "spam", "ham"], "probabilities": PROBABILITIES},
        **{
            "carried": {"text": ["a", "b", "c"], "place": ["x", None, "y"], "id": [7, 8, 9], "prediction": ["no"] * 3},
            "split": "validation",
            "label_names": ("ham", "spam"),
            "positive_label": "ham",
            "threshold": 0.3,
            "settings": {"language": "en"},
            **options,
        },
    )


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    written = table()

    path = write_predictions(written, tmp_path / "deep" / "down" / "test.parquet")
    read = read_predictions(path)

    assert read.table.column_names == written.table.column_names
    assert read.table.drop_columns("probabilities").equals(written.table.drop_columns("probabilities"))
    assert (read.kind, read.split, read.label_names, read.positive_label, read.threshold, read.settings) == (
        "classification", "validation", ("ham", "spam"), "ham", 0.3, {"language": "en"},
    )  # fmt: skip
    np.testing.assert_array_equal(read.probabilities(), PROBABILITIES)
    assert len(read) == 3


def test_ids_are_those_carried_and_carried_columns_do_not_replace_those_of_the_kind():
    made = table()

    assert made.column("id") == [7, 8, 9]
    assert make_predictions("regression", {"reference": [1.0, 2.0], "prediction": [1.0, 2.0]}).column("id") == [0, 1]
    assert made.column("prediction") == ["ham", "spam", "ham"]
    assert made.column("place") == ["x", None, "y"]
    assert made.has("text")
    assert not made.has("length")


def test_labels_are_positions_in_the_order_of_label_names():
    assert table().label_ids("reference").tolist() == [0, 1, 0]
    assert table(label_names=("spam", "ham")).label_ids("reference").tolist() == [1, 0, 1]
    assert table().positive_id == 0
    assert table(positive_label=None).positive_id == 1


def test_a_table_as_any_tool_writes_it_is_read(tmp_path):
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["reference", "prediction", "probabilities"], ["no", "NA", "[0.4, 0.6]"], ["NA", "no", ""]]
        )
    (tmp_path / "rows.jsonl").write_text(
        '{"reference": "b", "prediction": "a", "probabilities": [0.4, null]}\n{"reference": "a", "prediction": "a"}\n'
    )

    from_csv = read_predictions(tmp_path / "rows.csv", kind="classification", label_names=("no", "NA"))
    from_json = read_predictions(tmp_path / "rows.jsonl", kind="classification")

    assert (from_csv.split, from_csv.threshold, from_csv.label_names) == ("test", 0.5, ("no", "NA"))
    assert from_csv.column("reference") == ["no", "NA"], "NA is a label, not a missing value"
    np.testing.assert_array_equal(from_csv.probabilities(), [[0.4, 0.6], [np.nan, np.nan]])
    assert from_json.label_names == ("a", "b"), "the sorted values seen"
    np.testing.assert_array_equal(from_json.probabilities(), [[0.4, np.nan], [np.nan, np.nan]])
    assert from_json.column("id") == [0, 1]


def test_labels_that_look_like_numbers_stay_text(tmp_path):
    (tmp_path / "rows.csv").write_text("reference,prediction\n01,1\n1,01\n")
    pa.parquet.write_table(pa.table({"reference": [1, 0], "prediction": [0, 0]}), tmp_path / "rows.parquet")

    assert read_predictions(tmp_path / "rows.csv", kind="classification").label_names == ("01", "1")
    assert read_predictions(tmp_path / "rows.parquet", kind="classification").label_names == ("0", "1")


def test_numbers_of_a_regression_stay_numbers(tmp_path):
    (tmp_path / "rows.csv").write_text("reference,prediction\n1.5,2\n1,0.5\n")

    assert read_predictions(tmp_path / "rows.csv", kind="regression").column("reference") == [1.5, 1.0]


def test_lists_in_a_csv_are_json_in_the_cell(tmp_path):
    (tmp_path / "tags.csv").write_text(
        'tokens,reference,prediction\n"[""A"", ""b""]","[""B-PER"", ""O""]","[""O"", ""O""]"\n'
    )
    (tmp_path / "answers.csv").write_text('reference,prediction\n"[""1969"", ""in 1969""]",1969\n[],"[sic]"\n')
    (tmp_path / "texts.csv").write_text('reference,prediction\n"[applause]","[""a""]"\n"two\nlines",b\n')

    tags = read_predictions(tmp_path / "tags.csv", kind="token-classification")
    answers = read_predictions(tmp_path / "answers.csv", kind="question-answering")
    texts = read_predictions(tmp_path / "texts.csv", kind="text-generation")

    assert [tags.column(name) for name in ("tokens", "reference")] == [[["A", "b"]], [["B-PER", "O"]]]
    assert answers.column("reference") == [["1969", "in 1969"], []]
    assert answers.column("prediction") == ["1969", "[sic]"]
    assert texts.column("reference") == ["[applause]", "two\nlines"]
    assert texts.column("prediction") == ['["a"]', "b"]


def test_a_table_of_ours_needs_no_kind_and_refuses_another(tmp_path):
    path = write_predictions(table(), tmp_path / "test.parquet")

    assert read_predictions(path, kind="classification").kind == "classification"
    with pytest.raises(InputError, match="the table is of kind classification, not regression; leave --kind out"):
        read_predictions(path, kind="regression")


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("rows.xlsx", "", {}, "ending '.xlsx' is not one of .parquet, .csv, .tsv, .jsonl"),
        ("rows.csv", "reference,prediction\na,a\n", {}, "does not say its kind; give --kind, one of classification,"),
        ("rows.csv", "reference,prediction\na,a\n", {"kind": "clustering"}, "unknown kind 'clustering'; expected"),
        ("rows.csv", "gold,prediction\na,a\n", {"kind": "classification"},
         "no column 'reference'; found ['gold', 'prediction']. A classification table needs reference, prediction"),
        ("rows.csv", "reference,prediction\n", {"kind": "classification"}, "the table has no rows"),
        ("rows.csv", "", {"kind": "classification"}, "not readable as csv: Empty CSV file"),
        ("rows.csv", "reference,prediction\na,b,c\n", {"kind": "classification"}, "not readable as csv"),
        ("rows.jsonl", "{bad\n", {"kind": "classification"}, "not readable as jsonl"),
        ("rows.parquet", "PAR1", {"kind": "classification"}, "not readable as parquet"),
        ("rows.csv", "reference,prediction\na,b\nb,c\n", {"kind": "classification", "label_names": ("a", "b")},
         "row 1: prediction 'c' is not one of the labels ['a', 'b']; name all with --labels"),
        ("rows.csv", "reference,prediction\na,b\nb,b\n", {"kind": "classification", "positive_label": "c"},
         "positive label 'c' is not one of the labels ['a', 'b']"),
        ("rows.csv", 'reference,prediction,probabilities\na,b,"[0.1, 0.2, 0.7]"\nb,b,\n', {"kind": "classification"},
         "row 0: 3 probabilities for 2 labels ['a', 'b']"),
        ("rows.csv", "reference,prediction,probabilities\na,b,0.7\n", {"kind": "classification"},
         "row 0: probabilities '0.7' is not a list of numbers; write e.g. [0.9, 0.1]"),
        ("rows.csv", 'reference,prediction,probabilities\na,b,"[0.1, x]"\n', {"kind": "classification"},
         "row 0: probabilities '[0.1, x]' is not a list of numbers"),
        ("rows.jsonl", '{"reference": "a", "prediction": "a", "probabilities": 0.7}\n', {"kind": "classification"},
         "row 0: probabilities 0.7 is not a list of numbers; give one for each of ['a']"),
        ("rows.jsonl", '{"reference": "a", "prediction": "a", "probabilities": "ab"}\n', {"kind": "classification"},
         "row 0: probabilities 'ab' is not a list of numbers"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_scored_is_refused(tmp_path, name, content, options, message):
    (tmp_path / name).write_text(content)

    with pytest.raises(InputError) as refused:
        read_predictions(tmp_path / name, **options)

    assert str(refused.value).startswith(str(tmp_path / name))
    assert message in str(refused.value)


def test_a_missing_file_is_said():
    with pytest.raises(InputError, match=r"nowhere.csv: no such file; give a predictions table"):
        read_predictions("nowhere.csv")


@pytest.mark.parametrize(
    ("kind", "columns", "message"),
    [
        ("clustering", {"reference": ["a"]}, "unknown kind 'clustering'"),
        ("classification", {"prediction": ["a"]}, "no column 'reference'"),
        ("regression", {"reference": [1.0]}, "no column 'prediction'"),
        ("classification", {"reference": ["a"], "prediction": ["b"]}, "row 0: prediction 'b' is not one of the labels"),
    ],
)
def test_a_table_is_not_made_without_its_columns(kind, columns, message):
    with pytest.raises(InputError) as refused:
        make_predictions(kind, columns, label_names=("a",))

    assert message in str(refused.value)


def test_half_a_table_is_never_seen(tmp_path):
    path = tmp_path / "test.parquet"
    write_predictions(table(), path)
    stop = threading.Event()

    def read_on_and_on():
        while not stop.is_set():
            assert len(read_predictions(path)) == 3

    with ThreadPoolExecutor(max_workers=1) as pool:
        reader = pool.submit(read_on_and_on)
        for _ in range(100):
            write_predictions(table(), path)
        stop.set()

    reader.result()  # raises what the reader saw
    assert os.listdir(tmp_path) == ["test.parquet"]


def test_a_write_that_fails_leaves_the_old_table(tmp_path):
    path = write_predictions(table(), tmp_path / "test.parquet")

    with pytest.raises(TypeError):
        write_predictions(table(settings={"tokenizer": object()}), path)

    assert read_predictions(path).settings == {"language": "en"}
    assert os.listdir(tmp_path) == ["test.parquet"]
