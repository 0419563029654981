import csv
import datetime
import io
import json
import shutil
import sys

import pyarrow.parquet
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from llmtune import cli
from llmtune.commands.predict import open_source
from llmtune.data.files import read_rows
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
    ours = ("id", "probability[ham]", "probability[spam]")
    return [{k: json.loads(v) if k in ours else v for k, v in row.items()} for row in rows]


@pytest.mark.parametrize("model", ["spam_model", "lora_run"])
def test_predict_and_evaluate_agree_row_by_row(model, spam_file, tmp_path, request):
    model = request.getfixturevalue(model)
    cli.run(["evaluate", "--model", str(model), "--test_file", str(spam_file), "--output_dir", str(tmp_path / "d")])
    evaluated = read_predictions(tmp_path / "d" / "predictions" / "test.parquet")
    assert set(evaluated.column("prediction")) == {"ham", "spam"}

    for ending in (".parquet", ".csv", ".jsonl"):
        predict(model, spam_file, tmp_path / f"p{ending}")

        rows = read(tmp_path / f"p{ending}")
        assert [name for name in rows[0] if name not in read_rows(spam_file).columns] == [
            "id", "prediction", "probability[ham]", "probability[spam]",
        ]  # fmt: skip
        assert set(read_rows(spam_file).columns) < set(rows[0])
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


class Stdin:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


@pytest.mark.parametrize(
    "content", [b"win a prize now\nsee you at lunch\n", b'{"text": "win a prize now"}\n{"text": "see you at lunch"}\n']
)
def test_stdin_is_read_and_rows_go_to_stdout_alone(content, spam_model, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Stdin(content))

    cli.run(["predict", "--model", str(spam_model), "--input", "-"])

    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["text"] for row in rows] == ["win a prize now", "see you at lunch"]
    assert {row["prediction"] for row in rows} <= {"ham", "spam"}
    assert [row["id"] for row in rows] == [0, 1]
    assert "2 rows of stdin" in printed.err


def test_texts_of_the_command_line_are_predicted_as_those_of_a_file(spam_model, tmp_path, capsys):
    texts = ["win a prize now", "see you, at lunch"]
    (tmp_path / "in.txt").write_text("\n".join(texts))

    cli.run(["predict", "--model", str(spam_model), "--text", *texts])
    predict(spam_model, tmp_path / "in.txt", tmp_path / "p.jsonl")

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()[:2]] == read(tmp_path / "p.jsonl")


@pytest.mark.parametrize("flags", [[], ["--input", "in.csv", "--text", "win"]])
def test_rows_come_from_one_place(flags, spam_model):
    with pytest.raises(InputError, match="give the rows with --input FILE, --input - for stdin, or --text TEXT"):
        cli.run(["predict", "--model", str(spam_model), *flags])


def test_one_text_is_no_question_with_its_context():
    with pytest.raises(
        InputError, match="this model reads question and context; give rows that have both with --input"
    ):
        open_source(None, ["who?"], {"question": "question", "context": "context"})


PAIR = {"text": "text", "text_pair": "text_pair"}


@pytest.mark.parametrize(
    ("inputs", "pairs", "message"),
    [
        (PAIR, [], "this model reads text and text_pair; give the second of each with --text_pair, or rows that have"),
        ({"text": "text"}, ["b"], "--text_pair: this model reads text alone; leave it out"),
    ],
)
def test_second_texts_are_of_models_of_pairs(inputs, pairs, message):
    with pytest.raises(InputError, match=message):
        open_source(None, ["a"], inputs, pairs)


def test_as_many_second_texts_as_texts(spam_model):
    with pytest.raises(InputError, match="--text_pair: found 1, and 2 of --text; give a second text for each"):
        cli.run(["predict", "--model", str(spam_model), "--text", "a", "b", "--text_pair", "c"])


