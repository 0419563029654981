import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from llmtune.arguments import DataArguments
from llmtune.data import load_splits

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "recipes" / "demo"


def load(name):
    files = {f"{split}_file": str(DEMO / name / f"{split}.csv") for split in ("train", "validation", "test")}
    return load_splits(
        DataArguments(**files),
        columns={"text": "text", "label": "label"},
        label_column="label",
        text_columns=["text"],
        seed=1,
    )


def test_the_script_writes_the_shipped_files_byte_for_byte(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "make_demo_data.py", "--output_dir", tmp_path]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})

    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.glob("*/*.csv")}
    shipped = {
        path.relative_to(DEMO): path.read_bytes()
        for name in ("spam", "sentiment")
        for path in (DEMO / name).glob("*.csv")
    }
    assert len(made) == 6
    assert made == shipped


def test_the_demo_sets_are_small():
    assert sum(path.stat().st_size for path in DEMO.glob("*/*.csv")) < 520_000


@pytest.mark.parametrize(("name", "sizes"), [("spam", (2400, 500, 500)), ("sentiment", (2000, 400, 400))])
def test_no_text_stands_twice(name, sizes):
    splits = load(name)

    assert tuple(len(splits[split]) for split in ("train", "validation", "test")) == sizes
    assert set(splits.duplicates.values()) == {0}


def test_an_eighth_of_the_messages_is_spam_and_test_has_enough_of_it():
    counts = load("spam").class_counts

    assert counts["test"]["spam"] >= 60
    assert all(0.12 < count["spam"] / sum(count.values()) < 0.15 for count in counts.values())


def test_the_reviews_are_balanced():
    assert all(
        0.45 < count["positive"] / sum(count.values()) < 0.55 for count in load("sentiment").class_counts.values()
    )


@pytest.mark.parametrize(("name", "positive"), [("spam", "spam"), ("sentiment", "positive")])
def test_the_sets_can_be_learned_but_not_to_perfection(name, positive):
    splits = load(name)
    words = TfidfVectorizer(sublinear_tf=True)
    model = LogisticRegression(C=30, max_iter=1000).fit(
        words.fit_transform(splits.train["text"][:]), splits.train["label"][:]
    )

    predicted = model.predict(words.transform(splits.test["text"][:]))

    assert 0.75 < f1_score(splits.test["label"][:], predicted, pos_label=positive) < 0.95


def test_no_link_or_number_in_the_messages_belongs_to_anybody():
    rows = csv.DictReader(io.StringIO((DEMO / "spam" / "train.csv").read_text()))
    links = {word for row in rows for word in row["text"].split() if "/" in word or word.startswith("www.")}

    assert not {link for link in links if ".example" not in link.lower()} - {link for link in links if "p/min" in link}
