"""The code block of a card, run as pasted in the folder of its weights."""

import contextlib
import io
import json
import re
import shutil

import pytest

from llmtune import cli
from llmtune.metrics import score_predictions
from llmtune.predictions import read_predictions
from llmtune.report.card import render_card
from llmtune.report.report import Report
from llmtune.text.spans import WORDS
from llmtune.text.tag_schemes import entity_spans


def made_by(model, rows_file, folder):
    """An evaluation of the model, its predictions beside its weights, as a run has them."""
    cli.run(["evaluate", f"--model={model}", f"--test_file={rows_file}", f"--output_dir={folder}"])
    return read_predictions(folder / "predictions" / "test.parquet")


def entities_by_card(run, rows):
    """What the code of a run's card prints of each row of words, as lines."""
    code = re.search(r"```python\n(.*?)```", (run / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    found = []
    for words in rows:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(
                compile(code.replace('"Ada Lovelace lived in London."', repr(" ".join(words))), "README.md", "exec"), {}
            )
        found.append(out.getvalue().splitlines())
    return found


def entities_by_predictions(run, most=12):
    """Rows of words that are cut as their file cuts them, and the entities that the run predicted there."""
    table = read_predictions(run / "predictions" / "test.parquet")
    cut = WORDS[json.loads((run / "config.json").read_text())["llmtune"]["input_format"]]
    rows = [
        (words, tags)
        for words, tags in zip(table.column("tokens"), table.column("prediction"), strict=True)
        if cut.findall(" ".join(words)) == words and len(words) < 20
    ]
    rows = sorted(rows, key=lambda row: set(row[1]) == {"O"})[:most]  # those with an entity first
    told = [
        [f"{one.type} {' '.join(words[one.first : one.end])}" for one in entity_spans(tags)] for words, tags in rows
    ]
    return [words for words, _ in rows], told


@pytest.mark.parametrize("recipe", ["ner", "pii"])
def test_the_code_block_finds_the_entities_that_the_predictions_hold(recipe, demo_run, monkeypatch):
    run = demo_run(recipe)
    rows, told = entities_by_predictions(run)
    monkeypatch.chdir(run)

    assert sum(map(len, told)) > 5
    assert entities_by_card(run, rows) == told


def test_the_code_block_reads_a_word_without_token_as_outside(demo_run, tmp_path, monkeypatch):
    run = demo_run("ner")
    table = read_predictions(run / "predictions" / "test.parquet")
    words, one = next(
        (words, entity)
        for words, tags in zip(table.column("tokens"), table.column("prediction"), strict=True)
        for entity in entity_spans(tags)
        if entity.end - entity.first > 1
    )
    words = [*words[: one.first + 1], "\ufffd", *words[one.first + 1 :]]  # the tokenizer drops it
    (tmp_path / "rows.txt").write_text(" ".join(words) + "\n", encoding="utf-8")
    files = ["--input", str(tmp_path / "rows.txt"), "--output", str(tmp_path / "predicted.jsonl")]
    cli.run(["predict", "--model", str(run), *files])
    spans = json.loads((tmp_path / "predicted.jsonl").read_text(encoding="utf-8"))["spans"]
    monkeypatch.chdir(run)

    assert spans
    assert entities_by_card(run, [words]) == [[f"{span['label']} {span['text']}" for span in spans]]


@pytest.fixture
def lora_on_a_local_base(lora_run, tmp_path):
    """A LoRA run whose base lies in another folder of this machine."""
    model, base = tmp_path / "adapter", tmp_path / "base"
    shutil.copytree(lora_run, model)
    (model / "base_model").rename(base)
    adapter = json.loads((model / "adapter_config.json").read_text())
    (model / "adapter_config.json").write_text(json.dumps(adapter | {"base_model_name_or_path": str(base)}))
    return model


@pytest.fixture
def model_with_temperature(spam_model, tmp_path):
    """A model whose logits are divided by 1.7."""
    folder = tmp_path / "scaled"
    shutil.copytree(spam_model, folder)
    config = json.loads((folder / "config.json").read_text())
    config["llmtune"]["temperature"] = 1.7
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("which", ["spam_model", "lora_run", "lora_on_a_local_base", "model_with_temperature"])
def test_the_code_block_answers_as_the_predictions_do(which, request, spam_file, tmp_path, monkeypatch):
    model = request.getfixturevalue(which)
    table = made_by(model, spam_file, tmp_path / "evaluated")
    named = (
        {"model_name_or_path": str(tmp_path / "base")} if which == "lora_on_a_local_base" else {"model_type": "bert"}
    )
    (model / "run.json").write_text(json.dumps({"arguments": {"model": named}}))
    report = Report.of_run(model, table, score_predictions(table))
    settings = json.loads((model / "config.json").read_text())["llmtune"]
    code = re.search(r"```python\n(.*?)```", render_card(report, settings), re.DOTALL)[1]
    texts = [json.loads(line)["text"] for line in spam_file.read_text().splitlines()][:20]
    assert str(tmp_path) not in code
    code = code.replace('["Write here a text for the model.", "And a second text."]', repr(texts))
    monkeypatch.chdir(model)

    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "README.md", "exec"), {})

    lines = out.getvalue().strip().splitlines()
    assert [line.split()[0] for line in lines] == table.column("prediction")[:20]
    sure = [max(row) for row in table.column("probabilities")[:20]]
    assert [float(line.split()[1]) for line in lines] == pytest.approx(sure, abs=1e-5)
