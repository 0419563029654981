import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from llmtune.arguments import DataArguments
from llmtune.data import load_splits
from llmtune.text.words import words_and_signs

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
    assert sum(path.stat().st_size for path in DEMO.glob("*/*.csv")) < 640_000


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
    for split in ("train", "validation", "test"):
        rows = csv.DictReader(io.StringIO((DEMO / "spam" / f"{split}.csv").read_text()))
        words = [word for row in rows for word in row["text"].casefold().split() if "p/min" not in word]
        links = [word for word in words if "/" in word or word.startswith("www.") or re.search(r"\w\.[a-z]", word)]
        numbers = [word.strip(".,!?:") for word in words if re.fullmatch(r"\+?\d{7,}[.,!?:]?", word)]

        assert len(links) > 20
        assert len(numbers) > 20
        assert not [link for link in links if not re.search(r"\w\.example\b", link)]
        assert not [number for number in numbers if not number.startswith(("0555", "0900", "0909"))]


def test_spam_differs_from_ham_inside_the_words_too():
    """What a filter of whole words can't see is in pieces of words: so the demo's small model has something to win."""
    splits = load("spam")

    def f1(words):
        model = LogisticRegression(C=10, max_iter=1000).fit(
            words.fit_transform(splits.train["text"][:]), splits.train["label"][:]
        )
        predicted = model.predict(words.transform(splits.test["text"][:]))
        return f1_score(splits.test["label"][:], predicted, pos_label="spam")

    pieces = TfidfVectorizer(analyzer="char", ngram_range=(2, 4), sublinear_tf=True)
    whole = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, lowercase=False, tokenizer=words_and_signs, token_pattern=None
    )
    assert f1(pieces) > f1(whole) + 0.05
