import json
import re
import shutil

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from llmtune import cli
from llmtune.errors import InputError
from llmtune.hub.files import contents
from llmtune.models.checkpoints import load_run
from llmtune.runs.folder import RunFolder, write_json
from tests.commands.conftest import make_rows


def test_merged_weights_answer_as_the_adapter_without_peft(lora_run, tmp_path, capsys):
    cli.run(["merge", str(lora_run), "--output_dir", str(tmp_path / "plain")])

    _, adapted = load_run(lora_run, AutoModelForSequenceClassification)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "plain")
    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "plain").eval()
    batch = tokenizer([row["text"] for row in make_rows(20)], padding=True, return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(merged(**batch).logits, adapted(**batch).logits, rtol=1e-5, atol=1e-5)
        with adapted.disable_adapter():
            base = adapted(**batch).logits
    assert (merged(**batch).logits - base).abs().max() > 0.01  # the adapter did something
    assert merged.config.llmtune["threshold"] == 0.5
    assert merged.config.id2label == {0: "ham", 1: "spam"}
    assert {path.name for path in tmp_path.iterdir()} == {"plain"}
    assert not (tmp_path / "plain" / "adapter_config.json").exists()
    assert "the logits of random tokens differ by at most" in capsys.readouterr().out


def test_the_merged_model_is_evaluated_as_the_run(lora_run, spam_file, tmp_path):
    cli.run(["merge", str(lora_run), "--output_dir", str(tmp_path / "plain")])

    for model, name in ((lora_run, "a"), (tmp_path / "plain", "b")):
        folder = str(tmp_path / name)
        cli.run(["evaluate", "--model", str(model), "--test_file", str(spam_file), "--output_dir", folder])

    a, b = (json.loads((tmp_path / name / "metrics.json").read_text())["test"]["f1"] for name in "ab")
    assert a == b


def test_the_merged_model_carries_card_metrics_and_page_and_can_be_pushed(
    lora_run, spam_file, tmp_path, monkeypatch, capsys
):
    run = tmp_path / "run"
    shutil.copytree(lora_run, run)
    adapter = json.loads((run / "adapter_config.json").read_text())
    (run / "adapter_config.json").write_text(json.dumps(adapter | {"base_model_name_or_path": str(run / "base_model")}))
    cli.run(["evaluate", "--model", str(run), "--test_file", str(spam_file), "--output_dir", str(tmp_path / "d")])
    shutil.copytree(tmp_path / "d" / "predictions", run / "predictions")
    write_json(run / "run.json", {"arguments": {"model": {"model_type": "llama", "use_peft": True}}})
    cli.run(["report", str(run)])
    assert "PeftModel" in (run / "README.md").read_text()

    cli.run(["merge", str(run), "--output_dir", str(tmp_path / "plain")])

    printed = " ".join(capsys.readouterr().out.split())
    assert "beside them: metrics.json, verdict.json, report.html, predictions, run.json, README.md" in printed
    plain, card = tmp_path / "plain", (tmp_path / "plain" / "README.md").read_text()
    assert (plain / "metrics.json").read_bytes() == (run / "metrics.json").read_bytes()
    assert json.loads((plain / "run.json").read_text())["merged"]["from"] == "run"
    assert "library_name: transformers" in card
    assert "PeftModel" not in card
    sentence = next(line for line in (run / "README.md").read_text().splitlines() if line.startswith("**F1 of spam"))
    assert sentence in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    monkeypatch.chdir(plain)
    exec(compile(code, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert {"README.md", "model.safetensors", "report.html"} <= set(contents(plain, "ada/filter"))


def test_broken_metrics_are_named(lora_run, tmp_path):
    (tmp_path / "metrics.json").write_text('{"test": {"f1": 0.5}}')

    with pytest.raises(
        InputError,
        match=r"metrics\.json: field test.f1: found 0.5, expected an object; delete it and run llmtune report",
    ):
        _ = RunFolder(tmp_path).metrics


def test_a_run_without_adapter_is_refused(spam_model, tmp_path):
    with pytest.raises(
        InputError, match="no adapter_config.json, so this is no LoRA run; its weights are already plain"
    ):
        cli.run(["merge", str(spam_model), "--output_dir", str(tmp_path / "plain")])


def test_a_folder_that_is_not_empty_is_left_alone(lora_run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match="exists and is not empty; name a new folder"):
        cli.run(["merge", str(lora_run), "--output_dir", str(tmp_path)])

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_run_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(
        InputError, match="nowhere: no such folder; give the --output_dir of a recipe that was run with --use_peft"
    ):
        cli.run(["merge", "nowhere", "--output_dir", str(tmp_path / "plain")])
