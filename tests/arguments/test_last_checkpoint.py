"""`--resume_from_checkpoint auto`: whole checkpoints are taken, broken ones passed over and named."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from llmtune.arguments import RUN_MARKER, TrainingArguments
from llmtune.arguments.last_checkpoint import last_whole_checkpoint
from llmtune.errors import InputError


def checkpoint(run: Path, steps: int) -> Path:
    folder = run / f"checkpoint-{steps}"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": steps}))
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        torch.save({"state": torch.zeros(9)}, folder / name)
    save_file({"a": np.zeros((3, 4), np.float32), "b": np.ones(5)}, folder / "model.safetensors")
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


BREAKS = {
    "has no trainer_state.json": lambda folder: (folder / "trainer_state.json").unlink(),
    "trainer_state.json is not readable": lambda folder: cut(folder / "trainer_state.json"),
    "holds no optimizer": lambda folder: (folder / "optimizer.pt").unlink(),
    "holds no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "model.safetensors is cut short": lambda folder: cut(folder / "model.safetensors"),
    "optimizer.pt is cut short": lambda folder: cut(folder / "optimizer.pt"),
    "scheduler.pt is cut short": lambda folder: (folder / "scheduler.pt").write_bytes(b""),
    "rng_state.pth is cut short": lambda folder: cut(folder / "rng_state.pth"),
    "has no scheduler.pt": lambda folder: (folder / "scheduler.pt").unlink(),
    "has no rng_state.pth": lambda folder: (folder / "rng_state.pth").unlink(),
    "has no model-2.safetensors": lambda folder: (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}})
    ),
}


def test_the_last_checkpoint_is_that_of_the_most_steps(tmp_path):
    for steps in (90, 100, 20):
        checkpoint(tmp_path, steps)

    assert last_whole_checkpoint(tmp_path) == (tmp_path / "checkpoint-100", [])


@pytest.mark.parametrize("reason", BREAKS)
def test_a_broken_checkpoint_is_passed_over_with_the_reason(reason, tmp_path):
    whole = checkpoint(tmp_path, 10)
    broken = checkpoint(tmp_path, 20)
    BREAKS[reason](broken)

    assert last_whole_checkpoint(tmp_path) == (whole, [f"{broken}: {reason}"])


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "trainer_state.json", "rng_state.pth"])
def test_a_damaged_checkpoint_that_is_named_is_refused(name, tmp_path):
    folder = checkpoint(tmp_path, 20)
    cut(folder / name)
    given = TrainingArguments(output_dir=str(tmp_path), resume_from_checkpoint=str(folder))

    with pytest.raises(InputError) as raised:
        given.resolve_output_dir("spam")

    what = "is not readable" if name.endswith("json") else "is cut short"
    assert str(raised.value) == (
        f"--resume_from_checkpoint {folder}: {name} {what}, as a writer that was killed or a full disk leaves it, "
        "expected a whole checkpoint; name an earlier one, or auto with --output_dir for the last whole one"
    )


def test_auto_goes_on_from_it_and_says_so(tmp_path, capsys):
    (tmp_path / RUN_MARKER).touch()
    whole = checkpoint(tmp_path, 10)
    BREAKS["holds no weights"](checkpoint(tmp_path, 20))
    arguments = TrainingArguments(output_dir=str(tmp_path), resume_from_checkpoint="auto")

    arguments.resolve_output_dir("spam")

    assert arguments.resume_from_checkpoint == str(whole)
    said = capsys.readouterr().err
    assert f"passed over {tmp_path}/checkpoint-20: holds no weights" in said
    assert f"going on from {whole}" in said


def test_without_a_checkpoint_auto_begins_anew_also_over_what_a_killed_run_left(tmp_path, capsys):
    arguments = TrainingArguments(output_dir=str(tmp_path / "new"), resume_from_checkpoint="auto")
    arguments.resolve_output_dir("spam")
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / RUN_MARKER).touch()
    (killed / "config.yaml").touch()
    over = TrainingArguments(output_dir=str(killed), resume_from_checkpoint="auto")
    over.resolve_output_dir("spam")

    assert (arguments.resume_from_checkpoint, arguments.overwrite) == (None, False)
    assert (over.resume_from_checkpoint, over.overwrite) == (None, True)
    assert f"no checkpoint in {killed}: training begins anew" in capsys.readouterr().err


def test_auto_never_replaces_results(tmp_path):
    (tmp_path / RUN_MARKER).touch()
    (tmp_path / "run.json").touch()

    with pytest.raises(InputError, match="holds 2 entries already; name a new folder"):
        TrainingArguments(output_dir=str(tmp_path), resume_from_checkpoint="auto").resolve_output_dir("spam")


def test_auto_needs_to_know_the_run():
    with pytest.raises(InputError, match="auto: name the run to go on with by --output_dir"):
        TrainingArguments(resume_from_checkpoint="auto").resolve_output_dir("spam")
