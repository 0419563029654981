"""One effective batch cut in any way, on one and on two real processes: the same training, the same predictions."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("run_on_processes.py")
ACCELERATE = Path(sys.executable).with_name("accelerate")
PYTHON = {
    1: [sys.executable],
    # Not `accelerate launch --cpu --num_processes 2`: accelerate 1.15 then starts one process, without a word.
    2: [str(ACCELERATE), "launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"],
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """What one process and two processes saw."""
    found = {}
    for processes, launcher in PYTHON.items():
        folder = tmp_path_factory.mktemp(f"on-{processes}")
        command = [*launcher, str(SCRIPT), str(folder / "seen.json"), str(folder)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found[processes] = json.loads((folder / "seen.json").read_text())
        assert found[processes]["processes"] == processes
    return found


def _by_case(seen: dict[int, dict[str, Any]], section: str) -> dict[str, dict[str, np.ndarray]]:
    cases: dict[str, dict[str, np.ndarray]] = {}
    for of in seen.values():
        for record in (record for record in of[section] if "updates" in record):
            cases.setdefault(record["case"], {})[record["split"]] = np.array(record["updates"])
    return cases


def _check_cuts(cases: dict[str, dict[str, np.ndarray]]) -> None:
    for case, splits in cases.items():
        assert set(splits) == {"1 x 8 x 1", "1 x 4 x 2", "1 x 2 x 4", "2 x 4 x 1", "2 x 2 x 2", "2 x 1 x 4"}
        whole = splits["1 x 8 x 1"]
        assert whole.shape == (3, 2), "21 and 17 rows: two whole effective batches and a tail"
        for split, updates in splits.items():
            np.testing.assert_allclose(updates, whole, rtol=1e-5, err_msg=f"{case}, processes x batch x steps {split}")


def test_loss_and_gradient_norm_do_not_depend_on_the_cut_of_the_effective_batch(seen):
    cases = _by_case(seen, "exact")

    assert len(cases) == 17
    _check_cuts(cases)


def test_nor_do_those_of_answers_as_spans(seen):
    cases = _by_case(seen, "spans")

    assert set(cases) == {"bert, 21 rows", "bert, 17 rows", "llama, 21 rows"}
    _check_cuts(cases)


def test_nor_do_those_of_rows_in_windows_and_a_row_counts_once_however_many_it_has(seen):
    cases = _by_case(seen, "windows")

    assert set(cases) == {
        *("bert, mean, label, 21 rows", "bert, max, label, 17 rows", "llama, max, label, 21 rows"),
        *("lstm, mean, label, 17 rows", "bert, mean, labels, 17 rows", "bert, max, score, 17 rows"),
    }
    _check_cuts(cases)
    tokens: dict[str, set[int]] = {}
    for of in seen.values():
        for record in of["windows"]:
            if "plain" in record:
                np.testing.assert_allclose(record["logits"], record["plain"], atol=1e-5)
                np.testing.assert_allclose(record["without labels"], record["plain"], atol=1e-5)
            else:
                tokens.setdefault(record["case"], set()).add(record["tokens"]["real_tokens"])
    assert all(len(counts) == 1 for counts in tokens.values())


def test_nor_do_those_of_several_labels_a_row(seen):
    cases = _by_case(seen, "several_labels")

    assert len(cases) == 4
    _check_cuts(cases)


def test_the_stock_trainer_inflates_both_by_accumulation_and_processes(seen):
    """Were this to fail, transformers#47688 is mended and the test above could no longer tell."""
    for splits in _by_case(seen, "stock").values():
        (loss, norm) = splits["1 x 8 x 1"][0]

        assert splits["1 x 2 x 4"][0] == pytest.approx((4 * loss, 4 * norm), rel=1e-4)
        assert splits["2 x 4 x 1"][0] == pytest.approx((2 * loss, 2 * norm), rel=1e-4)
        assert splits["2 x 2 x 2"][0] == pytest.approx((4 * loss, 4 * norm), rel=1e-4)


def test_tokens_are_counted_over_all_processes(seen):
    on_one, on_two = (
        {record["split"]: record["tokens"] for record in of["exact"] if record["case"] == "bert, plain, 21 rows"}
        for of in seen.values()
    )

    real = on_one["1 x 8 x 1"]["real_tokens"]
    assert {tokens["real_tokens"] for tokens in [*on_one.values(), *on_two.values()]} == {real}
    assert {tokens["padded_tokens"] for tokens in on_one.values()} == {real}, "nothing is computed but real tokens"
    assert real <= on_two["2 x 2 x 2"]["padded_tokens"] < 1.1 * real, "and filler rows of the second process"


def test_predictions_come_in_file_order_and_each_row_once(seen):
    for of in seen.values():
        for record in of["predicted"]:
            assert record["labels"] == [int(i % 3 == 0) for i in range(record["rows"])]
            assert len(record["logits"]) == record["rows"]
            np.testing.assert_allclose(record["without labels"], record["logits"], atol=1e-6)
    for one, two in zip(seen[1]["predicted"], seen[2]["predicted"], strict=True):
        np.testing.assert_allclose(two["logits"], one["logits"], atol=1e-6)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("model_type", "tolerance"), [("bert", 1e-7), ("lstm", 0)])
def test_training_resumed_in_the_middle_of_an_epoch_ends_with_the_same_weights(seen, processes, model_type, tolerance):
    uninterrupted, resumed = (run for run in seen[processes]["resumed"] if run["model_type"] == model_type)

    assert uninterrupted["steps"] == resumed["steps"] == 6
    assert uninterrupted["tokens"] == resumed["tokens"]
    np.testing.assert_allclose(resumed["weights"], uninterrupted["weights"], atol=tolerance, rtol=0)


def test_all_processes_end_with_the_weights_that_the_first_one_loaded(seen):
    (alone,), (sums,) = ([record["sums"] for record in seen[processes]["best"]] for processes in (1, 2))

    assert len(sums) == 2
    assert sums[0] == sums[1] == pytest.approx(alone[0], rel=1e-4)
