"""The fresh process itself: which rows it gets, how far they may be apart, and what is said where it can't work."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, PASS
from llmtune.diagnosis.saved_model import Rescored, caution, saved_model
from llmtune.finish.fresh_process import different
from llmtune.finish.saved_model import FreshProcess, Rescoring, _environment, spread_rows, tolerance
from llmtune.predictions import make_predictions
from llmtune.training.hardware import free_memory

NAMES = ("ham", "spam")


def filter_table(probabilities, threshold=0.5, **more):
    """Of a filter: one row for each probability of spam."""
    columns = {
        "reference": ["ham"] * len(probabilities),
        "prediction": [NAMES[p >= threshold] for p in probabilities],
        "probabilities": [[1 - p, p] for p in probabilities],
    }
    return make_predictions("classification", columns, label_names=NAMES, threshold=threshold, **more)


def check_of(before, after, relative=1e-3, **more):
    return saved_model(Rescored(before, after, relative, len(before), **more))


def test_rounding_is_no_fault_even_where_it_turns_a_row_at_the_threshold():
    before, after = filter_table([0.9, 0.50001, 0.1]), filter_table([0.9, 0.49999, 0.1])

    assert before.column("prediction") != after.column("prediction")
    assert check_of(before, after).status == PASS


def test_a_row_that_turns_far_from_the_threshold_is_a_fault():
    before, after = filter_table([0.9, 0.6, 0.1]), filter_table([0.9, 0.4, 0.1])

    check = check_of(before, after)

    assert check.status == FAIL
    assert check.finding.startswith(
        "The saved model is not the measured one: it answers 1 of 3 test rows otherwise (1 decided otherwise), "
        "probabilities differ by up to 0.2; rows 1; "
    )
    assert check.numbers["ids_apart"] == ["1"]


@pytest.mark.parametrize(("relative", "status"), [(tolerance("float32", "fp32"), FAIL), (0.125, PASS)])
def test_what_bfloat16_rounds_is_a_fault_in_float32_alone(relative, status):
    assert check_of(filter_table([0.8, 0.3]), filter_table([0.805, 0.302]), relative).status == status


def test_the_tolerance_follows_the_coarser_of_weights_and_evaluation():
    assert tolerance("float32", "fp32") == 1e-4
    assert tolerance("bfloat16", "bf16") == tolerance("float32", "bf16") == tolerance("4-bit", "bf16") == 16 * 2**-7
    assert tolerance("float16", "fp16") == 16 * 2**-10


def test_a_model_that_could_not_be_checked_is_said_and_not_judged():
    table = filter_table([0.9])
    rescored = Rescored(table, None, 1e-3, 1, unchecked="it took more than 1,800 s")

    assert saved_model(rescored).status == saved_model(None).status == NOT_APPLICABLE
    assert caution(rescored) == ["the saved model was not loaded again: it took more than 1,800 s"]
    assert caution(None) == caution(replace(rescored, unchecked="")) == []


def test_a_model_that_is_refused_says_why():
    check = check_of(filter_table([0.9]), None, refused="OSError: no such file", settings={"max_length": (24, 8)})

    assert check.status == FAIL
    assert check.finding == (
        "The saved model can't be used: OSError: no such file; max_length is 8 in its config and was 24"
    )


def test_a_process_that_was_killed_leaves_the_model_unchecked(tmp_path):
    process = FreshProcess()
    os.kill(process.process.pid, signal.SIGKILL)
    process.process.wait()
    process.ask(tmp_path)

    ended = process.finish()

    assert ended == "its process was ended by signal 9, as where memory runs out"
    (tmp_path / "request").mkdir()
    rescored = Rescoring(tmp_path / "request", filter_table([0.9]), 1e-3, 1).result(ended)
    assert rescored.unchecked == ended
    assert not rescored.refused


def test_a_process_that_fails_otherwise_is_a_fault_with_its_last_line(tmp_path):
    process = FreshProcess()
    process.ask(tmp_path / "nothing-here")

    ended = process.finish()

    assert ended.startswith("FileNotFoundError: ")
    (tmp_path / "request").mkdir()
    assert Rescoring(tmp_path / "request", filter_table([0.9]), 1e-3, 1).result(ended).refused == ended


def test_rows_are_spread_over_lengths_and_hold_every_class():
    n = 1_000
    columns = {
        "reference": ["rare" if i == 777 else "common" for i in range(n)],
        "prediction": ["common"] * n,
        "probabilities": [[0.5, 0.5]] * n,
    }
    lengths = np.random.default_rng(0).permutation(n)
    table = make_predictions(
        "classification", columns, label_names=("common", "rare"), carried={"length": lengths.tolist()}
    )

    rows = spread_rows(table, 50)

    assert len(set(rows.tolist())) == 50
    assert 777 in rows
    assert (np.diff(np.sort(lengths[rows])) < 3 * n / 50).all()
    assert (rows == spread_rows(table, 50)).all()


def test_the_fresh_process_is_alone_whoever_launched_this_one(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID", "ACCELERATE_USE_FSDP"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")

    own = _environment(1)

    assert not {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID"} & set(own)
    assert "ACCELERATE_USE_FSDP" not in own
    assert own["CUDA_VISIBLE_DEVICES"] == "6"
    assert _environment(None)["CUDA_VISIBLE_DEVICES"] == ""


def test_settings_within_settings_are_named_after_both():
    before = {"scales": {"a": {"size": 1.0}}, "max_length": 8}

    assert different(before, {"scales": {"a": {"size": 2.0}}, "max_length": 8}) == {"scales.a.size": (1.0, 2.0)}
    assert different(before, {"max_length": 8}) == {"scales": ({"a": {"size": 1.0}}, None)}


def test_where_memory_runs_out_the_fresh_process_goes_first():
    code = (
        "from llmtune.training.hardware import be_killed_first; be_killed_first();"
        "print(open('/proc/self/oom_score_adj').read())"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "1000"
    assert free_memory() > 2**20
