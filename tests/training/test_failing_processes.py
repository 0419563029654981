"""One process of two fails, hangs, or reads other rows: all end, and what is said first is why."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from llmtune import errors
from llmtune.commands.launch import main
from llmtune.errors import InputError, run_command, tell_launcher
from llmtune.training import same_inputs
from llmtune.training.hung_process import HungProcessWatch, Standing, hung_processes
from llmtune.training.same_inputs import check_same_inputs, describe_inputs
from tests.training.test_trainer import rows, trainer

SCRIPT = Path(__file__).with_name("fail_on_processes.py")
BEGINNING = [str(Path(sys.executable).with_name("accelerate")), "launch", "--multi_gpu", "--num_processes", "2"]
SIZES = "hidden_size=16,num_attention_heads=2,intermediate_size=32"
FLAGS = ["--model_type", "bert", "--config_overrides", SIZES, "--max_steps", "6", "--eval_strategy", "no"]
FLAGS += ["--precision", "fp32", "--use_cpu", "True"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    texts = [
        json.dumps({"text": f"{'win' if i % 3 else 'lunch'} {i % 7}", "label": "spam" if i % 3 else "ham"})
        for i in range(200)
    ]
    (folder / "rows.jsonl").write_text("\n".join(texts))
    (folder / "fewer.jsonl").write_text("\n".join(texts[:-1]))
    return folder


def launched(fault, data, *more):
    """What two processes printed, the first of them without a fault, and the seconds it took."""
    start = time.monotonic()
    done = subprocess.run(
        [*BEGINNING, "--main_process_port", "0", str(SCRIPT), fault, str(data), *FLAGS, *more],
        capture_output=True, text=True, timeout=280, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 1, "accelerate launch has no other code"
    return done.stderr, time.monotonic() - start


def place(line, printed):
    match = re.search(line, printed)
    assert match is not None, printed[-4000:]
    return match.start()


@pytest.mark.slow
def test_an_input_that_one_process_lacks_is_said_by_that_process(data):
    printed, _ = launched("missing", data)

    own = place(r"^error: process 1: .*missing\.jsonl", re.sub(r"(?s)^.*?(?=error: )", "", printed))
    assert own == 0
    assert place(r"process 1: .*missing\.jsonl", printed) < place(r"process 0 stopped: another process ended", printed)
    assert place("Root Cause", printed) < place(r"traceback : error: process 1: .*missing\.jsonl", printed)
    assert "Traceback" not in printed.partition("torch/distributed/elastic")[0]
    assert not (data / "missing").exists()


@pytest.mark.slow
def test_processes_that_read_other_rows_do_not_start(data):
    printed, _ = launched("rows", data)

    assert place(r"error: the processes don't have the same rows and flags: process 1 has sha256 of", printed) >= 0
    assert "error: process 1" not in printed, "said once"
    assert not (data / "rows").exists()


@pytest.mark.slow
def test_a_process_that_breaks_ends_the_other_with_its_traceback_first(data):
    printed, _ = launched("crash", data)

    own = place("RuntimeError: the second process broke", printed)
    assert own < place(r"process 0 stopped: another process ended or hangs \(Connection closed by peer", printed)
    assert place("Root Cause", printed) < place("traceback : RuntimeError: the second process broke", printed)


@pytest.mark.slow
def test_a_process_that_hangs_is_named_after_the_timeout(data):
    printed, _ = launched("hang", data, "--ddp_timeout", "20")

    named = place(r"error: process 1 of 2 hangs: it did nothing for \d+ s after optimizer step 2, in fail_on_", printed)
    assert "(faulty_step)" in printed[named : named + 300]
    told = r"process 0 waited for \d+ s after .*; expected at most --ddp_timeout 20"
    assert re.search(told, printed[named : named + 400])


@pytest.mark.slow
def test_llmtune_train_ends_with_the_exit_code_of_the_recipe(data, tmp_path):
    (tmp_path / "accelerate").mkdir()
    config = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU",
        "num_machines": 1,
        "num_processes": 2,
        "machine_rank": 0,
        "mixed_precision": "no",
        "main_process_port": 0,
        "use_cpu": False,
    }
    (tmp_path / "accelerate" / "default_config.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "llmtune", "train", "spam", "--train_file", str(data / "none.csv"), *FLAGS]

    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "HF_HOME": str(tmp_path)}, timeout=200
    )

    assert done.returncode == 2, done.stderr[-3000:]
    assert "none.csv" in done.stderr.partition("torch/distributed/elastic")[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (subprocess.CalledProcessError(2, "recipe"), 2, ""),  # of one process
        (subprocess.CalledProcessError(-15, "recipe"), 143, ""),
        (ChildFailedError("recipe", {1: ProcessFailure(1, 77, 2, "")}), 2, "process 1 ended with exit code 2: "),
    ],
)
def test_the_exit_code_of_a_launch_is_that_of_the_process_that_failed(error, code, said, monkeypatch, capsys):
    def launch():
        raise error

    monkeypatch.setattr("llmtune.commands.launch.accelerate_launch", launch)
    with pytest.raises(SystemExit) as end:
        main()

    assert end.value.code == code
    assert capsys.readouterr().err.startswith(said)


def standing(events=5, *, seconds=100.0, waits=False, has_left=False):
    return Standing(9, events, "optimizer step 3", seconds, "x.py:1 (f)", waits, has_left)


@pytest.mark.parametrize(
    ("standings", "silent", "hung"),
    [
        ({0: standing(6), 1: standing(5)}, set(), [1]),
        ({0: standing(6), 1: standing(5, seconds=2)}, set(), []),  # slow, not hung
        ({0: standing(waits=True), 1: standing()}, set(), [1]),
        ({0: standing(waits=True), 1: standing(waits=True)}, set(), []),  # nobody to tell apart
        ({0: standing(), 1: standing()}, set(), []),  # both compute
        ({0: standing(waits=True), 1: standing(9, waits=True), 2: standing(9)}, {1}, [1]),
        ({0: standing(6), 1: standing(7, has_left=True)}, set(), [0]),
        ({0: standing(), 1: standing(9, waits=True), 2: standing(9), 3: standing(3)}, set(), [0, 3]),
    ],
)
def test_who_hangs_is_who_the_others_wait_for(standings, silent, hung):
    assert hung_processes(standings, silent, 60) == hung


def test_a_process_alone_watches_nobody(monkeypatch):
    monkeypatch.setenv("MASTER_PORT", "1")

    with HungProcessWatch(0, 1, 1.0).watching():
        assert not [thread for thread in __import__("threading").enumerate() if "_watch" in thread.name]


def test_the_watch_counts_steps_and_batches_of_evaluations(tmp_path):
    made = trainer(tmp_path, n=16, num_train_epochs=1)
    made.train()

    # 2 optimizer steps, begun and ended; an evaluation of 15 rows and one of as many of train; a checkpoint.
    assert made.watch.events >= 2 * 2 + 2 + 1
    assert made.watch.place == "the checkpoint of optimizer step 2"


@pytest.fixture
def three_processes(monkeypatch):
    """`gather_object` as three processes see it, whose second and third may have changes."""

    def stand_in(*changes):
        monkeypatch.setattr(same_inputs, "gather_object", lambda own: [{**own[0], **change} for change in changes])

    return stand_in


def test_what_differs_between_processes_is_named(tmp_path, three_processes):
    made = trainer(tmp_path)
    described = describe_inputs(made.args, {"train": rows(40)}, {0: "ham", 1: "spam"})
    three_processes({}, {}, {})
    check_same_inputs(described)

    three_processes({}, {"rows of train": 39, "--seed": 7}, {"labels": {"0": "spam", "1": "ham"}})
    with pytest.raises(InputError) as refused:
        check_same_inputs(described)

    assert str(refused.value) == (
        "the processes don't have the same rows and flags: process 1 has --seed 7 (process 0: 42), rows of train 39 "
        "(process 0: 40); process 2 has labels {'0': 'spam', '1': 'ham'} (process 0: {'0': 'ham', '1': 'spam'}). "
        "Expected what process 0 has: start every process with the same flags, and copy the data files to each host "
        "anew"
    )
    other = describe_inputs(made.args, {"train": rows(40, seed=1)})
    assert described["sha256 of the tokens of train"] != other["sha256 of the tokens of train"]


@pytest.fixture
def second_process(monkeypatch, tmp_path):
    """The environment of the second process of two; returns where the launcher looks for its error."""
    monkeypatch.setattr(errors, "LAUNCHERS_PATIENCE", 0)
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "1").mkdir()
    monkeypatch.setenv(errors.ERROR_FILE, str(tmp_path / "1" / "error.json"))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    return tmp_path / "1" / "error.json"


def ended(error):
    def main():
        raise error

    with pytest.raises(SystemExit) as end:
        run_command(main)
    return end.value.code


def test_the_second_process_says_its_own_input_error(second_process, capsys):
    assert ended(InputError("rows.csv: no such file")) == 2

    assert capsys.readouterr().err == "error: process 1: rows.csv: no such file\n"
    assert json.loads(second_process.read_text())["message"] == "error: process 1: rows.csv: no such file"


def test_but_not_where_the_first_process_failed_too(second_process, capsys):
    (second_process.parents[1] / "0").mkdir()
    (second_process.parents[1] / "0" / "error.json").touch()

    assert ended(InputError("rows.csv: no such file")) == 2
    assert capsys.readouterr().err == ""


def test_a_process_that_lost_another_says_so_in_a_line(second_process, capsys):
    lost = RuntimeError("[/gloo/pair.cc:553] Connection closed by peer [127.0.0.1]:1. This is typically caused by …")

    assert ended(lost) == 1
    told = "process 1 stopped: another process ended or hangs (Connection closed by peer [127.0.0.1]:1)\n"
    assert capsys.readouterr().err == told
    with pytest.raises(RuntimeError, match="a fault of its own"):
        run_command(lambda: (_ for _ in ()).throw(RuntimeError("a fault of its own")))


def test_the_launcher_is_told_nothing_where_there_is_none(monkeypatch, tmp_path):
    monkeypatch.delenv(errors.ERROR_FILE, raising=False)
    monkeypatch.chdir(tmp_path)

    tell_launcher("error: x")

    assert not list(tmp_path.iterdir())
