"""SECURITY.md's promises name tests that exist, no code of ours runs what a file says, and the audit is honest."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmtune.benchmark.run import table_file
from llmtune.commands.train import find_recipe
from llmtune.errors import InputError

ROOT = Path(__file__).parents[1]
ROWS = re.findall(r"^\| (?!promise|---)(.+) \| (.+) \|$", (ROOT / "SECURITY.md").read_text(encoding="utf-8"), re.M)
OURS = sorted(path for folder in ("llmtune", "recipes", "scripts") for path in (ROOT / folder).rglob("*.py"))
# Names that run, or unpickle, what they are given.
NEVER = {"eval", "exec", "compile", "__import__", "pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load"}
NEVER |= {"torch.load", "joblib.load", "os.system", "os.popen", "tempfile.mktemp"}


def test_the_table_of_promises_is_read():
    assert len(ROWS) >= 12


@pytest.mark.parametrize(("promise", "tests"), ROWS, ids=[row[0][:40] for row in ROWS])
def test_every_promise_has_its_tests(promise, tests):
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", tests)

    assert named, promise
    for path, name in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not name or re.search(rf"^def {name}\(", text, re.M), f"{path} has no {name}"


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_of_ours_runs_or_unpickles_what_it_is_given(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]

    assert not {ast.unparse(call.func) for call in calls} & NEVER
    shells = [call for call in calls if any(word.arg == "shell" for word in call.keywords)]
    assert not shells, ast.unparse(shells[0])


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a/../../b", "openai:http://x/../y#../z"])
def test_the_name_of_a_model_leads_out_of_no_folder(name, tmp_path):
    file = table_file(tmp_path, "classification", name)

    assert file.parent == tmp_path / "predictions" / "classification"
    assert file.resolve().is_relative_to(tmp_path.resolve())


def test_the_name_of_a_recipe_leads_to_no_other_file(tmp_path):
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')")

    with pytest.raises(InputError, match="no such recipe; name one of"):
        find_recipe(str(tmp_path / "evil.py"))


def audited(folder, dependencies):
    """scripts/audit with a stand-in of pip-audit, which writes what a service answered; None: nothing."""
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "audit", folder / "scripts")
    programs = folder / ".venv-audit" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    answer = "" if dependencies is None else json.dumps({"dependencies": dependencies})
    (folder / "answer").write_text(answer)
    (programs / "pip-audit").write_text(
        f'#!/usr/bin/env bash\nwhile [ "$1" != --output ]; do shift; done\ncat {folder}/answer > "$2"\nexit 1\n'
    )
    (programs / "pip-audit").chmod(0o755)
    return subprocess.run(["bash", str(folder / "scripts" / "audit")], capture_output=True, text=True)


SAFE = {"name": "torch", "version": "2.13.0", "vulns": []}
KNOWN = {"name": "x", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
UNREAD = {"name": "y", "version": "1", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("dependencies", "code", "said"),
    [
        ([SAFE], 0, "1 of 1 packages audited, known vulnerabilities: 0"),
        ([SAFE, KNOWN], 1, "x 1: CVE-1, fixed in 2\n2 of 2 packages audited, known vulnerabilities: 1"),
        ([SAFE, UNREAD], 3, "1 of 2 packages audited, known vulnerabilities: 0"),  # pip-audit itself ends with 0 here
        ([UNREAD, KNOWN], 1, "1 of 2 packages audited, known vulnerabilities: 1"),
        (None, 3, ""),
    ],
)
def test_the_audit_is_never_clean_where_it_could_not_look(dependencies, code, said, tmp_path):
    done = audited(tmp_path, dependencies)

    assert done.returncode == code, done.stderr
    assert done.stdout.strip().endswith(said)
    assert ("not audited" in done.stderr or "nothing was audited" in done.stderr) == (
        dependencies is None or UNREAD in dependencies
    )
