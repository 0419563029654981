"""Planted faults are found and clean tables are left alone: cases drawn by scripts/gauntlet.py, on fixed seeds."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "gauntlet.py"
_spec = importlib.util.spec_from_file_location("gauntlet", SCRIPT)
gauntlet = importlib.util.module_from_spec(_spec)
sys.modules["gauntlet"] = gauntlet
_spec.loader.exec_module(gauntlet)


@pytest.mark.parametrize("check", gauntlet.FAULTS)
def test_every_strong_fault_is_found(check):
    missed = [seed for seed in range(6) if not gauntlet.is_found(seed, check, "strong")]

    assert missed == []


def test_a_fault_of_no_strength_is_no_fault():
    # The planted faults that fade to nothing; the others are faults at any strength.
    fading = ("targets", "length", "fairness", "label_noise", "baseline", "worse_than_base", "degenerate_output")
    fading += ("saved_model",)
    gauntlet.STRENGTHS["none"] = 0.0

    found = [(check, seed) for check in fading for seed in range(4) if gauntlet.is_found(seed, check, "none")]

    assert found == []


def test_no_clean_case_fails():
    alarms = {seed: found for seed in range(1_000, 1_060) if (found := gauntlet.false_alarm(seed))}

    assert alarms == {}


def test_every_check_has_its_fault():
    from llmtune.diagnosis.context import Context, checks_of

    names = [check.check for check in checks_of(gauntlet.alone(gauntlet.np.random.default_rng(0), 1.0))]

    assert Context is gauntlet.Context
    assert sorted(names) == sorted(gauntlet.FAULTS)


@pytest.mark.parametrize("fault", gauntlet.WRONG, ids=lambda fault: fault.__name__)
def test_a_table_that_another_tool_wrote_wrong_is_seen(fault, tmp_path):
    missed = [seed for seed in range(6) if not fault(gauntlet.np.random.default_rng(seed), tmp_path / "a.jsonl")]

    assert missed == []
