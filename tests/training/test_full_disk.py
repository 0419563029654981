"""A run whose disk is full, or read-only: one message with how to go on, and no half file."""

import errno
import json
import os
import re
import runpy
import signal
import sys
from pathlib import Path

import pytest
import torch

from llmtune.arguments.last_checkpoint import broken_part
from llmtune.errors import DiskFault, Terminated
from tests.conftest import RECIPES
from tests.training.test_interruption import Sends
from tests.training.test_trainer import trainer

STEPS = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 2, "save_steps": 2, "save_total_limit": 9}


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_full_disk_ends_training_with_the_checkpoint_to_go_on_from(small_disk):
    disk = small_disk(1024)  # a checkpoint of this model takes 430 KiB
    run = disk.path / "run"

    with pytest.raises(DiskFault) as raised:
        trainer(run, **STEPS).train()

    message = str(raised.value)
    assert message.startswith(f"{run}/checkpoint-6: can't be written: no space is left on the disk (")
    # Three numbers of 4 bytes for each of 34,562 weights.
    assert re.search(
        r"\(\d+\.\d KiB free, about 40\d\.\d KiB needed\); make room there, then give the same command", message
    )
    assert message.endswith(
        f"--output_dir {run} --resume_from_checkpoint auto: it goes on from checkpoint-4; or on another disk with "
        f"--output_dir FOLDER --resume_from_checkpoint {run}/checkpoint-4"
    )
    assert files(run) == ["checkpoint-2", "checkpoint-4"]
    assert [broken_part(folder) for folder in run.iterdir()] == ["", ""]


def test_on_another_disk_it_goes_on_to_the_same_end(small_disk, tmp_path):
    disk, options = small_disk(1024), {**STEPS, "load_best_model_at_end": False}
    unbroken = trainer(tmp_path / "unbroken", **options)
    unbroken.train()
    with pytest.raises(DiskFault):
        trainer(disk.path / "run", **options).train()

    resumed = trainer(tmp_path / "elsewhere", **options)
    resumed.train(resume_from_checkpoint=str(disk.path / "run" / "checkpoint-4"))

    for ours, plain in zip(resumed.model.parameters(), unbroken.model.parameters(), strict=True):
        assert torch.equal(ours, plain)


def test_before_the_first_checkpoint_it_begins_anew(small_disk):
    disk = small_disk(200)

    with pytest.raises(
        DiskFault, match="auto: it begins anew, there is no checkpoint yet; or name another --output_dir"
    ):
        trainer(disk.path / "run", **STEPS).train()

    assert files(disk.path / "run") == []


def test_a_disk_that_becomes_read_only_is_said(small_disk):
    disk = small_disk(4096)
    made = trainer(disk.path / "run", **STEPS)
    disk.protect()

    with pytest.raises(DiskFault) as raised:
        made.train()

    assert str(raised.value).startswith(
        f"{disk.path}/run/checkpoint-2: can't be written: the file system is read-only; make room"
    )


@pytest.mark.parametrize("left", [0, 4096, 40_960, 204_800])
def test_the_optimizer_of_torch_is_refused_by_the_same_message(left, small_disk):
    """At different places of a checkpoint: torch's writer tells no cause, nor does that of the tokenizer a kind."""
    disk = small_disk(1024)
    disk.fill(left)

    with pytest.raises(DiskFault, match=r"checkpoint-2: can't be written: no space is left on the disk \("):
        trainer(disk.path / "run", **STEPS).train()

    assert files(disk.path) in (["filler"], ["filler", "run"])


def test_a_run_without_optimizers_saves_one_when_it_is_told_to_stop(tmp_path):
    stopped = trainer(tmp_path, save_only_model=True)
    stopped.add_callback(Sends(signal.SIGTERM, 3))

    with pytest.raises(Terminated, match="continues from there"):
        stopped.train()

    assert broken_part(tmp_path / "checkpoint-3") == ""


def run_recipe(monkeypatch, capsys, folder, *flags):
    """The exit code of the spam recipe and what it says on stderr."""
    sizes = "hidden_size=16,num_attention_heads=2,intermediate_size=32,num_hidden_layers=1"
    argv = ["spam.py", "--config_overrides", sizes, "--max_steps", "2", "--eval_strategy", "no", "--cpu_threads", "1"]
    # The demo's data, by which another model can be named.
    demo = RECIPES / "demo" / "spam"
    argv += ["--train_file", f"{demo}/test.csv", "--model_type", "bert", "--tokenizer_vocab_size", "600"]
    argv += ["--report_to", "none", "--output_dir", str(folder), *flags]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(RECIPES / "spam.py"), run_name="__main__")
    return ended.value.code, capsys.readouterr().err


