"""metrics.json and run.json: valid JSON, whole or absent, without secrets."""

import json
import os
from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from llmtune.metrics import score_predictions
from llmtune.predictions import make_predictions
from llmtune.runs.folder import hardware, peak_memory_mib, run_content, write_json, write_metrics


class Color(Enum):
    RED = "red"


def test_metrics_are_nested_by_split_and_hold_no_nan(tmp_path):
    broken = make_predictions(
        "classification",
        {"reference": ["a", "b"], "prediction": ["a", "b"], "probabilities": np.array([[np.nan, np.nan], [0.1, 0.9]])},
        label_names=("a", "b"),
    )

    write_metrics(tmp_path, {"test": score_predictions(broken)})

    read = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert read["test"]["accuracy"]["value"] == 1.0
    assert read["test"]["log_loss"]["value"] is None
    assert set(read["test"]["accuracy"]) == {"value", "low", "high", "n", "signature"}


def test_nan_is_refused_and_the_old_file_stays(tmp_path):
    write_json(tmp_path / "x.json", {"é": [1, None]})

    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})

    assert json.loads((tmp_path / "x.json").read_text()) == {"é": [1, None]}
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_run_tells_arguments_versions_hardware_and_no_secret(tmp_path):
    arguments = {
        "training": {
            "hub_token": "hf_secret",
            "push_to_hub_token": "x",
            "optim": Color.RED,
            "seed": 1,
            "run_name": None,
        }
    }
    facts = {"model": {"path": Path("a/b"), "sizes": (1, 2)}, "training": {"loss": np.float64(0.5)}}

    described = run_content(arguments, facts)

    write_json(tmp_path / "run.json", described)
    read = json.loads((tmp_path / "run.json").read_text())
    assert read["arguments"]["training"]["seed"] == 1
    assert "hf_secret" not in json.dumps(read)
    assert "run_name" not in read["arguments"]["training"]
    assert read["model"] == {"path": "a/b", "sizes": [1, 2]}
    assert read["training"]["loss"] == 0.5
    assert {"python", "torch", "transformers", "peft", "llmtune"} <= set(read["versions"])
    assert read["peak_memory_mib"] > 50


def test_a_loss_that_is_not_finite_is_said_in_words(tmp_path):
    described = run_content(
        {}, {"training": {"losses": [{"step": 1, "loss": float("nan")}, {"step": 2, "loss": float("inf")}]}}
    )

    write_json(tmp_path / "run.json", described)

    losses = json.loads((tmp_path / "run.json").read_text())["training"]["losses"]
    assert [entry["loss"] for entry in losses] == ["nan", "inf"]


def test_the_machine_is_described():
    found = hardware()

    assert found["cores"] == len(os.sched_getaffinity(0))
    assert found["cpu"]
    assert 50 < peak_memory_mib() < 1e6
