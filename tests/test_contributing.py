"""CONTRIBUTING.md says which files to touch: they exist, hold what is named, and are enough."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from llmtune.models.families import FAMILIES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
STEP = re.compile(r"^- (new|edit) `([^`]+)`(?:, `([^`]+)`)?: ", re.MULTILINE)


class Step(NamedTuple):
    """One file of a list: new, or edited at a name."""

    act: str
    path: str
    name: str


def steps(section: str) -> list[Step]:
    return [Step(*match) for match in STEP.findall(SECTIONS[section])]


ADDITIONS = [section for section in SECTIONS if section.startswith("To add ")]
STEPS = [(section, step) for section in ADDITIONS for step in steps(section)]


def test_every_line_of_a_list_of_files_is_read():
    assert len(ADDITIONS) == 5
    for section in ADDITIONS:
        assert len(steps(section)) == len(re.findall(r"^- ", SECTIONS[section], flags=re.MULTILINE)) > 0, section


@pytest.mark.parametrize(("section", "step"), STEPS, ids=lambda value: getattr(value, "path", value))
def test_the_files_and_places_to_touch_exist(section, step):
    if step.act == "edit":
        assert step.name in definitions(ROOT / step.path)
        return
    siblings = [path for path in ROOT.glob(step.path.replace("NAME", "*")) if path.name != "__init__.py"]
    assert siblings or list(ROOT.glob(step.path.replace("NAME", "*"))), "nothing of this kind is there yet"


def definitions(path: Path) -> set[str]:
    """What a module defines: functions, classes and constants."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def code(section: str) -> str:
    """The example of a section."""
    (block,) = re.findall(r"```python\n(.*?)```", SECTIONS[section], flags=re.DOTALL)
    return str(block)


def insert(path: Path, before: str, line: str) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count(before) == 1, f"{path}: {before!r} is not there once"
    path.write_text(source.replace(before, line + before), encoding="utf-8")


def test_the_examples_are_a_metric_and_a_check_in_as_many_files_as_the_page_says(tmp_path):
    shutil.copytree(ROOT / "llmtune", tmp_path / "llmtune", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "llmtune" / "metrics" / "error_rate.py").write_text(code("To add a metric"))
    (tmp_path / "llmtune" / "diagnosis" / "never_predicted.py").write_text(code("To add a check"))
    context = tmp_path / "llmtune" / "diagnosis" / "context.py"
    insert(context, "        label_noise(test),\n", "        never_predicted(test),\n")
    insert(
        context, "from llmtune.diagnosis.numerics", "from llmtune.diagnosis.never_predicted import never_predicted\n"
    )
    rows = [("ham", "ham")] * 60 + [("spam", "ham")] * 40
    (tmp_path / "t.csv").write_text("reference,prediction\n" + "\n".join(map(",".join, rows)))

    command = [sys.executable, "-m", "llmtune.cli", "report", "t.csv", "--kind", "classification"]
    flags = ["--metrics", "error_rate", "--output_dir", "out"]
    done = subprocess.run(
        [*command, *flags], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stderr
    score = json.loads((tmp_path / "out" / "metrics.json").read_text())["test"]["error_rate"]
    assert score["value"] == pytest.approx(0.4)
    assert score["low"] < 0.4 < score["high"]
    checks = {check["check"]: check for check in json.loads((tmp_path / "out" / "verdict.json").read_text())["checks"]}
    assert checks["never_predicted"]["status"] == "fail"
    assert checks["never_predicted"]["finding"] == "The model never predicts spam: 0 of 100 rows"


def test_a_family_defines_what_the_page_names():
    (new,) = re.findall(r"^- new `llmtune/models/NAME.py`: (.+)$", SECTIONS["To add a model family"], re.MULTILINE)

    for name, family in FAMILIES.items():
        assert set(re.findall(r"`(\w+)`", new)) <= vars(family).keys(), name


def test_the_tests_that_the_page_names_exist():
    named = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)

    assert len(named) >= 7
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_table_of_names_has_the_fields_that_the_rules_name():
    sources = set(re.findall(r"^\|.*\| ([\w -]+) \|$", SECTIONS["Names"], flags=re.MULTILINE))

    assert {"transformers", "scikit-learn", "SciPy", "sacreBLEU", "SQuAD", "deepchecks"} <= sources
