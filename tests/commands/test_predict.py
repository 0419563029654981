import csv
import json

import pyarrow.parquet
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from llmtune import cli
from llmtune.errors import InputError
from llmtune.predictions import read_predictions


def predict(model, source, target, *more):
    return cli.run(["predict", "--model", str(model), "--input", str(source), "--output", str(target), *more])


def read(path):
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v if k in ("text", "prediction") else json.loads(v) for k, v in row.items()} for row in rows]


@pytest.mark.parametrize("model", ["spam_model", "lora_run"])
def test_predict_and_evaluate_agree_row_by_row(model, spam_file, tmp_path, request):
    model = request.getfixturevalue(model)
    cli.run(["evaluate", "--model", str(model), "--test_file", str(spam_file), "--output_dir", str(tmp_path / "d")])
    evaluated = read_predictions(tmp_path / "d" / "predictions" / "test.parquet")
    assert set(evaluated.column("prediction")) == {"ham", "spam"}

    for ending in (".parquet", ".csv", ".jsonl"):
        predict(model, spam_file, tmp_path / f"p{ending}")

        rows = read(tmp_path / f"p{ending}")
        assert list(rows[0]) == ["id", "text", "prediction", "probability[ham]", "probability[spam]"]
        for name in ("id", "text", "prediction"):
            assert [row[name] for row in rows] == evaluated.column(name)
        probabilities = [[row["probability[ham]"], row["probability[spam]"]] for row in rows]
        assert probabilities == evaluated.probabilities().tolist()


def test_texts_without_labels_are_enough(spam_model, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text('win a "prize", now\nsee you, at lunch ü\n', encoding="utf-8")

    predict(spam_model, tmp_path / "texts.txt", tmp_path / "new" / "p.csv")

    assert [row["text"] for row in read(tmp_path / "new" / "p.csv")] == ['win a "prize", now', "see you, at lunch ü"]
    printed = capsys.readouterr().out
    assert "2 rows of" in printed
    assert "spam from a probability of 0." in printed
    assert "texts truncated at 24 tokens: none" in printed


def test_another_text_column_is_read(spam_model, tmp_path):
    (tmp_path / "in.csv").write_text("message,text\nwin a prize now,other\n")

    predict(spam_model, tmp_path / "in.csv", tmp_path / "p.jsonl", "--text_column", "message")

    assert read(tmp_path / "p.jsonl")[0]["text"] == "win a prize now"


def test_a_row_with_nan_outputs_has_no_prediction_and_is_counted(spam_model, tmp_path, capsys):
    model = AutoModelForSequenceClassification.from_pretrained(spam_model)
    with torch.no_grad():
        model.classifier.weight.fill_(float("nan"))
    model.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(spam_model).save_pretrained(tmp_path / "broken")
    (tmp_path / "in.csv").write_text("text\nwin\n")

    for ending in (".csv", ".jsonl", ".parquet"):
        predict(tmp_path / "broken", tmp_path / "in.csv", tmp_path / f"p{ending}")

    assert "1 rows have NaN or infinite outputs and no prediction: do not use this model" in capsys.readouterr().out
    assert (tmp_path / "p.csv").read_text().splitlines()[1] == "0,win,,,"
    assert read(tmp_path / "p.jsonl")[0]["prediction"] is None
    assert read(tmp_path / "p.parquet")[0]["probability[spam]"] is None


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("out.xlsx", r"ending '.xlsx' is not one of .parquet, .csv, .jsonl"),
        ("old.csv", "exists; name another file, or give --overwrite to replace it"),
        ("in.csv", "is the input itself; name another file"),
        ("folder.csv", "is a folder; name a file"),
    ],
)
def test_an_output_that_would_cost_something_is_refused(output, message, spam_model, tmp_path):
    (tmp_path / "in.csv").write_text("text\nwin\n")
    (tmp_path / "old.csv").write_text("mine")
    (tmp_path / "folder.csv").mkdir()

    with pytest.raises(InputError, match=message):
        predict(spam_model, tmp_path / "in.csv", tmp_path / output, *(["--overwrite"] if output == "in.csv" else []))

    assert (tmp_path / "old.csv").read_text() == "mine"


def test_overwrite_replaces_the_output(spam_model, tmp_path):
    (tmp_path / "in.csv").write_text("text\nwin\n")
    (tmp_path / "old.csv").write_text("mine")

    predict(spam_model, tmp_path / "in.csv", tmp_path / "old.csv", "--overwrite")

    assert len(read(tmp_path / "old.csv")) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "old.csv"]
