"""A saved model that is not the measured one is caught, whatever happened to its folder; whole ones are left alone."""

import json
import re
import shutil
from pathlib import Path

import pytest

from llmtune import cli
from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, PASS, Check
from llmtune.diagnosis.saved_model import saved_model
from llmtune.diagnosis.verdict import NOT_READY
from llmtune.models.checkpoints import save_weights
from llmtune.runs.folder import RunFolder
from tests.finish.planted_faults import (
    cut_short,
    drop,
    edit_json,
    edit_settings,
    edit_weights,
    flip,
    lose,
    pad_left,
    redraw,
    scale,
    swap_labels,
    swap_tokenizer,
    to_int8,
)
from tests.finish.small_runs import RUNS, ask_again, train, write_rows

ADAPTER = "adapter_model.safetensors"
WEIGHTS_DIFFER = "settings and numbers of tokens are the same, so the weights or the vocabulary differ: a head or"
# The run, what happens to its folder, and what the check says.
FAULTS = {
    "permuted label names": ("spam", edit_json("config.json", swap_labels), "id2label.0 is 'same' in its config and"),
    "permuted rows of the head": ("spam", edit_weights(flip("classifier")), "the labels are permuted"),
    "dropped head": ("spam", edit_weights(drop("classifier")), "its files hold no classifier.bias, classifier.weight"),
    "head initialized again": ("spam", edit_weights(redraw("classifier")), WEIGHTS_DIFFER),
    "lost threshold": ("spam", edit_settings(threshold=None), r"threshold is 0\.5 in its config and was 0\.[0-4]"),
    "lost settings": ("spam", edit_json("config.json", lambda config: config.pop("llmtune")), "max_length is 256"),
    "other max_length": ("spam", edit_settings(max_length=8), "max_length is 8 in its config and was 24"),
    "other tokenizer": ("spam", swap_tokenizer, "another tokenizer"),
    "padding on the other side": ("spam", pad_left, "padding on the other side"),
    "half-written weights": ("spam", cut_short, "can't be used: SafetensorError: "),
    "lost weights": ("spam", lose("model.safetensors"), "can't be used: .*model.safetensors"),
    "lost config": ("spam", lose("config.json"), "can't be used: .*not loadable as a run"),
    "weights through 8 bits": ("spam", edit_weights(to_int8("weight")), WEIGHTS_DIFFER),
    "another activation": ("spam", edit_json("config.json", lambda c: c.update(hidden_act="relu")), WEIGHTS_DIFFER),
    "layers left out": ("spam", edit_json("config.json", lambda c: c.update(num_hidden_layers=0)), WEIGHTS_DIFFER),
    "order of the classes": ("ordered", edit_settings(ordinal=None), "ordinal is None in its config and was True"),
    "adapter of nothing": ("pairs", edit_weights(scale("lora_B", 0.0), ADAPTER), WEIGHTS_DIFFER),
    "adapter without its base": ("pairs", lose("base_model"), "can't be used: .*base_model"),
    "adapter without its head": ("pairs", edit_weights(redraw("score"), ADAPTER), WEIGHTS_DIFFER),
    "adapter on another base": (
        "pairs", lambda folder: edit_weights(redraw("mlp"))(folder / "base_model"), WEIGHTS_DIFFER,
    ),
    "adapter of another alpha": (
        "pairs", edit_json("adapter_config.json", lambda config: config.update(lora_alpha=1)), WEIGHTS_DIFFER,
    ),
    "another pooling of windows": ("windows", edit_settings(pooling="max"), "pooling is 'max' in its config"),
    "LSTM's embeddings through 8 bits": ("windows", edit_weights(to_int8("embed")), WEIGHTS_DIFFER),
    "lost thresholds of labels": ("labels", edit_settings(thresholds=None), "thresholds is "),
    "permuted heads of labels": ("labels", edit_weights(flip("classifier")), "the labels are permuted"),
    "score in another unit": ("score", edit_settings(target_size=1.0), "target_size is 1.0 in its config"),
    "score's head initialized again": ("score", edit_weights(redraw("classifier")), WEIGHTS_DIFFER),
    "permuted tag names": ("tags", edit_json("config.json", swap_labels), "id2label.0 is 'B-CAT' in its config"),
    "permuted rows of the tagger": ("tags", edit_weights(flip("classifier")), "the labels are permuted"),
    "tagger through 8 bits": ("tags", edit_weights(to_int8("classifier.weight")), WEIGHTS_DIFFER),
    "span head initialized again": ("answers", edit_weights(redraw("qa_outputs")), WEIGHTS_DIFFER),
    "lost threshold of no answer": ("answers", edit_settings(null_threshold=9.0), "null_threshold is 9.0"),
    "vocabulary of a translator": ("translation", swap_tokenizer, "not the measured one"),
    "translator through 8 bits": ("translation", edit_weights(to_int8("shared")), "nats of"),
    "decoder initialized again": ("translation", edit_weights(redraw("decoder.block")), "texts are written otherwise"),
    "shorter answers": (
        "translation", edit_json("generation_config.json", lambda config: config.update(max_new_tokens=1)),
        "max_new_tokens is 1 in its config and was 8",
    ),
    "language model without its adapter": ("language", edit_weights(scale("lora_B", 0.0), ADAPTER), "nats of 61 rows"),
    "language model's base through 8 bits": (
        "language", lambda folder: edit_weights(to_int8("weight"))(folder / "base_model"), "nats of 61 rows",
    ),
    "another stride": ("language", edit_settings(stride=8), "stride is 8 in its config and was 1"),
    "another scale of the series": (
        "series", edit_json("config.json", lambda config: next(iter(config["llmtune"]["scales"].values())).update(
            target_center=3.0)), "scales..target_center is 3.0",
    ),
    "forecaster's head initialized again": ("series", edit_weights(redraw("head")), WEIGHTS_DIFFER),
    "lost intervals": ("series", edit_settings(interval_widths=[]), r"interval_widths is \[\] in its config"),
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    write_rows(folder)
    return folder


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: train(name, data, tmp_path_factory.mktemp("runs") / name) for name in RUNS}


