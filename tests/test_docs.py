"""What README and docs show runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub_stand_in import Hub

ROOT = Path(__file__).parents[1]

# What the block of the README is given: the predictions of two models on the same rows.
GIVEN = """
import pandas as pd
references = ["spam" if i % 3 == 0 else "ham" for i in range(120)]
predictions = [label if i % 8 else "ham" for i, label in enumerate(references)]
probabilities = [[0.1, 0.9] if label == "spam" else [0.8, 0.2] for label in predictions]
train_frame = pd.DataFrame({"text": ["free prize", "at noon"] * 20, "label": ["spam", "ham"] * 20})
frame = pd.DataFrame({"reference": references, "prediction": ["ham"] * 120})
"""


def run(script, folder, **environment):
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def block():
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Any model's predictions, in Python")[2]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


def test_the_block_of_the_readme_runs(block, tmp_path):
    """Each expression is printed, as a notebook would show it."""
    shown = re.sub(r"^(report(?:\.\w+.*?)?|compare\(.*?\)) +# .*$", r"print(\1)", block, flags=re.MULTILINE)
    with Hub({}) as hub:
        to_hub = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_x"}
        done = run(GIVEN + shown, tmp_path, **to_hub)

        assert done.returncode == 0, done.stderr
        assert set(hub.commits["you/spam"][0]) == {"report.html", "metrics.json", "verdict.json", "README.md"}
    assert {path.name for path in (tmp_path / "judged").iterdir()} == {"report.html", "metrics.json", "verdict.json"}
    lines = done.stdout.splitlines()
    assert lines[0] == "Report 'predictions': text classification, 120 rows of test"
    assert any(line.startswith("Score(value=") for line in lines)
    assert f"{hub.url}/you/spam" in lines
    assert any(line.startswith("B is significantly better than A on f1: +") for line in lines)


def test_the_notebook_runs_without_torch(tmp_path):
    script = f"import runpy, sys; runpy.run_path({str(ROOT / 'docs' / 'judge_in_memory.py')!r})\n"

    done = run(script + "print('torch' in sys.modules, 'transformers' in sys.modules)", tmp_path)

    assert done.returncode == 0, done.stderr
    written = {path.name for path in (tmp_path / "judged").iterdir()}
    assert written == {"report.html", "metrics.json", "verdict.json", "compare.html", "comparison.json"}
    assert "B is significantly better than A on f1" in done.stdout
    assert "held out of train (30.0%, stratified by 'label', equal texts kept together, seed 42)" in done.stdout
    assert done.stdout.splitlines()[-1] == "False False"
