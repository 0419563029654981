"""Recipes with --model_type lstm as a person runs them, then the commands and the card's code on what they leave."""

import json
import random
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from llmtune import cli
from llmtune.predictions import read_predictions
from llmtune.report.page import render_page
from llmtune.report.report import Report
from tests.commands.test_card_code import entities_by_card, entities_by_predictions

RECIPES = Path(__file__).parent.parent / "recipes"
WORDS = {"spam": ["win", "free", "cash", "prize"], "ham": ["see", "you", "at", "lunch"]}
NAMES = {"PER": ["Anna", "Peter"], "LOC": ["Rome", "Oslo"], None: ["lives", "in", "met", "of"]}
LSTM = ["--model_type", "lstm", "--config_overrides", "hidden_size=16,embedding_size=16,attention_size=8"]
QUICK = ["--learning_rate", "1e-2", "--cpu_threads", "1", "--num_train_epochs", "2", "--tokenizer_vocab_size", "200"]


def run_recipe(recipe: str, *flags: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [recipe, *flags])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(RECIPES / recipe), run_name="__main__")
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 messages, a third of them spam, told apart by their words."""
    draw = random.Random(0)
    path = tmp_path_factory.mktemp("data") / "messages.jsonl"
    rows = []
    for number in range(300):
        label = "spam" if number % 3 == 0 else "ham"
        rows.append({"text": " ".join(draw.choices(WORDS[label], k=draw.randint(2, 9))) + f" {number}", "label": label})
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def spam_run(messages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spam") / "run"
    assert run_recipe("spam.py", "--train_file", str(messages), *LSTM, *QUICK, "--output_dir", str(folder)) == 0
    return folder


@pytest.fixture(scope="module")
def ner_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, draw = tmp_path_factory.mktemp("ner"), random.Random(0)
    sentences = []
    for _ in range(200):
        kinds = draw.choices(list(NAMES), weights=[1, 1, 3], k=draw.randint(4, 9))
        tokens = [draw.choice(NAMES[kind]) for kind in kinds]
        sentences.append({"tokens": tokens, "tags": [f"B-{kind}" if kind else "O" for kind in kinds]})
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, sentences)), encoding="utf-8")
    flags = ["--train_file", str(folder / "train.jsonl"), *LSTM, *QUICK, "--per_device_train_batch_size", "4"]
    assert run_recipe("ner.py", *flags, "--output_dir", str(folder / "run")) == 0
    return folder / "run"


def test_a_run_learns_and_tells_its_family(spam_run):
    metrics = json.loads((spam_run / "metrics.json").read_text())["test"]
    run = json.loads((spam_run / "run.json").read_text())

    assert metrics["f1"]["value"] > 0.9
    assert run["model"]["family"] == run["model"]["model_type"] == "lstm"
    assert run["model"]["module"] == "llmtune.models.lstm"


def test_the_page_shows_scores_by_length_and_what_the_model_attends_to(spam_run):
    page = (spam_run / "report.html").read_text(encoding="utf-8")
    table = read_predictions(spam_run / "predictions" / "test.parquet")

    assert re.search(r"<caption>length</caption>.*?\d+ to \d+ tokens", page, re.DOTALL)
    assert '<h2 id="attention">What the model attends to</h2>' in page
    rows = [cell for cell in table.column("attention") if cell]
    assert len(rows) == 12
    for cell in rows:
        assert sum(piece["weight"] for piece in cell) == pytest.approx(1, abs=1e-5)
        assert (cell[0]["token"], cell[-1]["token"]) == ("[CLS]", "[SEP]")
    shown = re.search(r'aria-label="Attention by row">(.*?)</table>', page, re.DOTALL)[1]
    assert shown.count("<tr role=") == 13
    assert re.search(r"\d+%, \w+", shown)


def test_a_page_without_examples_shows_no_attention_either(spam_run):
    page = render_page(Report.from_run(spam_run), no_examples=True)

    assert "What the model attends to" not in page


CODE = """
import json, sys
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
{line}
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1]).eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
for text in json.load(sys.stdin):
    with torch.no_grad():
        print(*model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0].tolist())
