"""A run folder on disk: every file is opened once, and one that is broken is one message."""

import json
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet
import pytest

from llmtune import cli
from llmtune.arguments import RUN_MARKER
from llmtune.errors import InputError
from llmtune.predictions import make_predictions, write_predictions
from llmtune.runs.folder import RunFolder, write_json

opened: list[str] | None = None  # the files that are being counted


def _note(event, arguments):
    if opened is not None and event == "open" and isinstance(arguments[0], (str, Path)) and arguments[1] in ("r", "rb"):
        opened.append(str(arguments[0]))


sys.addaudithook(_note)  # of every open() of Python; it can't be taken back


@pytest.fixture
def opens(monkeypatch):
    """The reads of files while the test runs, those of pyarrow too."""
    global opened
    read = pyarrow.parquet.read_table

    def counted(path, *args, **named):
        opened.append(str(path))
        return read(path, *args, **named)

    monkeypatch.setattr(pyarrow.parquet, "read_table", counted)
    opened = []
    yield opened
    opened = None


def a_run(folder, seed=0, fold=None):
    """As a recipe leaves it: test, validation, a baseline, and all JSON files."""
    for split in ("test", "validation"):
        guess = ["spam" if (i + seed) % 3 else "ham" for i in range(80)]
        rows = {"reference": ["spam" if i % 2 else "ham" for i in range(80)], "prediction": guess}
        table = make_predictions("classification", rows, label_names=["ham", "spam"], split=split)
        write_predictions(table, folder / "predictions" / f"{split}.parquet")
    write_predictions(
        make_predictions("classification", {**rows, "prediction": ["ham"] * 80}, label_names=["ham", "spam"]),
        folder / "predictions" / "baselines" / "majority.parquet",
    )
    write_json(folder / "run.json", {"seed": 3, "arguments": {"data": {"fold": fold}, "task": {"targets": "f1>=0.2"}}})
    write_json(folder / "metrics.json", {})
    check = {"check": "leakage", "status": "pass", "finding": "no row twice", "numbers": {}, "remedy": ""}
    write_json(folder / "verdict.json", {"verdict": "ready", "checks": [check]})
    (folder / RUN_MARKER).touch()
    return folder


def reads_of(opens, folder):
    return Counter(str(Path(path).relative_to(folder)) for path in opens if Path(path).is_relative_to(folder))


EACH_ONCE = {
    "run.json": 1,
    "metrics.json": 1,
    "verdict.json": 1,
    "predictions/test.parquet": 1,
    "predictions/validation.parquet": 1,
    "predictions/baselines/majority.parquet": 1,
}


def test_report_of_a_run_opens_each_file_once(opens, tmp_path):
    run = a_run(tmp_path / "run")

    cli.run(["report", str(run)])

    assert reads_of(opens, run) == EACH_ONCE
    assert json.loads((run / "verdict.json").read_text())["verdict"] != ""


def test_report_of_several_runs_opens_each_file_once_in_each(opens, tmp_path):
    runs = [a_run(tmp_path / f"run-{seed}", seed) for seed in (1, 2, 3)]

    cli.run(["report", *map(str, runs), "--output_dir", str(tmp_path / "all")])

    for run in runs:
        assert reads_of(opens, run) == EACH_ONCE


def test_a_function_that_only_the_recipe_knows_keeps_its_score(tmp_path):
    run = a_run(tmp_path / "run")
    score = {"value": 0.25, "low": 0.2, "high": 0.3, "n": 80, "signature": "function:missed_cost|ci:95"}
    of_other_rows = {**score, "n": 79, "signature": "function:of_other_rows|ci:95"}
    removed_by_us = {**score, "signature": "average:binary|ci:95"}
    scores = {"missed_cost": score, "of_other_rows": of_other_rows, "removed_by_us": removed_by_us}
    write_json(run / "metrics.json", {"test": scores})
    write_json(run / "run.json", {"seed": 3, "arguments": {"task": {"targets": "missed_cost<=0.4"}}})

    cli.run(["report", str(run)])

    written = json.loads((run / "metrics.json").read_text())["test"]
    assert written["missed_cost"] == score
    assert written.keys().isdisjoint({"of_other_rows", "removed_by_us"})
    assert "missed_cost" in (run / "report.html").read_text()
    checks = {check["check"]: check for check in json.loads((run / "verdict.json").read_text())["checks"]}
    assert checks["targets"]["status"] == "pass"


def test_what_a_run_says_of_itself(tmp_path):
    run = RunFolder(a_run(tmp_path / "spam-1", fold="2/5"))

    assert (run.name, run.fold, run.is_own, run.is_adapter, run.holds_base) == ("spam-1", "2/5", True, False, False)
    assert run.leakage.finding == "no row twice"
    assert run.arguments("task")["targets"] == "f1>=0.2"
    assert list(run.baselines("test")) == ["majority"]
    assert run.baselines("validation") == {}
    assert run.table("test") is run.table("test")


def test_a_folder_without_files_says_nothing(tmp_path):
    run = RunFolder(tmp_path)

    assert (run.settings, run.verdict, run.leakage, run.fold) == ({}, None, None, None)


@pytest.mark.parametrize(
    ("name", "content", "ask", "message"),
    [
        ("run.json", "{", "settings", r"run\.json: not JSON \(.*\), expected an object; restore it, or name the"),
        ("run.json", "[]", "settings", r"run\.json: found a JSON list, expected an object; restore it"),
        (
            "metrics.json",
            '{"test": {"f1": 0.5}}',
            "metrics",
            r"metrics\.json: field test\.f1: found 0\.5, expected .*; delete it and",
        ),
        ("verdict.json", "3", "verdict", r"verdict\.json: found a JSON int, expected an object; delete it and run"),
        ("verdict.json", '{"verdict": "ready"}', "verdict", "verdict.json: no field checks, which is required; delete"),
        ("verdict.json", '{"verdict": "ready", "checks": [{"x": 1}]}', "verdict", "no field checks.0.check, which"),
    ],
)
def test_a_broken_file_is_one_message_that_says_what_to_do(name, content, ask, message, tmp_path):
    (tmp_path / name).write_text(content)

    with pytest.raises(InputError, match=message):
        getattr(RunFolder(tmp_path), ask)
