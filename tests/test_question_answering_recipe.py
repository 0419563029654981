"""recipes/question_answering.py as a person runs it, then `llmtune evaluate` and `predict` with its runs."""

import contextlib
import io
import json
import os
import random
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torchmetrics.functional.text import squad

from llmtune import cli
from llmtune.predictions import read_predictions

RECIPES = Path(__file__).parent.parent / "recipes"
# Not `accelerate launch --cpu --num_processes 2`: accelerate 1.15 then starts one process, without a word.
ON_TWO = [str(Path(sys.executable).with_name("accelerate")), "launch", "--multi_gpu", "--num_processes", "2"]
ON_TWO += ["--main_process_port", "0"]
SIZES = {
    "bert": "hidden_size=32,num_attention_heads=2,intermediate_size=64,num_hidden_layers=1",
    "llama": "hidden_size=32,num_hidden_layers=1,num_attention_heads=2,num_key_value_heads=1,head_dim=16,"
    "intermediate_size=64",
    "t5": "d_model=32,d_kv=16,d_ff=64,num_layers=1,num_decoder_layers=1,num_heads=2",
}
PLAIN = ["apples", "the", "ship", "sailed", "at", "dawn", "came", "back", "with", "salt", "from", "a", "far", "coast"]
NAMES = ("Anna", "Peter", "Priya", "Omar")


