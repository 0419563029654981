"""What README and docs show runs as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmtune.models.families import FAMILIES
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
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Any model's predictions, in Python\n")[2]
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
    assert any(line.startswith("B is significantly better than A on f1 of spam: +") for line in lines)


def run_notebook(name, folder, monkeypatch, **replaced):
    """Runs a file of docs/ in this process, in another folder."""
    path = ROOT / "docs" / name
    source = path.read_text(encoding="utf-8")
    for old, new in replaced.values():
        assert old in source
        source = source.replace(old, new)
    monkeypatch.chdir(folder)
    exec(compile(source, str(path), "exec"), {"__name__": "notebook", "__file__": str(path)})


def test_predictions_of_two_models_are_judged_and_compared(tmp_path, monkeypatch, capsys):
    run_notebook("judge_in_memory.py", tmp_path, monkeypatch)

    printed = capsys.readouterr().out
    written = {path.name for path in (tmp_path / "judged").iterdir()}
    assert written == {"report.html", "metrics.json", "verdict.json", "compare.html", "comparison.json"}
    assert "B is significantly better than A on f1" in printed
    assert "held out of train (30.0%, stratified by 'label', equal texts kept together, seed 42)" in printed


def test_a_recipe_runs_on_a_table_in_memory(tmp_path, monkeypatch, capsys):
    # What is learned is not the point here.
    run_notebook("train_in_memory.py", tmp_path, monkeypatch, steps=("num_train_epochs=2", "max_steps=3"))

    run = json.loads((tmp_path / "runs" / "notebook" / "run.json").read_text())
    assert run["data"]["test"]["source"] == "messages[train]"
    assert run["data"]["test"]["made"].startswith("held out of train (20.0%, stratified by 'label'")
    assert run["training"]["steps"] == 3
    page = (tmp_path / "runs" / "notebook" / "report.html").read_text(encoding="utf-8")
    assert "680 rows of the split" in page
    assert "How to reproduce" not in page  # a config can't hold rows
    assert "Report 'notebook': text classification, 680 rows of test" in capsys.readouterr().out


def test_the_table_of_families_lists_every_model_type():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| family | `model_type` | trained for |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| (\w+) \| ([\w, -]+?)(?: \(from scratch\))? \|", table, re.MULTILINE))

    assert {name: tuple(types.split(", ")) for name, types in rows.items()} == {
        name: family.MODEL_TYPES for name, family in FAMILIES.items()
    }
