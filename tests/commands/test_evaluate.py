import json
import os
import subprocess
import sys

import numpy as np
import pytest

from llmtune import cli
from llmtune.arguments import RUN_MARKER
from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.predictions import read_predictions


def evaluate(model, test_file, folder, *more):
    return cli.run(
        ["evaluate", "--model", str(model), "--test_file", str(test_file), "--output_dir", str(folder), *more]
    )


@pytest.fixture(scope="module")
def evaluation(spam_model, spam_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation") / "one"
    assert evaluate(spam_model, spam_file, folder) is None
    return folder


def test_an_evaluation_leaves_metrics_predictions_and_facts(evaluation, spam_file):
    rows = [json.loads(line) for line in spam_file.read_text().splitlines()]
    table = read_predictions(evaluation / "predictions" / "test.parquet")
    metrics = json.loads((evaluation / "metrics.json").read_text())
    facts = json.loads((evaluation / "run.json").read_text())

    assert table.column("id") == list(range(101))
    assert table.column("text") == [row["text"] for row in rows]
    assert table.column("reference") == [row["label"] for row in rows]
    assert metrics["test"]["f1"] == score_predictions(table, seed=42)["f1"].to_json()
    assert "f1@0.5" in metrics["test"]
    assert facts["data"]["test"]["rows"] == 101
    assert len(facts["data"]["test"]["sha256"]) == 64
    assert facts["hardware"]["cores"] >= 1
    assert facts["evaluation_seconds"] > 0
    assert facts["seed"] == 42
    assert facts["model"]["threshold"] == table.threshold


def test_the_stored_threshold_and_positive_label_are_applied(evaluation, spam_model):
    stored = json.loads((spam_model / "config.json").read_text())["llmtune"]["threshold"]
    table = read_predictions(evaluation / "predictions" / "test.parquet")
    spam = table.probabilities()[:, 1]

    assert (table.threshold, table.positive_label, table.label_names) == (stored, "spam", ("ham", "spam"))
    assert table.column("prediction") == ["spam" if p >= stored else "ham" for p in spam]
    assert ((spam >= 0.5) & (spam < stored)).any()  # else 0.5 would have given the same


def test_the_stored_max_length_is_applied(evaluation):
    lengths = read_predictions(evaluation / "predictions" / "test.parquet").column("length")

    assert max(lengths) == 24
    assert "texts truncated at 24 tokens: " in json.loads((evaluation / "run.json").read_text())["truncated"]["test"]


def test_two_processes_leave_one_report_of_the_same_rows(evaluation, spam_model, spam_file, tmp_path):
    # Not `--cpu --num_processes 2`: accelerate 1.15 then starts one process, without a word.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--main_process_port", "0", "-m", "llmtune.cli", "evaluate", "--model", str(spam_model)]
    launch += ["--test_file", str(spam_file), "--output_dir", str(tmp_path / "two")]
    launch += ["--per_device_eval_batch_size", "7", "--cpu_threads", "1"]

    done = subprocess.run(launch, capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"}, timeout=120)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Test: 101 rows") == 1
    one, two = (read_predictions(folder / "predictions" / "test.parquet") for folder in (evaluation, tmp_path / "two"))
    for column in ("id", "text", "reference", "prediction", "length"):
        assert one.column(column) == two.column(column)
    np.testing.assert_allclose(one.probabilities(), two.probabilities(), rtol=0, atol=1e-6)
    counts = [json.loads((folder / "metrics.json").read_text())["test"] for folder in (evaluation, tmp_path / "two")]
    assert counts[0]["f1"] == counts[1]["f1"]
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2


def test_overwrite_replaces_an_evaluation_and_nothing_else(spam_model, spam_file, tmp_path):
    evaluate(spam_model, spam_file, tmp_path / "d", "--max_eval_samples", "50")
    (tmp_path / "d" / "notes.txt").write_text("mine")

    with pytest.raises(
        InputError, match="is not empty; name a new folder, or give --overwrite to replace an evaluation"
    ):
        evaluate(spam_model, spam_file, tmp_path / "d")
    evaluate(spam_model, spam_file, tmp_path / "d", "--overwrite")

    assert len(read_predictions(tmp_path / "d" / "predictions" / "test.parquet")) == 101
    assert (tmp_path / "d" / "notes.txt").read_text() == "mine"
    left = sorted(str(path.relative_to(tmp_path / "d")) for path in (tmp_path / "d").rglob("*") if path.is_file())
    assert left == ["metrics.json", "notes.txt", "predictions/test.parquet", "run.json"]


@pytest.mark.parametrize(
    "others",
    [{"metrics.json": "{}"}, {"metrics.json": "{}", "run.json": "no json"}, {"run.json": "{}", RUN_MARKER: ""}],
)
def test_overwrite_does_not_replace_what_others_left(others, spam_model, spam_file, tmp_path):
    for name, content in others.items():
        (tmp_path / name).write_text(content)

    with pytest.raises(InputError, match="was not left by llmtune evaluate, so --overwrite does not replace it"):
        evaluate(spam_model, spam_file, tmp_path, "--overwrite")

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == others


def test_an_output_dir_that_is_a_file_is_refused(spam_model, spam_file, tmp_path):
    (tmp_path / "d").write_text("")

    with pytest.raises(InputError, match="is a file; name a folder"):
        evaluate(spam_model, spam_file, tmp_path / "d")


def test_a_wrong_row_stops_before_anything_is_written(spam_model, tmp_path):
    (tmp_path / "bad.csv").write_text("text,label\nhello,ham\nwin,spma\n")

    with pytest.raises(InputError, match=r"row 2 .*label 'spma' .* is not one of the model's .*did you mean 'spam'"):
        evaluate(spam_model, tmp_path / "bad.csv", tmp_path / "d")

    assert not (tmp_path / "d").exists()


def test_a_wrong_metric_costs_no_predictions(spam_model, spam_file, tmp_path):
    with pytest.raises(InputError, match="metric 'f11' is none of ours"):
        evaluate(spam_model, spam_file, tmp_path / "d", "--metrics", "f11")

    assert (tmp_path / "d" / "predictions" / "test.parquet").exists()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nowhere", "nowhere: not loadable as a run, a checkpoint folder or a Hub id"),
        ("", "[.] Give a model that was fine-tuned for one of them"),
    ],
)
def test_a_model_that_is_none_is_named(model, message, spam_file, tmp_path):
    if not model:  # a config of another task
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "llmtune": {"task": "juggling"}}))
        message = f"its task is 'juggling'; served are .*text-classification, .*{message}"

    with pytest.raises(InputError, match=message):
        evaluate(model or tmp_path, spam_file, tmp_path / "d")


