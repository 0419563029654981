"""Runs that start at once: each in a folder of its own."""

import shutil
import subprocess
import sys

import pytest
import torch

from llmtune.arguments import TrainingArguments
from llmtune.arguments.run_folder import claim
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


# A process that claims the folder and is at work in it until its stdin ends; without torch it is there at once.
WORK = """
import sys
from llmtune.arguments.run_folder import claim
print(claim("mine", emptied=sys.argv[1] == "overwrite", taken=sys.argv[1] == "resume"), flush=True)
sys.stdin.readline()
"""


def an_earlier_run(folder):
    checkpoint = folder / "mine" / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    (folder / "mine" / ".llmtune-run").touch()
    (folder / "mine" / "run.json").touch()
    (checkpoint / "trainer_state.json").write_text("{}")
    torch.save({}, checkpoint / "optimizer.pt")


@pytest.mark.parametrize("way", ["overwrite", "resume"])
def test_while_a_run_is_at_work_another_neither_replaces_nor_resumes_it(way, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    an_earlier_run(tmp_path)
    flags = {"overwrite": True} if way == "overwrite" else {"resume_from_checkpoint": "mine/checkpoint-1"}
    second = TrainingArguments(output_dir="mine", report_to="none", **flags)
    second.resolve_output_dir("spam")
    at_work = start(WORK, tmp_path, way)
    assert at_work.stdout.readline() == "True\n"
    left = sorted(path.name for path in (tmp_path / "mine").iterdir())

    with pytest.raises(InputError) as raised:
        second.prepare_output_dir()

    assert str(raised.value) == (
        "--output_dir mine: another run is at work there; expected one that no other uses: wait for its end, or name "
        "another"
    )
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == left
    at_work.kill()  # as -9: nobody tidies up
    at_work.communicate()
    second.prepare_output_dir()
    assert start(WORK, tmp_path, way).communicate("\n")[0] == "False\n", "and now this one holds it"


def test_of_two_that_overwrite_at_once_one_begins_in_an_empty_folder(tmp_path):
    for _ in range(5):
        an_earlier_run(tmp_path)
        runs = [start(WORK, tmp_path, "overwrite") for _ in range(2)]

        assert sorted(run.stdout.readline() for run in runs) == ["False\n", "True\n"]
        assert [path.name for path in (tmp_path / "mine").iterdir()] == [".llmtune-run"]
        for run in runs:
            run.communicate("\n")
        shutil.rmtree(tmp_path / "mine")


def test_in_one_process_a_folder_is_claimed_again_and_what_a_killed_writer_left_is_gone(tmp_path):
    an_earlier_run(tmp_path)
    run = tmp_path / "mine"
    (run / ".run.json.7.partial").touch()
    (run / ".partial" / "checkpoint-2").mkdir(parents=True)

    assert claim(str(run), emptied=False, taken=True)
    assert claim(str(run), emptied=False, taken=True)

    assert sorted(path.name for path in run.iterdir()) == [".llmtune-run", "checkpoint-1", "run.json"]
    assert claim(str(run), emptied=True, taken=False)
    assert [path.name for path in run.iterdir()] == [".llmtune-run"]


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