def row(draw: random.Random, number: int, words: int) -> dict[str, object]:
    """A context with one name, in one of six with none, and a question for it."""
    context = draw.choices(PLAIN, k=words)
    name = draw.choice(NAMES) if number % 6 else None
    place = draw.randrange(words)
    answers: dict[str, list[object]] = {"text": [], "answer_start": []}
    if name:
        context[place] = name
        answers = {"text": [name, name.lower()], "answer_start": [len(" ".join(context[:place])) + (place > 0)] * 2}
    text = " ".join(context)
    if name:  # the second annotator's answer stands in the text too
        text += f" {name.lower()}"
        answers["answer_start"][1] = len(text) - len(name)
    return {
        "id": f"q{number}",
        "title": "ships",
        "context": f"{text} {number}.",
        "question": "Who came?",
        "answers": answers,
    }


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train, validation and test.jsonl; test holds a context of 300 words and an odd number of rows."""
    folder, draw, number = tmp_path_factory.mktemp("asked"), random.Random(0), 0
    for split, rows in (("train", 300), ("validation", 60), ("test", 61)):
        made = []
        for place in range(rows):
            number += 1
            made.append(row(draw, number, 300 if (split, place) == ("test", 8) else draw.randint(3, 12)))
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, made)), encoding="utf-8")
    return folder


def run_recipe(*flags: str) -> int:
    before = sys.argv
    sys.argv = ["question_answering.py", *flags]
    try:
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(RECIPES / "question_answering.py"), run_name="__main__")
    finally:
        sys.argv = before
    return int(ended.value.code or 0)


def train(asked: Path, folder: Path, model_type: str, *flags: str) -> None:
    files = [part for s in ("train", "validation", "test") for part in (f"--{s}_file", f"{asked / s}.jsonl")]
    model = ["--model_type", model_type, "--config_overrides", SIZES[model_type], "--tokenizer_vocab_size", "300"]
    training = ["--learning_rate", "1e-2", "--num_train_epochs", "4", "--max_length", "32", "--doc_stride", "8"]
    assert run_recipe(*files, *model, *training, "--cpu_threads", "1", "--output_dir", str(folder), *flags) == 0


@pytest.fixture(scope="module")
def run(asked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work") / "run"
    train(asked, folder, "bert")
    return folder


def test_a_run_leaves_answers_with_their_characters_and_scores(run, asked):
    rows = [json.loads(line) for line in (asked / "test.jsonl").open(encoding="utf-8")]
    table = read_predictions(run / "predictions" / "test.parquet")
    about = json.loads((run / "run.json").read_text(), parse_constant=lambda name: pytest.fail(name))

    assert table.kind == "question-answering"
    for column in ("question", "context", "title"):
        assert table.column(column) == [row[column] for row in rows]
    assert table.column("question_id") == [row["id"] for row in rows]
    assert table.column("reference") == [row["answers"]["text"] for row in rows]
    given = zip(*(table.column(name) for name in ("context", "start", "end", "prediction")), strict=True)
    for context, start, end, text in given:
        assert text == ("" if start is None else context[start:end])
    assert all(0 < score <= 1 for score in table.column("score"))
    assert table.column("prediction")[8] == rows[8]["answers"]["text"][0], "found in one of many windows"
    assert about["windows"]["test"]["cut_rows"] == 1
    assert about["data"]["test"]["unanswerable"] == sum(not row["answers"]["text"] for row in rows)
    assert set(about["baselines"]) == {"best-overlap sentence"}
    assert (run / "predictions" / "baselines" / "best_overlap_sentence.parquet").exists()


def test_the_scores_are_the_official_rules_on_the_predictions(run):
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    table = read_predictions(run / "predictions" / "test.parquet")
    rows = list(zip(table.column("prediction"), table.column("reference"), strict=True))
    answered = [(text, of) for text, of in rows if of]

    official = squad(
        [{"prediction_text": text, "id": str(i)} for i, (text, _) in enumerate(answered)],
        [{"answers": {"text": of, "answer_start": [0] * len(of)}, "id": str(i)} for i, (_, of) in enumerate(answered)],
    )
    # SQuAD 2.0: where there is no answer, an empty one scores 1 and any other 0.
    empty = [float(not text) for text, of in rows if not of]

    assert empty
    for name in ("exact_match", "f1"):
        expected = (float(official[name]) * len(answered) + 100 * sum(empty)) / len(rows)
        assert metrics[name]["value"] == pytest.approx(expected, abs=1e-4)
    assert metrics["f1"]["value"] > 80
    assert metrics["f1"]["value"] > metrics["exact_match"]["value"] - 1e-9


def test_f1_on_validation_picks_the_checkpoint(run):
    about = json.loads((run / "run.json").read_text())
    best = about["training"]["best_checkpoint"]

    assert best["metric"] == "f1"
    assert best["value"] == max(one["eval_f1"] for one in about["training"]["evaluations"])
    assert about["null_threshold"]["f1_at_standard"] == pytest.approx(best["value"])


def evaluated(run: Path, asked: Path, folder: Path, batch: int) -> object:
    cli.run(
        ["evaluate", "--model", str(run), "--test_file", str(asked / "test.jsonl"), "--output_dir", str(folder)]
        + ["--per_device_eval_batch_size", str(batch)]
    )
    return read_predictions(folder / "predictions" / "test.parquet")


def same_answers(one: object, two: object) -> None:
    for column in ("id", "question", "context", "reference", "prediction", "start", "end"):
        assert two.column(column) == one.column(column)
    np.testing.assert_allclose(two.column("score"), one.column("score"), atol=1e-5)


@pytest.mark.parametrize("batch", [1, 8, 32])
def test_evaluate_gives_the_answers_of_the_run_at_any_batch(run, asked, tmp_path, batch):
    same_answers(
        read_predictions(run / "predictions" / "test.parquet"), evaluated(run, asked, tmp_path / "evaluated", batch)
    )


def test_two_processes_give_the_same_answers_in_the_same_order(run, asked, tmp_path):
    command = ["-m", "llmtune.cli", "evaluate", "--model", str(run), "--test_file", str(asked / "test.jsonl")]

    done = subprocess.run(
        [*ON_TWO, *command, "--output_dir", str(tmp_path / "two"), "--per_device_eval_batch_size", "4"],
        capture_output=True, text=True, timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Test: 61 rows") == 1
    same_answers(
        read_predictions(run / "predictions" / "test.parquet"),
        read_predictions(tmp_path / "two" / "predictions" / "test.parquet"),
    )


def test_predict_needs_no_answers_and_names_its_columns(run, tmp_path):
    rows = [
        {"ask": "Who came?", "page": "the ship came back with Omar  and salt", "id": 7},
        {"ask": "Who came?", "page": "salt from a far coast", "id": 8},
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))

    cli.run(
        ["predict", "--model", str(run), "--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "o.jsonl")]
        + ["--question_column", "ask", "--context_column", "page"]
    )

    found = [json.loads(line) for line in (tmp_path / "o.jsonl").open()]
    ours = ["question_id", "prediction", "score", "start", "end"]
    assert list(found[0]) == ["ask", "page", "id", *ours]
    assert [one["prediction"] for one in found] == ["Omar", ""]
    assert (found[0]["start"], found[0]["end"]) == (24, 28)
    assert (found[1]["start"], found[1]["end"]) == (None, None)
    assert [one["question_id"] for one in found] == [7, 8]


def code_of(run: Path) -> str:
    """The code of a run's card."""
    return re.search(r"```python\n(.*?)```", (run / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]


def answers_by_card(run: Path, rows: list[tuple[str, str]]) -> list[str]:
    """What the code of a run's card prints of each question and context."""
    code = code_of(run)
    asked = '"Who wrote the letter?", "The letter was written by Ada Lovelace in 1843."'
    assert asked in code
    found = []
    for pair in rows:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code.replace(asked, f"{pair[0]!r}, {pair[1]!r}"), "README.md", "exec"), {})
        found.append(out.getvalue().removesuffix("\n"))
    return found