def test_another_architecture_is_named(spam_file, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertForMaskedLM"]}))

    with pytest.raises(InputError, match="its architecture is BertForMaskedLM; served are .*text-classification"):
        evaluate(tmp_path, spam_file, tmp_path / "d")


def test_a_head_that_was_never_trained_is_refused(spam_model, spam_file, tmp_path):
    import transformers

    config = transformers.AutoConfig.from_pretrained(spam_model)
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path / "body")
    transformers.AutoTokenizer.from_pretrained(spam_model).save_pretrained(tmp_path / "body")
    config.save_pretrained(tmp_path / "body")  # says that it is a classifier

    with pytest.raises(InputError, match=r"has no trained weights for classifier\.bias, classifier\.weight"):
        evaluate(tmp_path / "body", spam_file, tmp_path / "d")


def test_a_batch_size_below_1_is_refused(spam_model, spam_file, tmp_path):
    with pytest.raises(InputError, match="--per_device_eval_batch_size 0: expected 1 or more"):
        evaluate(spam_model, spam_file, tmp_path / "d", "--per_device_eval_batch_size", "0")


def test_fewer_than_one_thread_is_refused(spam_model, spam_file, tmp_path):
    with pytest.raises(InputError, match="--cpu_threads 0: expected 1 or more"):
        evaluate(spam_model, spam_file, tmp_path / "d", "--cpu_threads", "0")


def test_what_texts_hide_is_said_as_the_recipes_say_it(spam_model, spam_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("llmtune.commands.evaluate.text_cautions", lambda table, scores: [f"{len(table)} odd texts"])

    evaluate(spam_model, spam_file, tmp_path / "out")

    assert "Caution\n  101 odd texts" in capsys.readouterr().out
