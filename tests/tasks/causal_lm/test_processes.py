"""One training and one perplexity, for any batch, accumulation, number of processes and packing."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tasks.causal_lm.on_processes import MODELS
from tests.training.test_processes import PYTHON

SCRIPT = Path(__file__).with_name("on_processes.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """What one process and two processes saw."""
    found = {}
    for processes, launcher in PYTHON.items():
        folder = tmp_path_factory.mktemp(f"causal-on-{processes}")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [*launcher, str(SCRIPT), str(folder / "seen.json"), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        found[processes] = json.loads((folder / "seen.json").read_text())
        assert found[processes]["processes"] == processes
    return found


@pytest.mark.parametrize("case", [f"{model}, {rows}" for model in MODELS for rows in ("packed", "alone")])
def test_loss_and_gradient_norm_do_not_depend_on_the_cut_of_the_effective_batch(seen, case):
    splits = {
        record["split"]: np.array(record["updates"])
        for records in seen.values()
        for record in records["exact"]
        if record["case"] == case
    }

    assert set(splits) == {"1 x 8 x 1", "1 x 4 x 2", "1 x 2 x 4", "2 x 4 x 1", "2 x 2 x 2", "2 x 1 x 4"}
    first = splits["1 x 8 x 1"]
    assert len(first) >= 2
    for split, updates in splits.items():
        np.testing.assert_allclose(updates, first, rtol=1e-5, err_msg=f"processes x batch x steps {split}")


@pytest.mark.parametrize("model_type", MODELS)
def test_nor_do_they_depend_on_packing(seen, model_type):
    updates = [
        record["updates"] for records in seen.values() for record in records["whole"] if record["model"] == model_type
    ]

    assert len(updates) == 4
    for update in updates:
        np.testing.assert_allclose(update, updates[0], rtol=1e-5)


@pytest.mark.parametrize("model_type", MODELS)
def test_likelihoods_do_not_depend_on_batch_size_or_processes(seen, model_type):
    records = [record for records in seen.values() for record in records["scored"] if record["model"] == model_type]

    assert len(records) == 6
    for record in records:
        assert record["tokens"] == records[0]["tokens"]
        assert record["correct"] == records[0]["correct"]
        np.testing.assert_allclose(record["nll"], records[0]["nll"], rtol=1e-5)