def test_the_code_of_the_card_answers_as_the_predictions_do(run, monkeypatch):
    table = read_predictions(run / "predictions" / "test.parquet")
    rows = list(zip(table.column("question"), table.column("context"), strict=True))[:12]
    monkeypatch.chdir(run)

    found = answers_by_card(run, rows)

    assert found == table.column("prediction")[:12]
    assert "" in found


def test_a_llama_that_marks_its_answers_reads_the_question_first(asked, tmp_path, monkeypatch, capsys):
    answerable = tmp_path / "answerable"
    answerable.mkdir()
    for split in ("train", "validation", "test"):
        rows = [json.loads(line) for line in (asked / f"{split}.jsonl").open(encoding="utf-8")]
        kept = [row for place, row in enumerate(rows) if row["answers"]["text"] and (split, place) != ("test", 8)]
        (answerable / f"{split}.jsonl").write_text("\n".join(map(json.dumps, kept)), encoding="utf-8")

    train(answerable, tmp_path / "run", "llama", "--method", "extractive", "--use_peft", "--lora_r", "8", "--verbose")

    assert "the model reads the question before the context" in " ".join(capsys.readouterr().out.split())
    table = read_predictions(tmp_path / "run" / "predictions" / "test.parquet")
    assert "" not in table.column("prediction")
    assert not table.has("null_difference")
    same_answers(table, evaluated(tmp_path / "run", answerable, tmp_path / "again", 8))
    monkeypatch.chdir(tmp_path / "run")
    rows = list(zip(table.column("question"), table.column("context"), strict=True))[:6]
    assert answers_by_card(tmp_path / "run", rows) == table.column("prediction")[:6]


@pytest.mark.parametrize("model_type", ["llama", "t5"])
def test_a_decoder_and_a_sequence_to_sequence_model_write_their_answers(
    asked, tmp_path, capsys, monkeypatch, model_type
):
    train(asked, tmp_path / "run", model_type, "--max_length", "112", "--max_answer_length", "8", "--verbose")

    printed = " ".join(capsys.readouterr().out.split())
    assert "and writes at most 8 tokens" in printed
    assert "answers do not stand in their context word for word" in printed
    table = read_predictions(tmp_path / "run" / "predictions" / "test.parquet")
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    assert table.kind == "question-answering"
    assert about["cuts"]["test"]["sources"] >= 1, "the context of 300 words"
    assert about["training"]["best_checkpoint"]["metric"] == "f1"
    assert {"f1", "exact_match"} == set(metrics)
    for context, start, end, text in zip(
        *(table.column(name) for name in ("context", "start", "end", "prediction")), strict=True
    ):
        assert start is None or context[start:end] == text
    again = evaluated(tmp_path / "run", asked, tmp_path / "again", 8)
    for column in ("question", "reference", "prediction", "start", "end", "ended"):
        assert again.column(column) == table.column(column)
    asked_for = "question: Who wrote the letter? context: The letter was written by Ada Lovelace in 1843."
    code = code_of(tmp_path / "run")
    pairs = list(zip(table.column("question"), table.column("context"), table.column("prediction"), strict=True))[:6]
    monkeypatch.chdir(tmp_path / "run")
    assert asked_for in code
    for question, context, prediction in pairs:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code.replace(asked_for, f"question: {question} context: {context}"), "README.md", "exec"), {})
        assert out.getvalue().strip() == prediction, (question, context)
    # By chance one of four names: SQuAD's words of a wrong name share nothing with the right one.
    assert metrics["f1"]["value"] > 35


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--method", "abstractive"), "--method 'abstractive' is not one of extractive, generative"),
        (("--model_type", "t5", "--method", "extractive"), "sequence-to-sequence models write; leave it out"),
        (
            ("--method", "generative", "--null_score_diff_threshold", "1"),
            "gives no answer by writing none; leave it out",
        ),
        (("--method", "generative", "--max_answer_length", "1"), "--max_answer_length 1: expected 2 or more"),
        (("--null_score_diff_threshold", "1"), "every question of train has an answer"),
        (("--metric_for_best_model", "bleu"), "--metric_for_best_model bleu is not one of exact_match, f1, loss"),
        (("--targets", "accuracy>=0.8"), "there is no 'accuracy' here; there are f1, exact_match"),
        (("--label_smoothing_factor", "0.1"), "the loss of extractive answers has none; leave it out"),
        (("--max_length", "64"), "--doc_stride 128: windows of --max_length 64"),
    ],
)
def test_what_cannot_work_is_said_before_training(tmp_path, capsys, flags, message):
    words = {"question": "Who?", "context": "Anna came.", "answers": {"text": ["Anna"], "answer_start": [0]}}
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps(words))
    files = [part for s in ("train", "validation", "test") for part in (f"--{s}_file", f"{tmp_path / s}.jsonl")]

    code = run_recipe(
        *files,
        "--model_type",
        "bert",
        "--output_dir",
        str(tmp_path / "run"),
        *flags,
    )

    assert code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
