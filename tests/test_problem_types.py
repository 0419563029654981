"""Problem types x families: every cell of the README's table is trained, loaded, predicted with, and told in its card.

A problem type is a line of PROBLEMS, a family one of FAMILIES. Small models from scratch, a few steps.
"""

import contextlib
import io
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import transformers

from llmtune import cli
from llmtune.predictions import read_predictions
from tests.test_lstm_recipes import run_recipe

BERT = "hidden_size=16,num_hidden_layers=1,num_attention_heads=2,intermediate_size=32"
LLAMA = f"{BERT},num_key_value_heads=1,head_dim=8"
FAMILIES = {
    "bert": ("bert", BERT),
    "modernbert": ("modernbert", BERT),
    "llama": ("llama", LLAMA),
    "llama, LoRA": ("llama", LLAMA, "--use_peft", "--lora_r", "2"),
    "mistral": ("mistral", LLAMA),
    "lstm": ("lstm", "hidden_size=8,embedding_size=8,attention_size=4"),
}
QUICK = ["--max_steps", "3", "--learning_rate", "1e-2", "--cpu_threads", "1", "--tokenizer_vocab_size", "300"]
WINDOWS = ("--long_text", "windows", "--stride", "4")
ANIMALS = ["dog", "cat", "horse", "bird"]


@dataclass(frozen=True)
class Problem:
    """A row of the table.

    Args:
        recipe: that serves it.
        flags: beyond the model and the file.
        shown: columns of the table that `llmtune predict` must give again from the rows alone.
    """

    recipe: str
    flags: tuple[str, ...]
    shown: tuple[str, ...] = ("prediction",)


