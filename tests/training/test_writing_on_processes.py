"""Models that write: the same training for any cut of the effective batch, the same answers for any batch and process.

Answers are greedy in float32. A row may differ only where two tokens are tied, which is told by the least gap between
the two likeliest; none of these rows is.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.test_processes import PYTHON
from tests.training.write_on_processes import SIZES

# Marian, BART and mBART are one architecture; mBART also shifts a language: it stands for the three.
ALSO_SLOW = ("marian", "bart")
MODELS = [pytest.param(name, marks=pytest.mark.slow) if name in ALSO_SLOW else name for name in SIZES]

SCRIPT = Path(__file__).with_name("write_on_processes.py")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """What one process and two processes saw."""
    found = {}
    models = [name for name in SIZES if request.config.getoption("--slow") or name not in ALSO_SLOW]
    for processes, launcher in PYTHON.items():
        folder = tmp_path_factory.mktemp(f"writing-on-{processes}")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [*launcher, str(SCRIPT), str(folder / "seen.json"), str(folder), *models]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        found[processes] = json.loads((folder / "seen.json").read_text())
        assert found[processes]["processes"] == processes
    return found


def test_loss_and_gradient_norm_do_not_depend_on_the_cut_of_the_effective_batch(seen):
    cases: dict[str, dict[str, np.ndarray]] = {}
    for of in seen.values():
        for record in of["exact"]:
            assert record["pending"], "no logits of all tokens"
            cases.setdefault(record["case"], {})[record["split"]] = np.array(record["updates"])

    assert len(cases) >= 2 * len(SIZES) - 2 * len(ALSO_SLOW)
    for case, splits in cases.items():
        assert set(splits) == {"1 x 8 x 1", "1 x 4 x 2", "1 x 2 x 4", "2 x 4 x 1", "2 x 2 x 2", "2 x 1 x 4"}
        whole = splits["1 x 8 x 1"]
        assert whole.shape == (3, 2)
        assert np.isfinite(whole).all()
        for split, updates in splits.items():
            np.testing.assert_allclose(updates, whole, rtol=1e-5, err_msg=f"{case}, processes x batch x steps {split}")


def test_nor_where_unused_parameters_are_looked_for(seen):
    plain = {record["case"]: record["updates"] for record in seen[1]["exact"] if record["split"] == "1 x 8 x 1"}

    for processes, of in seen.items():
        assert {record["case"] for record in of["looking_for_unused"]} == {"t5, 17 rows", "llama, 17 rows"}
        for record in of["looking_for_unused"]:
            assert record["pending"] is (processes == 1), "DDP would take the projection for unused"
            np.testing.assert_allclose(record["updates"], plain[record["case"]], rtol=1e-5)


@pytest.mark.parametrize("model_type", MODELS)
def test_answers_do_not_depend_on_batch_size_or_processes(seen, model_type):
    records = [
        {"processes": processes, **record}
        for processes, of in seen.items()
        for record in of["answered"]
        if record["model"] == model_type
    ]
    first = records[0]

    assert len(records) == 6
    assert len(set(first["answers"])) > 1, "a model that says one thing tells nothing of its order"
    for record in records:
        where = f"{model_type}, {record['processes']} processes, batch {record['batch']}"
        different = [i for i, (a, b) in enumerate(zip(record["answers"], first["answers"], strict=True)) if a != b]
        assert different == [], where
        assert record["answers without targets"] == record["answers"], where
        assert record["tokens"] == first["tokens"]
        np.testing.assert_allclose(record["nats"], first["nats"], rtol=1e-5, err_msg=where)
