import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from llmtune.data.files import read_rows

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "recipes" / "demo" / "text_classification"


def test_the_script_writes_the_shipped_files_byte_for_byte(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "make_text_classification_demo_data.py", "--output_dir", tmp_path]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})

    made = {path.name: path.read_bytes() for path in (tmp_path / "text_classification").glob("*.jsonl")}
    assert len(made) == 3
    assert made == {path.name: path.read_bytes() for path in DEMO.glob("*.jsonl")}


def test_every_label_has_enough_rows_some_rows_have_none_and_no_text_of_train_stands_in_test():
    train, test = (read_rows(str(DEMO / f"{split}.jsonl")) for split in ("train", "test"))
    sets = test.cells("labels")
    counts = Counter(label for labels in sets for label in labels)
    assert min(counts.values()) >= 30
    assert sum(not labels for labels in sets) >= 30
    assert sum(len(labels) > 1 for labels in sets) >= 100
    assert not set(train.cells("text")) & set(test.cells("text"))