def whole(folder):
    """The names of the files, each of which is readable."""
    for path in folder.rglob("*.json"):
        json.loads(path.read_text())
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("kib", "written", "missing"),
    [
        (60, {"config.yaml", ".llmtune-run"}, "model.safetensors"),
        (150, {"model.safetensors", "config.json", "tokenizer.json"}, "README.md"),
    ],
)
def test_a_disk_that_is_full_at_the_end_of_a_run_is_one_message_and_no_half_file(
    kib, written, missing, small_disk, monkeypatch, capsys
):
    disk = small_disk(kib)

    code, said = run_recipe(monkeypatch, capsys, disk.path / "run", "--save_strategy", "no")

    assert code == 2
    (message,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert ": can't be written: no space is left on the disk (" in message
    assert message.endswith("auto: it begins anew, there is no checkpoint yet; or name another --output_dir")
    names = whole(disk.path / "run")
    assert written <= names
    assert missing not in names
    assert not [name for name in names if name.endswith(".partial")]


def test_once_there_is_room_the_same_command_ends_the_run(small_disk, monkeypatch, capsys):
    disk = small_disk(1024)
    disk.fill(400_000)
    flags = [
        "--save_strategy",
        "steps",
        "--save_steps",
        "1",
        "--save_total_limit",
        "1",
        "--load_best_model_at_end",
        "False",
    ]
    code, said = run_recipe(monkeypatch, capsys, disk.path / "run", *flags)
    assert code == 2
    assert "--resume_from_checkpoint auto: it goes on from checkpoint-1; or on another disk" in said
    disk.make_room()

    code, said = run_recipe(monkeypatch, capsys, disk.path / "run", *flags, "--resume_from_checkpoint", "auto")

    assert code == 0, said
    assert {"model.safetensors", "metrics.json", "report.html", "README.md"} <= whole(disk.path / "run")


def test_a_read_only_folder_is_refused_before_training(small_disk, monkeypatch, capsys):
    disk = small_disk(1024)
    disk.protect()

    code, said = run_recipe(monkeypatch, capsys, disk.path / "run")

    assert code == 2
    assert (
        f"error: {disk.path}/run: can't be written: the file system is read-only; name a place that can be written"
        in said
    )


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.EDQUOT, "the quota of disk space is used up"), (errno.EACCES, "permission is denied")],
)
def test_a_quota_and_a_denied_permission_are_told_apart(number, reason, tmp_path, monkeypatch):
    def refused(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    made = trainer(tmp_path, **STEPS)
    monkeypatch.setattr(made, "_save_rng_state", refused)

    with pytest.raises(DiskFault, match=f"checkpoint-2: can't be written: {reason}"):
        made.train()


def test_other_errors_of_a_writer_stay_what_they_are(tmp_path, monkeypatch):
    made = trainer(tmp_path, **STEPS)

    def broken(*args, **kwargs):
        raise RuntimeError("tensors that share memory")

    monkeypatch.setattr(made, "_save_rng_state", broken)

    with pytest.raises(RuntimeError, match="tensors that share memory"):
        made.train()


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(2, ["checkpoint-2", "checkpoint-5"]), (3, ["checkpoint-2", "checkpoint-4", "checkpoint-5"])],
)
def test_a_clock_that_jumps_back_costs_no_checkpoint(limit, expected, tmp_path):
    """The stock Trainer keeps the one that was changed last, whatever its steps; the best one is of step 2."""
    made = trainer(
        tmp_path, **{**STEPS, "save_total_limit": limit, "load_best_model_at_end": False}, num_train_epochs=1
    )
    publish, later = made._publish, [4_000_000_000]

    def published(partial: Path, checkpoint: Path) -> None:
        publish(partial, checkpoint)
        later[0] -= 100_000
        os.utime(checkpoint, (later[0], later[0]))

    made._publish = published
    made.train()

    assert made.state.best_global_step == 2
    assert files(tmp_path) == expected


def test_what_a_training_that_is_given_up_has_left_goes_first(tmp_path):
    options = {**STEPS, "save_total_limit": 4, "load_best_model_at_end": False}
    trainer(tmp_path, **options).train()
    assert files(tmp_path) == ["checkpoint-10", "checkpoint-2", "checkpoint-6", "checkpoint-8"]

    again = {"seed": 7, "allow_resume_mismatch": True, "max_steps": 8, "save_total_limit": 3}
    trainer(tmp_path, **options | again).train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))

    assert files(tmp_path) == ["checkpoint-2", "checkpoint-6", "checkpoint-8"]
    state = json.loads((tmp_path / "checkpoint-8" / "trainer_state.json").read_text())
    assert state["stateful_callbacks"]["llmtune"]["run"]["--seed"] == 7
