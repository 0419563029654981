"""Plants a fault that llmtune once had into a copy of the tree, and asks the tests that are named for it to fail.

    scripts/reproduce 7 12      # two faults of docs/track-record.md
    scripts/reproduce --all     # all of them: minutes
    scripts/reproduce --list    # their numbers, tests and what went wrong

The patch of fault N is tests/track_record/N-NAME.patch: lines `Test: tests/FILE.py::NAME`, then the diff that brings
the fault back. A fault is caught where each of its tests passes on the tree as it is, and fails with the fault in it.
"""

import argparse
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATCHES = Path("tests/track_record")
PAGE = Path("docs/track-record.md")
# What tests read; not the rest of the folder, which may hold runs and environments of many gigabytes.
COPIED = ("llmtune", "recipes", "tests", "scripts", "docs", "*.md", "pyproject.toml", "LICENSE")
# Most of what a test takes is the import of these: done once, each run of pytest is a fork of this process.
LIBRARIES = (
    *("torch", "transformers.trainer", "transformers.models.auto.modeling_auto", "datasets", "evaluate", "peft"),
    *("sklearn.metrics", "scipy.stats", "matplotlib.pyplot", "torchmetrics"),
)
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # as tests/conftest.py
ROW = re.compile(r"^\| (\d+) \| (.+?) \| ", re.MULTILINE)  # of the table: number, what went wrong
TEST = re.compile(r"^Test: (\S+)$", re.MULTILINE)


class Fault(NamedTuple):
    """A fault that can be planted.

    Args:
        number: in the table.
        patch: that plants it, relative to the root.
        tests: that catch it, as pytest names them.
    """

    number: int
    patch: Path
    tests: tuple[str, ...]


def faults(root: Path) -> dict[int, Fault]:
    """Those that have a patch, by number."""
    paths = sorted((root / PATCHES).glob("*.patch"))
    numbers = [int(path.name.partition("-")[0]) for path in paths]
    return {
        number: Fault(number, path.relative_to(root), tuple(TEST.findall(path.read_text(encoding="utf-8"))))
        for number, path in zip(numbers, paths, strict=True)
    }


def descriptions(page: str) -> dict[int, str]:
    """What went wrong, by number, as the table tells it."""
    return {int(number): text for number, text in ROW.findall(page)}


def copy_tree(root: Path, folder: Path) -> None:
    """Copies what tests read."""
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis")
    for path in (path for name in COPIED for path in root.glob(name)):
        if path.is_dir():
            shutil.copytree(path, folder / path.name, ignore=ignored)
        else:
            shutil.copy2(path, folder / path.name)


def apply_patch(tree: Path, patch: Path, *flags: str) -> str:
    """Applies a patch, given relative to the tree.

    Returns:
        what git says where it doesn't apply, else "".
    """
    # A tree inside another repository is none of it: git would leave out every path without a word.
    alone = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    command = ["git", "apply", *flags, str(patch)]
    return subprocess.run(command, cwd=tree, env=alone, capture_output=True, text=True).stderr.strip()


def load_libraries() -> None:
    """Imports what tests import, under the environment that they run under."""
    os.environ.update({**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "1000"})
    for name in LIBRARIES:
        importlib.import_module(name)


def run_tests(tree: Path, tests: Sequence[str]) -> str:
    """What pytest prints of these tests, a line for each outcome."""
    # Slow ones too; hypothesis draws the same examples each time.
    flags = ["-q", "-rA", "--tb=no", "--slow", "--hypothesis-seed=0", "-p", "no:cacheprovider"]
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if not child:
            for stream in (1, 2):
                os.dup2(output.fileno(), stream)
            os.chdir(tree)
            sys.path.insert(0, str(tree))
            os.environ["PYTHONPATH"] = str(tree)  # of the processes that tests start
            sys.dont_write_bytecode = True
            os._exit(pytest.main([*flags, *tests]))
        os.waitpid(child, 0)
        output.seek(0)
        return output.read().decode()


