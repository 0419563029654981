"""Rows in memory are read, checked and split as the rows of a file are."""

import datasets
import numpy as np
import pandas as pd
import pytest

from llmtune.arguments import DataArguments
from llmtune.data import InMemoryData, load_split, load_splits
from llmtune.data.in_memory import open_rows
from llmtune.errors import InputError

COLUMNS = {"text": "text", "label": "label"}


def some_rows(n=60, start=0):
    return {
        "text": [f"text {start + i}" for i in range(n)],
        "label": ["ham" if i % 3 else "spam" for i in range(n)],
        "author": [f"a{i % 7}" for i in range(n)],
    }


def load(data, seed=1):
    return load_splits(data, columns=COLUMNS, label_column="label", text_columns=["text"], seed=seed)


def message(data):
    with pytest.raises(InputError) as caught:
        load(data)
    return str(caught.value)


@pytest.mark.parametrize("make", [pd.DataFrame, datasets.Dataset.from_dict, dict])
def test_rows_in_memory_are_split_as_those_of_a_file(make, tmp_path):
    pd.DataFrame(some_rows()).to_csv(tmp_path / "rows.csv", index=False)

    memory, file = load(make(some_rows())), load(DataArguments(train_file=str(tmp_path / "rows.csv")))

    for split in ("train", "validation", "test"):
        assert memory[split].to_list() == file[split].to_list()
        assert memory.fingerprints[split].sha256 == file.fingerprints[split].sha256
    assert memory.made == file.made


def test_a_dataset_dict_gives_its_splits_in_their_order_with_class_names():
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["ham", "spam"])}
    )
    rows = datasets.Dataset.from_dict({"text": ["a", "b", "c", "d"], "label": [1, 0, 1, 0]}, features=features)
    test = rows.map(lambda row: {"text": row["text"] * 2}).select([3, 0])  # an order of indices, not of storage
    whole = datasets.DatasetDict(
        {"train": rows, "dev": rows.select([1]), "test": test, "unsupervised": rows.select([0])}
    )

    splits = load(whole)

    assert splits.train["label"][:] == ["spam", "ham", "spam", "ham"]
    assert splits.test["text"][:] == ["dd", "aa"]
    assert splits.validation["text"][:] == ["b"]
    assert splits.fingerprints["test"].source == "DatasetDict[test]"


def test_a_published_test_split_without_labels_is_not_judged_on():
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["ham", "spam"])}
    )
    rows = some_rows()
    ids = [int(label == "spam") for label in rows["label"]]
    train = datasets.Dataset.from_dict({"text": rows["text"], "label": ids}, features=features)
    hidden = datasets.Dataset.from_dict({"text": ["x", "y"], "label": [-1, -1]}, features=features)

    splits = load(datasets.DatasetDict({"train": train, "test": hidden}))

    assert "its labels are not public" in splits.made["test"]


def test_options_beside_the_rows_are_those_of_files():
    data = InMemoryData(pd.DataFrame(some_rows()), name="messages", slice_columns=["author"], max_eval_samples=2)

    splits = load(data)

    assert splits.test.column_names == ["id", "text", "label", "author"]
    assert len(splits.test) == 2
    assert splits.fingerprints["train"].source == "messages[train]"
    assert data.given


def test_a_split_is_read_alone():
    rows, fingerprint = load_split(
        InMemoryData({"train": some_rows(), "test": some_rows(4)}),
        "test",
        columns=COLUMNS,
        label_column="label",
        text_columns=["text"],
        label_names=("ham", "spam"),
    )

    assert len(rows) == fingerprint.rows == 4


def test_a_missing_cell_of_pandas_is_a_bad_row_as_an_empty_one():
    frame = pd.DataFrame(some_rows(4))
    frame.loc[2, "label"] = np.nan

    assert "DataFrame[train] row 3: no label (None) in column 'label'" in message(frame)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (3, "int[train]: found int, expected a pandas DataFrame, a datasets.Dataset or a dict of columns"),
        ({"train": some_rows(), "tset": some_rows()}, "dict: splits found: ['train', 'tset'], expected 'train'"),
        ({"test": some_rows()}, "dict: splits found: ['test'], expected 'train' (and 'validation', 'test'); rename"),
        (pd.DataFrame({"text": [], "label": []}), "DataFrame[train]: no rows (columns ['text', 'label']), expected at"),
        ({"text": ["a", "b"], "label": ["x"]}, "dict[train]: columns of different length, {'text': 2, 'label': 1}"),
        (pd.DataFrame({"message": ["a"], "label": ["x"]}), "DataFrame[train]: no column 'text'"),
        (
            pd.DataFrame([["a", "x", "b"]], columns=["text", "label", "text"]),
            "DataFrame[train]: 2 columns are called 'text'; give each a name of its own",
        ),
        (iter([]), "list_iterator[train]: found list_iterator, expected a pandas DataFrame"),
    ],
)
def test_what_is_no_table_of_rows_is_refused(data, expected):
    assert expected in message(data)


def test_rows_in_memory_and_a_file_are_one_too_many():
    with pytest.raises(InputError, match="rows in memory and a file or --dataset_name are both given; give one"):
        InMemoryData(some_rows(), test_file="test.csv")


def test_a_path_is_a_file(tmp_path):
    pd.DataFrame(some_rows(3)).to_json(tmp_path / "rows.jsonl", orient="records", lines=True)

    assert len(open_rows(tmp_path / "rows.jsonl", "train")) == 3
