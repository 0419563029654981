"""docs/track-record.md: a fault that has a command can be planted in today's code, and tests catch it."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import reproduce  # noqa: E402 - the path comes first

PAGE = (ROOT / reproduce.PAGE).read_text(encoding="utf-8")
FAULTS = reproduce.faults(ROOT)


def test_at_least_30_faults_can_be_planted():
    assert len(FAULTS) >= 30
    assert len(FAULTS) == len(list((ROOT / reproduce.PATCHES).iterdir())), "two patches of one number, or another file"


def test_the_table_counts_up_and_names_the_command_of_each_patch():
    lines = dict(re.findall(r"^\| (\d+) \|(.*)$", PAGE, re.MULTILINE))
    commands = {number: re.search(r"`scripts/reproduce (\d+)`", line) for number, line in lines.items()}

    assert [int(number) for number in lines] == list(range(1, len(lines) + 1)) == list(reproduce.descriptions(PAGE))
    assert {int(number) for number, command in commands.items() if command} == set(FAULTS)
    assert all(command[1] == number for number, command in commands.items() if command)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.patch.stem)
def test_the_patch_of_a_fault_applies_to_the_code_of_today(fault):
    assert reproduce.apply_patch(ROOT, fault.patch, "--check") == "", "plant the fault anew, as CONTRIBUTING.md says"


def test_the_tests_that_catch_a_fault_exist():
    named = [test.partition("::") for fault in FAULTS.values() for test in fault.tests]
    functions = {
        file: {
            node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)
        }
        for file, _, _ in named
    }

    assert [fault.number for fault in FAULTS.values() if not fault.tests] == []
    assert [f"{file}::{name}" for file, _, name in named if name not in functions[file]] == []


@pytest.fixture
def small_tree(tmp_path):
    """A project of one function with the script, and no patch yet."""
    for folder in ("scripts", "docs", "llmtune", str(reproduce.PATCHES)):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "reproduce.py", tmp_path / "scripts")
    (tmp_path / "llmtune" / "__init__.py").touch()
    (tmp_path / "llmtune" / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "tests" / "conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--slow', action='store_true')\n"
    )
    (tmp_path / "tests" / "test_sums.py").write_text(
        "from llmtune.sums import add\n\n\ndef test_a_sum():\n    assert add(2, 2) == 4\n\n\n"
        "def test_nothing():\n    pass\n\n\ndef test_what_never_holds():\n    assert add(2, 2) == 5\n"
    )
    return tmp_path


def write_patch(tree, number, test="test_a_sum", before="a + b", after="a + b + 1"):
    (tree / reproduce.PATCHES / f"{number:02}-sums.patch").write_text(
        f"Test: tests/test_sums.py::{test}\n\n--- a/llmtune/sums.py\n+++ b/llmtune/sums.py\n@@ -1,2 +1,2 @@\n"
        f" def add(a, b):\n-    return {before}\n+    return {after}\n"
    )


def run_script(tree, *arguments):
    code = "import sys, reproduce; reproduce.LIBRARIES = (); sys.exit(reproduce.main())"  # this tree needs none of them
    environment = {**os.environ, "PYTHONPATH": str(tree / "scripts")}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_a_fault_is_caught_where_its_tests_pass_without_it_and_fail_with_it(small_tree):
    write_patch(small_tree, 1)
    write_patch(small_tree, 2, test="test_nothing")
    write_patch(small_tree, 3, test="test_what_never_holds")
    write_patch(small_tree, 4, after="a +")  # no fault: nothing can be run
    write_patch(small_tree, 5, before="a - b")
    write_patch(small_tree, 6)

    done = run_script(small_tree, "--all")

    lines = [re.sub(r" +[\d.]+ s  ", " ", line).strip() for line in done.stdout.splitlines()]
    assert lines[:-2] == [
        "1 caught 01-sums",
        "2 NOT CAUGHT 02-sums",
        "with the fault does not fail: tests/test_sums.py::test_nothing",
        "3 NOT CAUGHT 03-sums",
        "without the fault does not pass: tests/test_sums.py::test_what_never_holds",
        "4 NOT CAUGHT 04-sums",
        "with the fault does not fail: tests/test_sums.py::test_a_sum",
        "5 NOT CAUGHT 05-sums",
        *[line for line in lines if "05-sums.patch does not apply (CONTRIBUTING.md says what to do): " in line],
        *[line for line in lines if line == "error: llmtune/sums.py: patch does not apply"],
    ]
    assert lines[-2:] == ["6 caught 06-sums", "2 of 6 faults are caught"]
    assert done.returncode == 1


def test_a_number_without_a_patch_is_refused_and_the_others_are_listed(small_tree):
    write_patch(small_tree, 1)
    (small_tree / reproduce.PAGE).write_text("| 1 | Two and two were five | abc | a test | def | … |\n")

    assert run_script(small_tree, "--list").stdout == "  1 Two and two were five\n    tests/test_sums.py::test_a_sum\n"
    for arguments, message in ((["7"], "found 7, expected numbers that have a patch in"), ([], "found no number")):
        refused = run_script(small_tree, *arguments)
        assert refused.returncode == 2
        assert message in refused.stderr


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_fault_is_caught():
    command = [sys.executable, str(ROOT / "scripts" / "reproduce.py"), "--all"]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
