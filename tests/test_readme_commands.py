"""The commands of the README's start run as they stand there, on files with its names, in the order of the page."""

import csv
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from llmtune import cli
from llmtune.commands.train import recipe_titles

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from first_minutes import offline_lines, start_blocks, write_files  # noqa: E402

BLOCKS = start_blocks((ROOT / "README.md").read_text(encoding="utf-8"))


def commands(block: str) -> list[list[str]]:
    """The arguments of each `llmtune` line."""
    lines = offline_lines(block)
    assert all(re.match(r"(llmtune|bash scripts/|source \.venv/)", line) for line in lines), "what nobody runs here"
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("llmtune ")]


def exit_code(arguments: list[str]) -> int | None:
    try:
        return cli.run(arguments)
    except SystemExit as ended:  # of a recipe
        return int(ended.code or 0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a person's files."""
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["llmtune"])
    return tmp_path


@pytest.mark.parametrize("block", BLOCKS, ids=["texts", "entities"])
def test_the_start_of_the_readme_runs(block, folder):
    for arguments in commands(block):
        assert not exit_code(arguments)

    if "labeled.csv" in block:
        with (folder / "labeled.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["nr"] for row in rows] == ["a7", "b9"]
        assert {row["prediction"] for row in rows} <= {"junk", "legit"}
    else:
        assert "Babbage" in (folder / "entities.jsonl").read_text(encoding="utf-8")


def test_the_page_for_agents_names_the_recipes_and_keys_that_there_are(folder, capsys):
    page = (Path(__file__).parents[1] / "AGENTS.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in recipe_titles())

    assert len(page.splitlines()) < 50, "one page"
    assert not exit_code(
        ["check", "messages.csv", "--text_column", "message", "--label_column", "class", "--format=json"]
    )
    checked = json.loads(capsys.readouterr().out)
    assert {"errors", "warnings"} <= checked.keys()
    assert {"sentence", "places", "remedy"} <= checked["findings"][0].keys()


def test_from_a_clone_to_ones_own_predictions_are_at_most_eight_commands():
    for block in BLOCKS:
        assert len(block.replace("\\\n", " ").splitlines()) <= 8


@pytest.mark.slow
def test_from_an_empty_folder_to_ones_own_predictions():
    command = [sys.executable, str(ROOT / "scripts" / "first_minutes.py"), str(ROOT), "--environment", sys.prefix]

    done = subprocess.run(command, capture_output=True, text=True, timeout=600)

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("$ llmtune train") == done.stdout.count("$ llmtune predict") == 2
