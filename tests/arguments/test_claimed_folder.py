"""Runs that start at once: each in a folder of its own."""

import subprocess
import sys

import pytest
import torch

from llmtune.arguments import TrainingArguments
from llmtune.errors import InputError

# Settles its folder, says so, waits until it is told that the others have too, then claims it.
RUN = """
import sys
from llmtune.arguments import TrainingArguments
given = TrainingArguments(report_to="none", **dict(pair.split("=") for pair in sys.argv[1:]))
given.resolve_output_dir("spam")
print(given.output_dir, flush=True)
sys.stdin.readline()
from llmtune.errors import run_command
run_command(given.prepare_output_dir)
"""
CLAIM = RUN.replace("run_command(given.prepare_output_dir)", "given.prepare_output_dir(); print(given.output_dir)")


def start(code, folder, *flags):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *flags], cwd=folder, **pipes)


def test_two_runs_started_at_once_never_share_a_folder(tmp_path):
    runs = [start(CLAIM, tmp_path) for _ in range(2)]

    assert [run.stdout.readline().strip() for run in runs] == ["runs/spam-1"] * 2, "both saw the same free number"
    claimed = [run.communicate("\n", timeout=120)[0].strip() for run in runs]

    assert sorted(claimed) == ["runs/spam-1", "runs/spam-2"]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["spam-1", "spam-2"]


def test_of_two_runs_with_the_same_output_dir_the_second_is_refused(tmp_path):
    runs = [start(RUN, tmp_path, "output_dir=mine") for _ in range(2)]
    for run in runs:
        run.stdout.readline()

    errors = [run.communicate("\n", timeout=120)[1] for run in runs]

    assert sorted(run.returncode for run in runs) == [0, 2]
    message = "error: --output_dir mine: another run began there while this one read its data; expected an empty folder"
    assert sum(message in error for error in errors) == 1


def test_a_run_that_is_resumed_keeps_its_folder(tmp_path):
    checkpoint = tmp_path / "run" / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    (tmp_path / "run" / ".llmtune-run").touch()
    (checkpoint / "trainer_state.json").write_text("{}")
    torch.save({}, checkpoint / "optimizer.pt")
    given = TrainingArguments(
        output_dir=str(tmp_path / "run"), resume_from_checkpoint=str(checkpoint), report_to="none"
    )
    given.resolve_output_dir("spam")

    given.prepare_output_dir()

    assert checkpoint.exists()


def test_a_marker_of_another_run_is_not_taken_over(tmp_path):
    given = TrainingArguments(output_dir=str(tmp_path / "run"), report_to="none")
    given.resolve_output_dir("spam")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".llmtune-run").touch()

    with pytest.raises(InputError, match="another run began there while this one read its data"):
        given.prepare_output_dir()
