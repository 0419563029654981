"""Small runs of every kind of task, trained in seconds, and their saved models asked again."""

import datetime
import json
import random
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

from llmtune.arguments import DataArguments
from llmtune.diagnosis.saved_model import Rescored
from llmtune.finish.fresh_process import Request, task_settings
from llmtune.finish.saved_model import FreshProcess, begin_rescoring, most_rows, tolerance
from llmtune.runs.folder import RunFolder
from llmtune.trained_models import load_task

RECIPES = Path(__file__).parents[2] / "recipes"
ANIMALS = ("dog", "cat", "horse", "bird", "cow", "hen")
PLACES = {"dog": "yard", "cat": "roof", "horse": "field", "bird": "tree", "cow": "barn", "hen": "yard"}
BERT = "hidden_size=32,num_hidden_layers=1,num_attention_heads=2,intermediate_size=64"
LLAMA = f"{BERT},num_key_value_heads=1,head_dim=16"
T5 = "d_model=32,d_kv=16,d_ff=64,num_layers=1,num_decoder_layers=1,num_heads=2"
LSTM = "hidden_size=16,embedding_size=16,attention_size=8"
# By name: the recipe, its model, and how it reads the rows.
RUNS: Mapping[str, tuple[str, str, str, Sequence[str]]] = {
    "spam": ("spam", "bert", BERT, ("--max_length", "24", "--threshold_objective", "recall>=0.9")),
    "ordered": ("sentiment", "bert", BERT, ("--max_length", "24", "--label_column", "stars", "--ordinal")),
    "pairs": ("sentiment", "llama", LLAMA, ("--max_length", "24", "--text_pair_column", "other", "--use_peft")),
    "windows": (
        "sentiment", "lstm", LSTM, ("--max_length", "12", "--long_text", "windows", "--stride", "4"),
    ),
    "labels": ("text_classification", "bert", BERT, ("--max_length", "24", "--label_column", "labels")),
    "score": ("text_regression", "bert", BERT, ("--max_length", "24", "--label_column", "score")),
    "tags": ("ner", "bert", BERT, ("--max_length", "24", "--stride", "8")),
    "answers": ("question_answering", "bert", BERT, ("--max_length", "24", "--doc_stride", "8")),
    "translation": (
        "translation", "t5", T5, ("--source_column", "other", "--target_column", "place", "--max_new_tokens", "8"),
    ),
    "language": ("causal_lm", "llama", LLAMA, ("--max_length", "32", "--max_new_tokens", "4", "--use_peft")),
    "series": (
        "forecasting", "lstm", "hidden_size=8,bidirectional=false,dropout=0",
        ("--time_column", "day", "--target_column", "sales", "--lookback", "6"),
    ),
}  # fmt: skip


def write_rows(folder: Path) -> None:
    """train, validation and test.jsonl, whose rows serve every task but forecasting, and the same of a series."""
    draw, day = random.Random(0), 0
    for split, n in (("train", 240), ("validation", 60), ("test", 61)):
        rows, series = [], []
        for number in range(n):
            first, second = draw.choice(ANIMALS), draw.choice(ANIMALS)
            second = first if number % 3 else second
            text = f"a {first} of {number} years " + "walks home " * draw.randint(0, 12)
            other = f"the {second} is {split} {number}"
            place = f"the {PLACES[second]} has a {second}"
            tokens = text.split()
            context = f"{text.strip()} and {PLACES[first]}"
            rows.append(
                {
                    **{"text": text.strip(), "other": other, "place": place, "tokens": tokens},
                    "tags": [f"B-{word.upper()}" if word in ANIMALS[:3] else "O" for word in tokens],
                    "label": "same" if first == second else "different",
                    "labels": sorted({first, second}),
                    "score": len(text) / 8,
                    "stars": 1 + len(text) // 40,
                    "question": "Which animal?",
                    "context": context,
                    "answers": {"text": [first], "answer_start": [2]}
                    if number % 5
                    else {"text": [], "answer_start": []},
                }
            )
            day += 1
            date = datetime.date(2024, 1, 1) + datetime.timedelta(days=day)
            series.append({"day": str(date), "sales": 20 + day % 7 + draw.random()})
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        (folder / f"{split}-series.jsonl").write_text("\n".join(map(json.dumps, series)), encoding="utf-8")


def train(name: str, data: Path, folder: Path, *flags: str) -> Path:
    """The folder of a run of `RUNS`."""
    recipe, model_type, sizes, reading = RUNS[name]
    suffix = "-series" if name == "series" else ""
    files = [part for s in ("train", "validation", "test") for part in (f"--{s}_file", f"{data / s}{suffix}.jsonl")]
    vocabulary = [] if name == "series" else ["--tokenizer_vocab_size", "300"]
    model = ["--model_type", model_type, "--config_overrides", sizes, *vocabulary, "--cpu_threads", "1"]
    training = ["--max_steps", "30", "--learning_rate", "1e-2", "--eval_strategy", "no", "--precision", "fp32"]
    argv = [f"{recipe}.py", *files, *model, *reading, *training, "--output_dir", str(folder), *flags]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(RECIPES / f"{recipe}.py"), run_name="__main__")
    assert ended.value.code in (0, None)
    return folder


def rows_of(run: Path, data: Path) -> datasets.Dataset:
    """The rows that the run's test table is of."""
    task = load_task(str(run))
    rows = task.rescored(RunFolder(run).table("test"))
    if rows is None:
        rows, _ = task.read_split(DataArguments(test_file=str(data / "test-series.jsonl")), {}, labeled=True)
    return rows


def ask_again(cases: Mapping[str, tuple[Path, Path]], data: Path) -> dict[str, Rescored]:
    """By name what one fresh process says of many models, each a folder beside that of its run."""
    process = FreshProcess()
    rescorings = {}
    for name, (run, model) in cases.items():
        task, table = load_task(str(run)), RunFolder(run).table("test")
        bits: dict[str, Any] = {"relative": tolerance("float32", "fp32"), "most": most_rows(table)}
        request = Request(str(model), "test", task_settings(task), cpu_threads=1)
        rescorings[name] = begin_rescoring(request, task, rows_of(run, data), table, **bits)
        process.ask(rescorings[name].folder)
    ended = process.finish()
    return {name: rescoring.result(ended) for name, rescoring in rescorings.items()}
