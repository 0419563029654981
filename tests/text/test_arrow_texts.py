"""A text of an Arrow table that is not UTF-8 is refused with its row and column, in data and in predictions."""

import datasets
import pyarrow as pa
import pyarrow.parquet
import pytest

from llmtune.arguments import DataArguments
from llmtune.data import load_splits, read_table
from llmtune.errors import InputError
from llmtune.predictions import read_predictions
from llmtune.report.report import Report

BROKEN = pa.array([b"abc", b"caf\xe9", b"x"]).cast(pa.large_binary()).view(pa.large_string())
COLUMNS = {
    "text": BROKEN,
    "list": pa.LargeListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int64()), BROKEN),
    "struct": pa.StructArray.from_arrays([BROKEN], ["en"]),
    "category": BROKEN.dictionary_encode(),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_text_that_is_not_utf8_is_named_in_parquet_files(tmp_path, name):
    labels = pa.array(["a", "b", "a"])
    path = tmp_path / "a.parquet"
    pa.parquet.write_table(pa.table({"reference": labels, "prediction": labels, "note": COLUMNS[name]}), path)

    with pytest.raises(InputError) as refused:
        read_table(path)
    with pytest.raises(InputError) as refused_predictions:
        read_predictions(path, kind="classification")

    finding = "column 'note' holds the byte 0xe9, which is not UTF-8; decode the column by its own encoding"
    assert str(refused.value).startswith(f"{path} row 2: {finding}")
    assert str(refused_predictions.value).startswith(f"{path} row 1: {finding}")


def test_a_saved_data_set_and_a_table_in_memory_are_checked_too(tmp_path):
    table = pa.table({"text": BROKEN, "label": ["a", "b", "a"]})
    datasets.Dataset(table).save_to_disk(tmp_path / "saved")

    with pytest.raises(InputError, match=r"saved\[train\] row 2: column 'text' holds the byte 0xe9"):
        load_splits(
            DataArguments(dataset_name=str(tmp_path / "saved")),
            columns={"text": "text", "label": "label"},
            label_column="label",
            text_columns=["text"],
            seed=1,
        )
    with pytest.raises(InputError, match=r"row 1: column 'reference' holds the byte 0xe9"):
        Report.from_table(pa.table({"reference": BROKEN, "prediction": BROKEN}), kind="text-generation")
