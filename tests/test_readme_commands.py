"""The commands of the README's start run as they stand there, on files with its names, in the order of the page."""

import csv
import json
import random
import re
import shlex
import sys
from pathlib import Path

import pytest

from llmtune import cli
from llmtune.commands.train import recipe_titles

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
START = README.partition("## Start\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```bash\n(.*?)```", START, flags=re.DOTALL)
# The Hub is not reached in tests: a small model from scratch stands in the place of its checkpoints.
SMALL = "--model_type bert --max_steps 2 --cpu_threads 1 --config_overrides "
SMALL += "hidden_size=16,num_attention_heads=2,intermediate_size=32,num_hidden_layers=1"


def commands(block: str) -> list[list[str]]:
    """The arguments of each `llmtune` line."""
    lines = block.replace("\\\n", " ").splitlines()
    assert all(re.match(r"(llmtune|bash scripts/|source \.venv/)", line) for line in lines), "what nobody runs here"
    offline = [re.sub(r"--model_name_or_path \S+", SMALL, line) for line in lines]
    return [shlex.split(line, comments=True)[1:] for line in offline if line.startswith("llmtune ")]


def exit_code(arguments: list[str]) -> int | None:
    try:
        return cli.run(arguments)
    except SystemExit as ended:  # of a recipe
        return int(ended.code or 0)


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a person's files."""
    draw = random.Random(0)
    texts = [(f"{draw.choice(['win', 'free'])} cash {i}", "junk") for i in range(40)]
    texts += [(f"{draw.choice(['see', 'meet'])} you {i}", "legit") for i in range(80)]
    write_csv(tmp_path / "messages.csv", [{"message": text, "class": label} for text, label in texts])
    write_csv(tmp_path / "new.csv", [{"nr": "a7", "message": "free cash"}, {"nr": "b9", "message": "see you, then"}])
    words = [
        ("Ada", "B-PER"),
        ("Lovelace", "I-PER"),
        ("met", "O"),
        ("Babbage", "B-PER"),
        ("in", "O"),
        ("Paris", "B-LOC"),
    ]
    write_csv(
        tmp_path / "words.csv",
        [
            {"sentence": str(s), "word": word if tag != "O" else f"{word}{s}", "tag": tag}
            for s in range(60)
            for word, tag in words
        ],
    )
    (tmp_path / "letters.txt").write_text("Ada met Babbage in Paris\n", encoding="utf-8")
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
