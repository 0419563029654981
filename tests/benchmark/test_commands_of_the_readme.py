"""The commands of the README's section on benchmarks run as they stand there, and the faults of servers stand there."""

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

from llmtune import cli
from tests.benchmark import server as stand_in
from tests.benchmark.conftest import labeled_rows, write_rows
from tests.benchmark.server import Server
from tests.benchmark.test_local_models import CHOICES
from tests.commands.conftest import spam_model  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Which model?")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"```bash\n(.*?)```", SECTION, flags=re.DOTALL)[0].replace("\\\n", " ").splitlines()


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(rows)


def test_the_benchmarks_of_the_readme_run(llama, spam_model, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    shutil.copytree(spam_model, "runs/first")
    shutil.copytree(llama, "runs/llama")
    write_csv(tmp_path / "train.csv", labeled_rows(40, seed=1))
    write_csv(tmp_path / "test.csv", labeled_rows(40, seed=2))
    (tmp_path / "texts.txt").write_text("win a prize now\n\nsee you at lunch\n", encoding="utf-8")
    write_rows(tmp_path / "choices.jsonl", CHOICES)

    with Server(llama) as server:
        for command in COMMANDS:
            arguments = shlex.split(command.replace("openai:http://127.0.0.1:8000/v1#NAME", server.spec))[1:]
            assert cli.run([*arguments, "--speed_requests", "2"]) == 0

    for folder in ("benchmark", "served"):
        assert json.loads(Path("runs", folder, "benchmark.json").read_text())["tasks"]
        assert Path("runs", folder, "benchmark.html").exists()


def test_every_fault_of_the_stand_in_has_its_line_in_the_readme():
    words = {
        stand_in.ECHO_IGNORED: "ignores `echo`",
        stand_in.GENERATED_ONLY: "generated tokens only",
        stand_in.FIRST_NULL: "null for the first token",
        stand_in.DOUBLE_BEGIN: "begin token twice",
        stand_in.TEMPLATE: "template around raw prompts",
        stand_in.TRUNCATED: "| truncates |",
        stand_in.PERMUTED: "permutes labels",
    }

    assert {name for name in vars(stand_in) if name.isupper()} == {name.upper() for name in words}
    assert [fault for fault, line in words.items() if line not in SECTION] == []