PROBLEMS = {
    "one label": Problem("sentiment.py", ()),
    "pairs": Problem("sentiment.py", ("--text_pair_column", "other")),
    "windows": Problem("sentiment.py", WINDOWS),
    "ordered classes": Problem(
        "sentiment.py", ("--label_column", "stars", "--ordinal", "--loss", "cumulative", *WINDOWS)
    ),
    "several labels": Problem("text_classification.py", ("--label_column", "labels")),
    "several labels of pairs in windows": Problem(
        "text_classification.py", ("--label_column", "labels", "--text_pair_column", "other", *WINDOWS)
    ),
    "a score": Problem("text_regression.py", ("--label_column", "score")),
    "a score of pairs in windows": Problem(
        "text_regression.py", ("--label_column", "score", "--text_pair_column", "other", *WINDOWS)
    ),
    "pairs in windows": Problem("sentiment.py", ("--text_pair_column", "other", *WINDOWS, "--window_pooling", "max")),
}
CELLS = [(problem, family) for problem in PROBLEMS for family in FAMILIES]


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 texts and a second text of each; the label is whether both are of one animal, the labels are which."""
    draw = random.Random(0)
    path = tmp_path_factory.mktemp("data") / "animals.jsonl"
    rows = []
    for number in range(120):
        first, second = draw.choice(ANIMALS), draw.choice(ANIMALS)
        second = first if number % 2 else second
        text = f"a {first} of {number} years " + "walks home " * draw.randint(0, 12)
        other = f"the {second} is number {number}" + " and eats" * draw.randint(0, 3)
        label = "same" if first == second else "different"
        answers = {"label": label, "labels": sorted({first, second}), "score": number / 8, "stars": 1 + number % 3}
        rows.append({"text": text.strip(), "other": other, **answers})
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=CELLS, ids=lambda cell: " x ".join(cell))
def cell(request: pytest.FixtureRequest, rows_file: Path, tmp_path_factory: pytest.TempPathFactory):
    """A problem type and the run of a family on it."""
    name, family = request.param
    folder = tmp_path_factory.mktemp("cell") / "run"
    model_type, overrides, *more = FAMILIES[family]
    model = ["--model_type", model_type, "--config_overrides", overrides, "--max_length", "24", *more]
    problem = PROBLEMS[name]
    flags = [*model, *QUICK, *problem.flags, "--train_file", str(rows_file), "--output_dir", str(folder)]
    assert run_recipe(problem.recipe, *flags) == 0
    return problem, folder


def is_numbers(table) -> bool:
    """Whether predictions are numbers, which differ in the last digit."""
    return isinstance(table.column("prediction")[0], float)


def test_every_cell_predicts_from_the_rows_alone_what_its_run_reports(cell, tmp_path):
    problem, run = cell
    table = read_predictions(run / "predictions" / "test.parquet")
    texts = [name for name in ("text", "text_pair") if table.has(name)]
    rows = zip(*(table.column(name) for name in texts), strict=True)
    given = tmp_path / "rows.jsonl"
    given.write_text("\n".join(json.dumps(dict(zip(texts, row, strict=True))) for row in rows))

    cli.run(["predict", f"--model={run}", f"--input={given}", f"--output={tmp_path / 'out.jsonl'}"])

    predicted = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    for name in problem.shown:
        answers = [row[name] for row in predicted]
        assert answers == (pytest.approx(table.column(name), abs=1e-5) if is_numbers(table) else table.column(name))
    if table.has("probabilities"):
        for row, probabilities in zip(predicted, table.probabilities(), strict=True):
            own = [row[f"probability[{label}]"] for label in table.label_names]
            assert own == pytest.approx(list(probabilities), abs=1e-5)


def test_the_code_of_every_cells_card_answers_as_its_table_does(cell, monkeypatch):
    _, run = cell
    table = read_predictions(run / "predictions" / "test.parquet")
    card = (run / "README.md").read_text(encoding="utf-8")
    windowed = "pooling" in json.loads((run / "config.json").read_text())["llmtune"]
    assert ("A long text is read in windows of 24 tokens that share 4, the " in card) == windowed
    assert ("A text is cut at 24 tokens here" in card) != windowed
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    code = re.sub(r"^texts = .*", f"texts = {table.column('text')!r}", code, flags=re.MULTILINE)
    if table.has("text_pair"):
        code = re.sub(r"^pairs = .*", f"pairs = {table.column('text_pair')!r}", code, flags=re.MULTILINE)
    monkeypatch.chdir(run)

    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "README.md", "exec"), {})

    lines = out.getvalue().splitlines()
    if is_numbers(table):
        assert [float(line.split()[0]) for line in lines] == pytest.approx(table.column("prediction"), abs=1e-5)
    else:
        predicted = [f"{value} " for value in table.column("prediction")]
        assert [line[: len(value)] for line, value in zip(lines, predicted, strict=True)] == predicted
    if table.has("text_pair"):
        assert all(pair in line for pair, line in zip(table.column("text_pair"), lines, strict=True))


def test_the_pipeline_of_transformers_reads_pairs_as_the_run_did(cell):
    _, run = cell
    settings = json.loads((run / "config.json").read_text())["llmtune"]
    if (
        "pair_prefix" not in settings
        or "pooling" in settings
        or "target_center" in settings
        or (run / "adapter_config.json").exists()
    ):
        pytest.skip("one text a row; windows, of which it reads the first; an adapter")
    table = read_predictions(run / "predictions" / "test.parquet")
    pipe = transformers.pipeline("text-classification", model=str(run), top_k=None, truncation=True, max_length=24)

    for row in range(5):
        second = settings["pair_prefix"] + table.column("text_pair")[row]
        told = pipe({"text": table.column("text")[row], "text_pair": second})
        probabilities = dict(zip(table.label_names, table.probabilities()[row], strict=True))
        assert {answer["label"]: answer["score"] for answer in told} == pytest.approx(probabilities, abs=1e-5)


def test_the_page_shows_every_text_of_a_row(cell):
    _, run = cell
    table = read_predictions(run / "predictions" / "test.parquet")
    page = (run / "report.html").read_text(encoding="utf-8")

    for name in ("text", "text_pair"):
        assert (f">{name}<" in page) == table.has(name)
        if table.has(name):
            assert any(text in page for text in table.column(name))


@pytest.mark.parametrize("model_type", ["t5", "bart", "marian"])
def test_models_that_write_are_refused_with_those_that_classify(model_type, rows_file, tmp_path, capsys):
    flags = ["--model_type", model_type, "--train_file", str(rows_file), "--output_dir", str(tmp_path / "run")]

    assert run_recipe("sentiment.py", *flags) == 2

    told = " ".join(capsys.readouterr().err.split())
    assert f"model_type '{model_type}' is not served for this task; served are encoder: bert, " in told
