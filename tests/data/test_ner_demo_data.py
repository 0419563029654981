import os
import subprocess
import sys
from pathlib import Path

from llmtune.arguments import DataArguments
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.rows import load_tagged_splits

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "recipes" / "demo"


def test_the_script_writes_the_shipped_files_byte_for_byte(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "make_ner_demo_data.py", "--output_dir", tmp_path]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})

    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.glob("*/*.jsonl")}
    shipped = {
        path.relative_to(DEMO): path.read_bytes() for name in ("ner", "pii") for path in (DEMO / name).glob("*.jsonl")
    }
    assert len(made) == 6
    assert made == shipped


def test_each_type_has_enough_entities_in_test_and_no_text_stands_in_two_splits():
    for name, input_format in (("ner", "tokens"), ("pii", "spans")):
        files = {f"{split}_file": str(DEMO / name / f"{split}.jsonl") for split in ("train", "validation", "test")}
        splits = load_tagged_splits(
            DataArguments(**files), TokenClassificationArguments(input_format=input_format), seed=0
        )

        assert min(splits.splits.class_counts["test"].values()) >= 30
        assert splits.unseen() == {}
        assert set(splits.widened.values()) == {0}
        texts = {split: {tuple(row) for row in splits.splits[split]["tokens"]} for split in ("train", "test")}
        assert not texts["train"] & texts["test"]
