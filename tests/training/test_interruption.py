"""A run that is told to stop saves, says so by its exit code, and goes on to the same end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from llmtune.errors import LostProcess, Terminated, run_command
from tests.training.test_trainer import trainer

ROOT = Path(__file__).parents[2]


class Sends(transformers.TrainerCallback):
    """Signals to the own process while a step is computed."""

    def __init__(self, number: int, step: int, times: int = 1) -> None:
        self.number, self.step, self.times = number, step, times

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step - 1:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("step", [3, 5, 7])
def test_a_run_that_was_told_to_stop_goes_on_to_the_same_end(number, step, tmp_path, capsys):
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    unbroken = trainer(tmp_path / "unbroken")
    unbroken.train()

    stopped = trainer(tmp_path / "stopped")
    stopped.add_callback(Sends(number, step))
    with pytest.raises(Terminated if number == signal.SIGTERM else KeyboardInterrupt) as told:
        stopped.train()

    checkpoint = tmp_path / "stopped" / f"checkpoint-{step}"
    assert str(told.value) == (
        f"training stopped after {step} of 10 optimizer steps; {tmp_path}/stopped keeps its checkpoints; the same "
        f"command with --output_dir {tmp_path}/stopped --resume_from_checkpoint {checkpoint} continues from there"
    )
    name = signal.Signals(number).name
    assert f"{name}: saving a checkpoint after this optimizer step; once more ends at once" in capsys.readouterr().err
    assert {each: signal.getsignal(each) for each in before} == before
    resumed = trainer(tmp_path / "stopped")
    resumed.train(resume_from_checkpoint=str(checkpoint))
    for ours, plain in zip(resumed.model.parameters(), unbroken.model.parameters(), strict=True):
        assert torch.equal(ours, plain)
    assert [line["step"] for line in resumed.evaluation_lines.history] == [
        line["step"] for line in unbroken.evaluation_lines.history
    ]


def test_a_checkpoint_is_written_even_where_none_was_asked_for(tmp_path):
    stopped = trainer(tmp_path, save_strategy="no", eval_strategy="no")
    stopped.add_callback(Sends(signal.SIGTERM, 2))

    with pytest.raises(Terminated):
        stopped.train()

    assert (tmp_path / "checkpoint-2" / "optimizer.pt").exists()


def test_a_second_signal_ends_at_once(tmp_path):
    stopped = trainer(tmp_path)
    stopped.add_callback(Sends(signal.SIGINT, 2, times=2))

    with pytest.raises(KeyboardInterrupt, match="training stopped after 1 of 10 optimizer steps, before the first"):
        stopped.train()

    assert not list(tmp_path.glob("checkpoint-*"))


@pytest.mark.parametrize(("interrupt", "code"), [(KeyboardInterrupt("x"), 130), (Terminated("x"), 143)])
def test_the_exit_code_tells_the_signal(interrupt, code, capsys):
    def main() -> None:
        raise interrupt

    with pytest.raises(SystemExit) as ended:
        run_command(main)

    assert ended.value.code == code
    assert capsys.readouterr().err == "interrupted: x\n"


def launched(folder, *flags):
    """The spam recipe on two processes and 300 rows; what they print is read from its stdout."""
    rows = [{"text": f"{'win' if i % 3 else 'lunch'} {i % 7}", "label": "spam" if i % 3 else "ham"} for i in range(300)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sizes = "hidden_size=16,num_attention_heads=2,intermediate_size=32"
    given = ["--train_file", str(folder / "rows.jsonl"), "--model_type", "bert", "--config_overrides", sizes]
    given += ["--max_steps", "60", "--eval_strategy", "steps", "--eval_steps", "30", "--precision", "fp32"]
    launch = [str(Path(sys.executable).with_name("accelerate")), "launch", "--multi_gpu", "--num_processes", "2"]
    return subprocess.Popen(
        [*launch, "--main_process_port", "0", str(ROOT / "recipes" / "spam.py"), *given, *flags], text=True,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.slow
def test_a_recipe_on_two_processes_that_is_terminated_saves_and_goes_on(tmp_path):
    unbroken = launched(tmp_path, "--output_dir", str(tmp_path / "unbroken"))
    unbroken.communicate()
    assert unbroken.returncode == 0

    running = launched(tmp_path, "--output_dir", str(tmp_path / "run"), "--logging_steps", "1")
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("step 3 of"):
            running.terminate()
            break
    running.stdout.read()
    assert running.wait(60) != 0
    (checkpoint,) = (tmp_path / "run").glob("checkpoint-*")
    assert int(checkpoint.name.partition("-")[2]) % 8 == 0
    time.sleep(1)

    resumed = launched(tmp_path, "--output_dir", str(tmp_path / "run"), "--resume_from_checkpoint", "auto")
    resumed.communicate()
    assert resumed.returncode == 0

    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("unbroken", "run")]
    for name, tensor in weights[0].items():
        np.testing.assert_allclose(weights[1][name], tensor, atol=1e-7)


@pytest.mark.parametrize(
    "text",
    [
        "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.1.1]:3411",
        "[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Read error [127.0.0.1]: Connection reset by peer",
        "NCCL error: remote process exited or there was a network error",
    ],
)
def test_a_connection_to_a_process_that_is_gone_is_told_with_how_to_go_on(text, tmp_path, monkeypatch):
    made = trainer(tmp_path)

    def lost(*args, **kwargs):
        raise RuntimeError(text)

    monkeypatch.setattr(made, "training_step", lost)
    monkeypatch.setenv("WORLD_SIZE", "2")

    with pytest.raises(LostProcess) as raised:
        made.train()

    assert re.fullmatch(
        r"another process ended or hangs \(.*\); training stopped after 0 of 10 optimizer steps, before the first "
        rf"checkpoint; start again with --output_dir {re.escape(str(tmp_path))} --overwrite",
        str(raised.value),
    )


def test_a_process_that_lost_another_says_what_is_kept_and_ends_with_1(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("llmtune.errors.time.sleep", lambda seconds: None)

    def lost():
        raise LostProcess("another process ended or hangs (gone); runs/spam-1 keeps its checkpoints")

    with pytest.raises(SystemExit) as end:
        run_command(lost)

    assert end.value.code == 1
    told = "process 1 stopped: another process ended or hangs (gone); runs/spam-1 keeps its checkpoints\n"
    assert capsys.readouterr().err == told


def rank_of(process: int) -> str | None:
    """What a launcher told the process."""
    try:
        environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((line.partition(b"=")[2].decode() for line in environment if line.startswith(b"RANK=")), None)


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["1", "0"])
def test_where_one_of_two_processes_is_killed_the_other_ends_soon_and_says_so(rank, tmp_path):
    running = launched(tmp_path, "--output_dir", str(tmp_path / "run"), "--logging_steps", "1", "--max_steps", "2000")
    lines = []
    for line in running.stdout:
        lines.append(line)
        if line.startswith("step 3 of"):
            break
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    (process,) = [int(child) for child in children if rank_of(int(child)) == rank]
    began = time.monotonic()

    os.kill(process, signal.SIGKILL)

    said = running.communicate(timeout=120)[0]
    assert running.returncode != 0
    assert time.monotonic() - began < 45
    told = r"process [01] stopped: another process ended or hangs \(.*\); training stopped after"
    assert re.search(told, said), said[-3000:]
