"""recipes/ner.py and recipes/pii.py as a person runs them, then `llmtune evaluate` and `predict` with their runs."""

import json
import os
import random
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import transformers

from llmtune import cli
from llmtune.predictions import read_predictions
from llmtune.text.tag_schemes import count_types, repair_iob2
from tests.commands.test_card_code import entities_by_card, entities_by_predictions

RECIPES = Path(__file__).parent.parent / "recipes"
# Not `accelerate launch --cpu --num_processes 2`: accelerate 1.15 then starts one process, without a word.
ON_TWO = [str(Path(sys.executable).with_name("accelerate")), "launch", "--multi_gpu", "--num_processes", "2"]
ON_TWO += ["--main_process_port", "0"]
SIZES = {
    "bert": "hidden_size=32,num_attention_heads=2,intermediate_size=64,num_hidden_layers=1",
    "llama": "hidden_size=32,num_hidden_layers=1,num_attention_heads=2,num_key_value_heads=1,head_dim=16,"
    "intermediate_size=64",
}
NAMES = {"PER": ["Anna", "Peter", "Priya"], "LOC": ["Rome", "Paris", "Oslo"]}
PLAIN = ["lives", "in", "and", "met", "of", "the", "with", "."]


def sentence(draw: random.Random, words: int) -> dict[str, list[str]]:
    """Words of which a third are names."""
    tokens, tags = [], []
    while len(tokens) < words:
        kind = draw.choice(["PER", "LOC", None, None, None, None])
        tokens.append(draw.choice(NAMES[kind] if kind else PLAIN))
        tags.append(f"B-{kind}" if kind else "O")
    return {"tokens": tokens, "tags": tags}


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train, validation and test.jsonl; test holds a document of 300 words and an odd number of rows."""
    folder, draw = tmp_path_factory.mktemp("tagged"), random.Random(0)
    for split, rows in (("train", 160), ("validation", 40), ("test", 41)):
        sentences = [sentence(draw, draw.randint(3, 12)) for _ in range(rows)]
        if split == "test":
            sentences[7] = sentence(draw, 300)
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, sentences)))
    return folder


def run_recipe(recipe: str, *flags: str) -> int:
    before = sys.argv
    sys.argv = [recipe, *flags]
    try:
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(RECIPES / recipe), run_name="__main__")
    finally:
        sys.argv = before
    return int(ended.value.code or 0)


def train(tagged: Path, folder: Path, model_type: str, *flags: str) -> None:
    files = [
        part for split in ("train", "validation", "test") for part in (f"--{split}_file", f"{tagged / split}.jsonl")
    ]
    model = ["--model_type", model_type, "--config_overrides", SIZES[model_type], "--tokenizer_vocab_size", "300"]
    training = ["--learning_rate", "1e-2", "--num_train_epochs", "3", "--max_length", "32", "--stride", "8"]
    flags = (*files, *model, *training, "--cpu_threads", "1", "--output_dir", str(folder), *flags)
    assert run_recipe("ner.py", *flags) == 0


@pytest.fixture(scope="module")
def ner_run(tagged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work") / "run"
    train(tagged, folder, "bert", "--class_weights", "balanced")
    return folder


def test_a_run_leaves_the_tags_of_every_word_the_scores_and_the_confusions(ner_run, tagged):
    metrics = json.loads((ner_run / "metrics.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    run = json.loads((ner_run / "run.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    table = read_predictions(ner_run / "predictions" / "test.parquet")
    rows = [json.loads(line) for line in (tagged / "test.jsonl").open()]

    assert table.column("tokens") == [row["tokens"] for row in rows]
    assert table.column("reference") == [row["tags"] for row in rows]
    assert [len(tags) for tags in table.column("prediction")] == [len(row["tags"]) for row in rows]
    for tags, raw in zip(table.column("prediction"), table.column("raw_prediction"), strict=True):
        assert repair_iob2(tags) == (tags, 0)
        assert tags == raw or repair_iob2(raw)[1]
    assert metrics["test"]["entity_f1"]["value"] > 0.9
    assert {"entity_f2", "entity_recall[LOC]", "token_accuracy", "entity_f1_lenient"} <= set(metrics["test"])
    counts = run["entities"]["confusion_matrix"]["counts"]
    assert {kind: sum(row) for kind, row in zip(("LOC", "PER"), counts, strict=False)} == count_types(
        table.column("reference")
    )
    assert run["windows"]["test"]["cut_rows"] == 1
    assert run["windows"]["train"]["words"] == run["data"]["train"]["words"]
    assert run["entities"]["nonfinite_words"] == {"validation": 0, "test": 0}
    # What picked the checkpoint is the validation table's score: whole sentences, not windows.
    best = run["training"]["best_checkpoint"]
    assert best["metric"] == "entity_f1"
    assert best["value"] == pytest.approx(metrics["validation"]["entity_f1"]["value"])


def test_the_weights_load_with_plain_transformers_and_find_names(ner_run):
    found = transformers.pipeline("ner", model=str(ner_run), device="cpu")("Anna lives in Rome .")

    assert [(entity["word"], entity["entity"]) for entity in found] == [("anna", "B-PER"), ("rome", "B-LOC")]


def test_predict_writes_character_spans_of_raw_text(ner_run, tmp_path):
    (tmp_path / "in.txt").write_text("Peter  lives in Oslo.\nof the\n" + "met Anna " * 60)

    cli.run(
        ["predict", "--model", str(ner_run), "--input", str(tmp_path / "in.txt"), "--output", str(tmp_path / "o.jsonl")]
    )

    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").open()]
    spans = [[(s["start"], s["end"], s["label"], s["text"]) for s in row["spans"]] for row in rows]
    assert spans[0] == [(0, 5, "PER", "Peter"), (16, 20, "LOC", "Oslo")]
    assert spans[1] == []
    assert [span[0] for span in spans[2]] == [9 * i + 4 for i in range(60)]
    assert all(0 < s["score"] <= 1 for row in rows for s in row["spans"])


def test_two_processes_give_the_same_tags_in_the_same_order(ner_run, tagged, tmp_path):
    command = ["-m", "llmtune.cli", "evaluate", "--model", str(ner_run), "--test_file", str(tagged / "test.jsonl")]

    done = subprocess.run(
        [*ON_TWO, *command, "--output_dir", str(tmp_path / "two"), "--per_device_eval_batch_size", "4"],
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Test: 41 rows") == 1
    one = read_predictions(ner_run / "predictions" / "test.parquet")
    two = read_predictions(tmp_path / "two" / "predictions" / "test.parquet")
    for column in ("id", "tokens", "reference", "prediction", "raw_prediction"):
        assert two.column(column) == one.column(column)
    for a, b in zip(one.column("probability"), two.column("probability"), strict=True):
        assert a == pytest.approx(b, abs=1e-6)


def test_a_llama_under_lora_is_trained_by_arguments_alone_and_the_report_says_left_context(
    tagged, tmp_path, capsys, monkeypatch
):
    train(tagged, tmp_path / "run", "llama", "--use_peft", "--lora_r", "8", "--verbose")

    printed = capsys.readouterr().out
    assert "the model sees only the words to the left" in " ".join(printed.split())
    assert (tmp_path / "run" / "adapter_model.safetensors").exists()
    cli.run(
        ["evaluate", "--model", str(tmp_path / "run"), "--test_file", str(tagged / "test.jsonl")]
        + ["--output_dir", str(tmp_path / "eval")]
    )
    left, again = (read_predictions(tmp_path / name / "predictions" / "test.parquet") for name in ("run", "eval"))
    assert left.column("prediction") == again.column("prediction")
    monkeypatch.chdir(tmp_path / "run")
    rows, told = entities_by_predictions(tmp_path / "run")
    assert sum(map(len, told)) > 5
    assert entities_by_card(tmp_path / "run", rows) == told


def test_personal_data_is_learned_from_spans_and_f2_picks_the_checkpoint(tmp_path, capsys):
    draw = random.Random(0)
    for split, n in (("train", 160), ("validation", 40), ("test", 60)):
        rows = []
        for _ in range(n):
            number = "".join(draw.choices("0123456789", k=8))
            text = f"{draw.choice(['call', 'dial'])} {number} {draw.choice(['now', 'today', 'please'])}"
            rows.append({"text": text, "spans": [{"start": 5, "end": 13, "label": "PHONE"}]})
        rows[0] = {"text": "from 10.0.0.1", "spans": [{"start": 5, "end": 13, "label": "IP"}]}
        rows = rows[1:] if split == "train" else rows
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    files = [part for s in ("train", "validation", "test") for part in (f"--{s}_file", str(tmp_path / f"{s}.jsonl"))]
    model = ["--model_type", "bert", "--config_overrides", SIZES["bert"], "--tokenizer_vocab_size", "100"]

    code = run_recipe(
        "pii.py", *files, *model, "--learning_rate", "1e-2", "--num_train_epochs", "2", "--cpu_threads", "1",
        "--output_dir", str(tmp_path / "run"), "--eval_strategy", "epoch",
    )  # fmt: skip

    printed = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert "absent from train, so all missed: IP 1 entities of validation" in printed
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    assert run["training"]["best_checkpoint"]["metric"] == "entity_f2"
    assert metrics["entity_recall[PHONE]"]["value"] > 0.9
    assert metrics["entity_recall[IP]"]["value"] == 0.0
    table = read_predictions(tmp_path / "run" / "predictions" / "test.parquet")
    assert table.column("text")[0] == "from 10.0.0.1"


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--class_weights", "1,2,3"),
        ("--targets", "entity_recall[ORG]>=0.8"),
        ("--metrics", "bleu"),
        ("--focal_gamma", "-1"),
    ],
)
def test_what_judges_is_refused_before_the_model_is_loaded(tagged, tmp_path, capsys, flag, value):
    files = ["--train_file", str(tagged / "train.jsonl"), "--model_name_or_path", str(tmp_path / "nothing")]

    code = run_recipe("ner.py", *files, flag, value, "--output_dir", str(tmp_path / "run"))

    assert code == 2
    assert f"error: {flag} " in capsys.readouterr().err