def outcomes(printed: str, test: str) -> set[str]:
    """What became of a test, or of its cases: PASSED, FAILED, ERROR."""
    return set(re.findall(rf"^(PASSED|FAILED|ERROR) {re.escape(test)}(?=\[| |$)", printed, re.MULTILINE))


def not_passed(printed: str, tests: Sequence[str]) -> list[str]:
    """The tests of which a case did not pass, or of which none ran."""
    return [test for test in tests if outcomes(printed, test) != {"PASSED"}]


def not_failed(printed: str, tests: Sequence[str]) -> list[str]:
    """The tests of which every case passed, or that could not run at all."""
    return [test for test in tests if "FAILED" not in outcomes(printed, test)]


def reproduce(tree: Path, fault: Fault, on_clean: str) -> str:
    """Plants a fault, runs its tests and takes it out again.

    Args:
        tree: a copy without a fault.
        fault: to plant.
        on_clean: what pytest printed of its tests there.

    Returns:
        why it was not caught; "" where it was.
    """
    if missed := not_passed(on_clean, fault.tests):
        return f"without the fault does not pass: {', '.join(missed)}"
    if problem := apply_patch(tree, fault.patch):
        return f"{fault.patch} does not apply (CONTRIBUTING.md says what to do): {problem}"
    try:
        missed = not_failed(run_tests(tree, fault.tests), fault.tests)
    finally:
        apply_patch(tree, fault.patch, "--reverse")
    return f"with the fault does not fail: {', '.join(missed)}" if missed else ""


def reproduced(root: Path, chosen: Sequence[Fault]) -> Iterator[tuple[Fault, str, float]]:
    """Each fault, why it was not caught ("" where it was), and the seconds that it took."""
    with tempfile.TemporaryDirectory(prefix="llmtune-reproduce-") as folder:
        tree = Path(folder).resolve()
        copy_tree(root, tree)
        load_libraries()
        on_clean = run_tests(tree, sorted({test for fault in chosen for test in fault.tests}))
        for fault in chosen:
            start = time.perf_counter()
            problem = reproduce(tree, fault, on_clean)
            yield fault, problem, time.perf_counter() - start


def main(argv: Sequence[str] | None = None) -> int:
    """0 where every fault that was asked for is caught, else 1; 2 for a number without a patch."""
    parser = argparse.ArgumentParser(
        prog="scripts/reproduce", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("numbers", metavar="N", nargs="*", type=int, help="of the table in docs/track-record.md")
    parser.add_argument("--all", action="store_true", help="every fault that has a patch")
    parser.add_argument("--list", action="store_true", help="number, tests and what went wrong; nothing is run")
    arguments = parser.parse_args(argv)
    known = faults(ROOT)
    if missing := [str(number) for number in arguments.numbers if number not in known]:
        parser.error(f"found {', '.join(missing)}, expected numbers that have a patch in {PATCHES}; see --list")
    if not arguments.numbers and not arguments.all and not arguments.list:
        parser.error("found no number; give one of docs/track-record.md, --all or --list")
    chosen = list(known.values()) if arguments.all or not arguments.numbers else [known[n] for n in arguments.numbers]
    if arguments.list:
        texts = descriptions((ROOT / PAGE).read_text(encoding="utf-8"))
        for fault in chosen:
            print(f"{fault.number:3} {texts[fault.number]}", *fault.tests, sep="\n    ")
        return 0
    problems = 0
    for fault, problem, seconds in reproduced(ROOT, chosen):
        problems += bool(problem)
        print(
            f"{fault.number:3} {'NOT CAUGHT' if problem else 'caught'}  {seconds:5.1f} s  {fault.patch.stem}",
            flush=True,
        )
        if problem:
            print(f"    {problem}", flush=True)
    print(f"{len(chosen) - problems} of {len(chosen)} faults are caught")
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main())