@pytest.fixture(params=["trained on pairs", "made elsewhere"])
def pair_model(request, spam_model, tmp_path):
    folder = tmp_path / "pairs"
    shutil.copytree(spam_model, folder)
    config = json.loads((folder / "config.json").read_text())
    if request.param == "made elsewhere":
        del config["llmtune"]
    else:
        config["llmtune"]["pair_prefix"] = ""
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_pairs_of_the_command_line_are_predicted_as_those_of_a_file(pair_model, tmp_path, capsys):
    firsts, seconds = ["win a prize now", "see you"], ["free cash", "at lunch, then"]
    rows = [{"text": first, "text_pair": second} for first, second in zip(firsts, seconds, strict=True)]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))

    cli.run(["predict", "--model", str(pair_model), "--text", *firsts, "--text_pair", *seconds])
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()[:2]]
    predict(pair_model, tmp_path / "in.jsonl", tmp_path / "p.jsonl", "--text_pair_column", "text_pair")

    assert [(row["text"], row["text_pair"]) for row in printed] == list(zip(firsts, seconds, strict=True))
    assert printed == read(tmp_path / "p.jsonl")


def test_a_text_comes_out_once_under_the_users_name(spam_model, tmp_path):
    (tmp_path / "in.csv").write_text("message\nwin a prize now\nsee you\n")

    predict(spam_model, tmp_path / "in.csv", tmp_path / "p.csv", "--text_column", "message")

    header = (tmp_path / "p.csv").read_text().splitlines()[0].split(",")
    assert header[:3] == ["id", "message", "prediction"]
    assert "text" not in header


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_a_row_without_text_gets_null_and_the_reason_and_the_others_their_prediction(
    ending, spam_model, tmp_path, capsys
):
    rows = [("a", "win a prize now"), ("b", ""), ("c", "see you at lunch"), ("d", "  ")]
    (tmp_path / "in.csv").write_text("nr,text\n" + "".join(f"{nr},{text}\n" for nr, text in rows))
    (tmp_path / "full.csv").write_text("nr,text\n" + "".join(f"{nr},{text}\n" for nr, text in rows if text.strip()))

    assert not predict(spam_model, tmp_path / "in.csv", tmp_path / f"p{ending}")
    predict(spam_model, tmp_path / "full.csv", tmp_path / "full.jsonl")

    made = {"": None}
    with_empty = (
        read(tmp_path / f"p{ending}")
        if ending != ".csv"
        else list(csv.DictReader((tmp_path / "p.csv").open(newline="")))
    )
    assert [(row["nr"], row["text"]) for row in with_empty] == rows
    full = {row["nr"]: row for row in read(tmp_path / "full.jsonl")}
    for row in with_empty:
        if row["nr"] in full:
            assert row["prediction"] == full[row["nr"]]["prediction"]
            assert float(row["probability[spam]"]) == pytest.approx(full[row["nr"]]["probability[spam]"], abs=1e-6)
            assert made.get(row["reason"], row["reason"]) is None
        else:
            assert made.get(row["prediction"], row["prediction"]) is None
            assert row["reason"] == f"no text ({row['text']!r}) in column 'text'"
    assert "no prediction for 2 rows without text; column reason says so" in capsys.readouterr().out


def test_rows_without_any_text_are_all_null(spam_model, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": null}\n{"text": []}\n')

    predict(spam_model, tmp_path / "in.jsonl", tmp_path / "p.jsonl")

    made = read(tmp_path / "p.jsonl")
    assert [row["prediction"] for row in made] == [None, None]
    assert made[0]["reason"] == "no text (null) in column 'text'"
    assert made[1]["reason"] == "no text (an empty list) in column 'text'"


def test_another_text_column_is_read(spam_model, tmp_path):
    (tmp_path / "in.csv").write_text("message,text\nwin a prize now,other\n")

    predict(spam_model, tmp_path / "in.csv", tmp_path / "p.jsonl", "--text_column", "message")

    row = read(tmp_path / "p.jsonl")[0]
    assert (row["message"], row["text"]) == ("win a prize now", "other")


def test_a_row_with_nan_outputs_has_no_prediction_and_is_counted(spam_model, tmp_path, capsys):
    model = AutoModelForSequenceClassification.from_pretrained(spam_model)
    with torch.no_grad():
        model.classifier.weight.fill_(float("nan"))
    model.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(spam_model).save_pretrained(tmp_path / "broken")
    (tmp_path / "in.csv").write_text("text\nwin\n")

    for ending in (".csv", ".jsonl", ".parquet"):
        predict(tmp_path / "broken", tmp_path / "in.csv", tmp_path / f"p{ending}")

    assert "no prediction of 1 row with NaN or infinite outputs: do not use this model" in capsys.readouterr().out
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


@pytest.mark.parametrize("ending_in", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("ending_out", [".csv", ".jsonl", ".parquet"])
def test_every_column_comes_out_under_its_own_name(spam_model, tmp_path, ending_in, ending_out):
    columns = {
        "id": ["K1000", "K0999"], "text": ["win a prize", "see you"], "prediction": ["mine", "too"], "note": ["a", "b"],
    }  # fmt: skip
    source = tmp_path / f"in{ending_in}"
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if ending_in == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), source)
    elif ending_in == ".jsonl":
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        delimiter = "," if ending_in == ".csv" else "\t"
        source.write_text("".join(delimiter.join(line) + "\n" for line in [columns, *(row.values() for row in rows)]))

    predict(spam_model, source, tmp_path / f"p{ending_out}")

    target = tmp_path / f"p{ending_out}"
    if ending_out == ".csv":
        with target.open(newline="") as file:
            made = list(csv.DictReader(file))
    else:
        made = read(target)
    assert [{name: row[name] for name in columns} for row in made] == rows
    assert {row["llmtune_prediction"] for row in made} <= {"ham", "spam"}


