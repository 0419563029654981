import os
import subprocess
import sys
from pathlib import Path

from llmtune.arguments import DataArguments
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.rows import load_answered_splits

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "recipes" / "demo" / "question_answering"


def test_the_script_writes_the_shipped_files_byte_for_byte(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "make_question_answering_demo_data.py", "--output_dir", tmp_path]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})

    made = {path.name: path.read_bytes() for path in (tmp_path / "question_answering").glob("*.json")}
    assert len(made) == 3
    assert made == {path.name: path.read_bytes() for path in DEMO.glob("*.json")}


def test_test_has_enough_questions_of_both_sorts_and_no_note_of_train():
    files = {f"{split}_file": str(DEMO / f"{split}.json") for split in ("train", "validation", "test")}
    splits = load_answered_splits(DataArguments(**files), QuestionAnsweringArguments(), seed=0)

    described = splits.describe()
    assert described["test"]["unanswerable"] >= 30
    assert described["test"]["rows"] - described["test"]["unanswerable"] >= 200
    assert not set(splits.splits.train["context"]) & set(splits.splits.test["context"])