@pytest.fixture(scope="module")
def checks(runs: dict[str, Path], data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    """By name of the fault, and of the run without one."""
    cases = {name: (run, run) for name, run in runs.items()}
    for fault, (name, plant, _) in FAULTS.items():
        copy = tmp_path_factory.mktemp("faults") / "run"
        shutil.copytree(runs[name], copy, ignore=shutil.ignore_patterns("checkpoint-*", "predictions", "*.html"))
        adapter = copy / "adapter_config.json"
        if adapter.exists():  # its base lies beside it, as where a folder is moved
            content = json.loads(adapter.read_text())
            adapter.write_text(json.dumps({**content, "base_model_name_or_path": str(copy / "base_model")}))
        plant(copy)
        cases[fault] = runs[name], copy
    return {name: saved_model(rescored) for name, rescored in ask_again(cases, data).items()}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught_and_named(checks, fault):
    check, words = checks[fault], FAULTS[fault][2]

    assert check.status == FAIL, check
    assert check.finding.startswith(("The saved model is not the measured one: ", "The saved model can't be used: "))
    assert words in check.finding or re.search(words, check.finding), check.finding
    assert check.remedy.startswith("do not use the saved model, its numbers are another's: restore the files")


@pytest.mark.parametrize("run", RUNS)
def test_a_model_that_nobody_touched_answers_as_its_run_did(checks, run):
    assert checks[run].status == PASS, checks[run]
    assert checks[run].finding.startswith("Loaded in a fresh process, it answers ")
    assert checks[run].numbers["settings"] == {}


def test_a_run_ends_with_the_check_and_its_report_keeps_it(data, tmp_path):
    run = RunFolder(train("spam", data, tmp_path / "run", "--check_saved_model", "True"))

    check = run.saved_model
    assert check.status == PASS
    assert check.numbers["rows"] == check.numbers["rows_of_test"] == 61
    assert run.settings["cautions"] == []


def test_a_run_whose_weights_are_lost_while_they_are_saved_is_not_ready(data, tmp_path, monkeypatch):
    def save_and_lose(trainer, *, keep_base):
        save_weights(trainer, keep_base=keep_base)
        edit_weights(drop("classifier"))(Path(trainer.args.output_dir))

    monkeypatch.setattr("llmtune.finish.write_run.save_weights", save_and_lose)
    run = RunFolder(train("spam", data, tmp_path / "run", "--check_saved_model", "True"))

    assert run.verdict.verdict == NOT_READY
    assert run.verdict.deciding[0].check == "saved_model"
    assert "Not ready: The saved model is not the measured one: it answers " in (run.path / "README.md").read_text()
    cli.run(["report", str(run.path)])
    assert RunFolder(run.path).saved_model == run.saved_model


@pytest.mark.slow
def test_fifty_five_clean_runs_raise_no_alarm(data, tmp_path):
    cases = {}
    for name in RUNS:
        for seed in range(5):
            run = train(name, data, tmp_path / name / str(seed), "--seed", str(seed))
            cases[f"{name} {seed}"] = (run, run)

    checks = {name: saved_model(rescored) for name, rescored in ask_again(cases, data).items()}

    assert len(checks) == 55
    assert {name: check.finding for name, check in checks.items() if check.status != PASS} == {}


def test_a_run_without_the_check_says_so(runs):
    run = RunFolder(runs["spam"])

    assert run.saved_model.status == NOT_APPLICABLE
    assert run.settings["cautions"] == ["the saved model was not loaded again: --check_saved_model False"]
    assert "the saved model was not loaded again" in (runs["spam"] / "report.html").read_text(encoding="utf-8")