def test_a_name_that_the_input_has_is_said(spam_model, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("text,prediction\nwin,mine\n")

    predict(spam_model, tmp_path / "in.csv", tmp_path / "p.csv")
    predict(spam_model, tmp_path / "p.csv", tmp_path / "q.csv")

    printed = " ".join(capsys.readouterr().out.split())
    assert "the input has a column 'prediction': ours is 'llmtune_prediction'" in printed
    assert "the input has a column 'prediction': ours is 'llmtune_prediction_2'" in printed
    assert "llmtune_probability[ham]" in (tmp_path / "q.csv").read_text().splitlines()[0]


def test_cells_of_any_type_come_out(spam_model, tmp_path):
    when, table = datetime.datetime(2026, 1, 2, 3, 4), tmp_path / "in.parquet"
    cells = {"text": ["win"], "when": [when], "share": [float("nan")], "parts": [[1, 2]], "of": [{"a": 1.5}]}
    pyarrow.parquet.write_table(pyarrow.table(cells), table)

    for ending in (".parquet", ".jsonl", ".csv"):
        predict(spam_model, table, tmp_path / f"p{ending}")

    assert read(tmp_path / "p.parquet")[0]["when"] == when
    assert read(tmp_path / "p.parquet")[0]["of"] == {"a": 1.5}
    row = read(tmp_path / "p.jsonl")[0]
    assert (row["when"], row["share"], row["parts"], row["of"]) == ("2026-01-02 03:04:00", None, [1, 2], {"a": 1.5})
    assert '2026-01-02 03:04:00,nan,"[1, 2]","{""a"": 1.5}"' in (tmp_path / "p.csv").read_text()


def test_a_mixed_column_is_refused_before_the_model_runs_where_parquet_cannot_hold_it(spam_model, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "win", "note": 1}\n{"text": "see", "note": "b"}\n')

    with pytest.raises(InputError, match="line 2: column 'note' holds 'b', which is not valid Unicode or of another"):
        predict(spam_model, tmp_path / "in.jsonl", tmp_path / "p.parquet")
    predict(spam_model, tmp_path / "in.jsonl", tmp_path / "p.jsonl")

    assert [row["note"] for row in read(tmp_path / "p.jsonl")] == [1, "b"]


def test_one_row_is_said_as_one(spam_model, capsys):
    cli.run(["predict", "--model", str(spam_model), "--text", "win a prize now"])

    assert "1 row of --text" in capsys.readouterr().err


def test_a_cell_that_a_spreadsheet_would_take_for_a_formula_comes_out_as_it_went_in(spam_model, tmp_path):
    cells = ["=1+1", "+see you", "-5", "@SUM(A1)", "\tcall"]
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps({"text": cell}) for cell in cells))
    output = tmp_path / "out.csv"

    cli.run(["predict", "--model", str(spam_model), "--input", str(tmp_path / "in.jsonl"), "--output", str(output)])

    with output.open(newline="", encoding="utf-8") as file:
        assert [row["text"] for row in csv.DictReader(file)] == cells