"""


def python(*command: str, given: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], input=given, capture_output=True, text=True, cwd=cwd, timeout=120)


def test_the_weights_load_with_transformers_after_one_import_and_predict_the_same(spam_run):
    table = read_predictions(spam_run / "predictions" / "test.parquet")
    texts = json.dumps(table.column("text"))

    done = python("-c", CODE.format(line="import llmtune.models.lstm"), str(spam_run), given=texts)
    without = python("-c", CODE.format(line=""), str(spam_run), given=texts)

    assert done.returncode == 0, done.stderr[-2000:]
    probabilities = np.array([[float(number) for number in line.split()] for line in done.stdout.splitlines()])
    np.testing.assert_allclose(probabilities, table.probabilities(), atol=1e-6)
    assert "does not recognize this architecture" in without.stderr


def test_the_code_of_the_card_runs_as_pasted(spam_run):
    card = (spam_run / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]

    done = python("-c", code, cwd=spam_run)

    assert done.returncode == 0, done.stderr[-2000:]
    assert [line.split()[0] in ("ham", "spam") for line in done.stdout.splitlines()] == [True, True]
    assert "\nimport llmtune.models.lstm  # makes this model known to transformers\n" in code
    assert yaml.safe_load(card.split("---\n")[1])["library_name"] == "llmtune"


def test_evaluate_and_predict_answer_as_the_run_did(spam_run, tmp_path, capsys):
    table = read_predictions(spam_run / "predictions" / "test.parquet")
    rows = [
        {"text": text, "label": label}
        for text, label in zip(table.column("text"), table.column("reference"), strict=True)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    cli.run(["evaluate", f"--model={spam_run}", f"--test_file={tmp_path}/rows.jsonl", f"--output_dir={tmp_path}/again"])
    cli.run(["predict", f"--model={spam_run}", f"--input={tmp_path}/rows.jsonl", f"--output={tmp_path}/labeled.jsonl"])

    again = read_predictions(tmp_path / "again" / "predictions" / "test.parquet")
    np.testing.assert_allclose(again.probabilities(), table.probabilities(), atol=1e-6)
    labeled = [json.loads(line) for line in (tmp_path / "labeled.jsonl").read_text().splitlines()]
    assert [row["prediction"] for row in labeled] == table.column("prediction")


def test_a_tagger_finds_names_and_the_code_of_its_card_finds_the_same(ner_run, monkeypatch):
    metrics = json.loads((ner_run / "metrics.json").read_text())["test"]
    page = (ner_run / "report.html").read_text(encoding="utf-8")
    rows, told = entities_by_predictions(ner_run)
    monkeypatch.chdir(ner_run)

    assert metrics["entity_f1"]["value"] > 0.9
    assert re.search(r"<caption>length</caption>.*?\d+ to \d+ words", page, re.DOTALL)
    assert sum(map(len, told)) > 5
    assert entities_by_card(ner_run, rows) == told


def test_an_lstm_begins_from_the_weights_of_another_run(spam_run, messages, tmp_path, capsys):
    flags = ["--train_file", str(messages), "--model_name_or_path", str(spam_run), *QUICK, "--max_steps", "1"]

    assert run_recipe("spam.py", *flags, "--output_dir", str(tmp_path / "run")) == 0

    assert "new: none" in capsys.readouterr().out


def test_activation_checkpointing_of_an_lstm_is_refused_before_training(messages, tmp_path, capsys):
    flags = ["--train_file", str(messages), *LSTM, *QUICK, "--activation_checkpointing"]

    assert run_recipe("spam.py", *flags, "--output_dir", str(tmp_path / "run")) == 2

    message = capsys.readouterr().err
    assert "--activation_checkpointing: LstmForSequenceClassification has no blocks to compute again" in message
    assert not (tmp_path / "run").exists()
