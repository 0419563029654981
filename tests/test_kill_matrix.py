"""Runs that are killed at random moments end as the one that nobody killed (scripts/kill_matrix.py)."""

import importlib.util
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from safetensors.torch import save_file

SCRIPT = Path(__file__).parents[1] / "scripts" / "kill_matrix.py"
_spec = importlib.util.spec_from_file_location("kill_matrix", SCRIPT)
kill_matrix = importlib.util.module_from_spec(_spec)
sys.modules["kill_matrix"] = kill_matrix
_spec.loader.exec_module(kill_matrix)


@pytest.mark.slow
@pytest.mark.parametrize("number", ["KILL", "TERM"])
def test_five_runs_that_are_killed_end_bit_equal(number):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--moments", "5", "--signal", number], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith(" 0 failed")


def a_run(folder):
    folder.mkdir()
    save_file({"a": torch.zeros(9)}, folder / "model.safetensors")
    torch.save({"a": torch.zeros(9)}, folder / "optimizer.pt")
    (folder / "metrics.json").write_text("{}")
    (folder / "run.json").write_text(json.dumps({"training": {"evaluations": [{"step": 3}]}}))
    (folder / "predictions").mkdir()
    pyarrow.parquet.write_table(pa.table({"a": [1, 2]}), folder / "predictions" / "test.parquet")
    return folder


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "metrics.json", "predictions/test.parquet"])
def test_a_half_file_is_seen(name, tmp_path):
    run = a_run(tmp_path / "run")
    assert kill_matrix.unreadable(run) == []
    (run / ".metrics.json.5.partial").touch()  # hidden: nobody takes it for a file of the run
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: len(content) // 2])

    (broken,) = kill_matrix.unreadable(run)

    assert broken.startswith(name)


def test_results_that_differ_are_seen(tmp_path):
    expected, run = a_run(tmp_path / "expected"), a_run(tmp_path / "run")
    assert kill_matrix.differences(expected, run) == []
    save_file({"a": torch.full((9,), 1e-30)}, run / "model.safetensors")
    (run / "metrics.json").write_text("{ }")
    (run / "run.json").write_text(json.dumps({"training": {"evaluations": [{"step": 3}, {"step": 4}]}}))
    pyarrow.parquet.write_table(pa.table({"a": [1, 3]}), run / "predictions" / "test.parquet")

    assert kill_matrix.differences(expected, run) == [
        *("model.safetensors differs", "metrics.json differs", "predictions/test.parquet differs"),
        "other evaluations in run.json",
    ]


def test_a_process_is_killed_at_its_moment(tmp_path):
    process = kill_matrix.start(lambda argv: time.sleep(60), [], tmp_path / "log")

    assert kill_matrix.wait(process, 0.1, signal.SIGKILL) == -9
    assert kill_matrix.wait(kill_matrix.start(lambda argv: None, [], tmp_path / "log"), None, signal.SIGKILL) == 0
