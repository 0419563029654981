"""Bars: on a terminal, for what takes long, by the first process only."""

import io
import json
import sys
import time

import datasets
import numpy as np
import pytest

from llmtune import progress as bars
from llmtune.baselines import tfidf_logistic_regression
from llmtune.data.files import read_rows
from llmtune.models.from_scratch import train_tokenizer
from llmtune.predictions import make_predictions
from llmtune.progress import progress, waiting
from llmtune.stats import resampled_sums
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.tasks.token_classification.windows import make_windows


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watch(monkeypatch) -> Terminal:
    """A terminal for stderr; not a fixture, for pytest sets its own stderr after those."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(bars, "DELAY_SECONDS", 0.2)
    monkeypatch.delenv("RANK", raising=False)
    return sys.stderr


def slowly(n: int, seconds: float):
    for i in range(n):
        time.sleep(seconds / n)
        yield i


def test_long_work_shows_a_bar_and_short_work_none(monkeypatch):
    terminal = watch(monkeypatch)

    assert list(progress(slowly(10, 0.05), "quick", unit="rows", total=10)) == list(range(10))
    with waiting("quick wait"):
        pass
    assert terminal.getvalue() == ""

    assert list(progress(slowly(10, 0.6), "slow", unit="rows", total=10)) == list(range(10))
    with waiting("slow wait"):
        time.sleep(0.4)

    assert "slow: " in terminal.getvalue()
    assert "/10 [" in terminal.getvalue()
    assert "slow wait: 00:0" in terminal.getvalue()
    assert "quick" not in terminal.getvalue()


@pytest.mark.parametrize("elsewhere", ["a file", "the second process"])
def test_nothing_is_drawn_into_a_file_or_by_another_process(elsewhere, monkeypatch):
    terminal = watch(monkeypatch)
    if elsewhere == "a file":
        monkeypatch.setattr(terminal, "isatty", lambda: False)
    else:
        monkeypatch.setenv("RANK", "1")

    list(progress(slowly(10, 0.6), "slow", unit="rows"))
    with waiting("slow wait"):
        time.sleep(0.4)

    assert terminal.getvalue() == ""


def test_reading_tokenizing_bootstrapping_and_the_baseline_show_what_they_do(monkeypatch, tmp_path):
    terminal = watch(monkeypatch)
    file = tmp_path / "big.jsonl"
    file.write_text("".join(json.dumps({"text": f"message {i}", "label": "ham"}) + "\n" for i in range(2000)))
    (tmp_path / "big.csv").write_text("text\n" + "message\n" * 2000)
    monkeypatch.setattr(bars, "DELAY_SECONDS", 0)
    labels = ["ham", "spam"] * 500
    rows = {"reference": ["ham", "spam"], "prediction": ["ham", "spam"]}
    test = make_predictions("classification", rows, label_names=("ham", "spam"))

    read_rows(file)
    read_rows(tmp_path / "big.csv")
    resampled_sums(np.ones((10, 2)))
    tfidf_logistic_regression([f"{label} {i % 7}" for i, label in enumerate(labels)], labels, ["a", "b"], test)

    tokenizer = train_tokenizer("bert", ["a message"], 100, 64)
    TextClassification(("ham", "spam"), "spam", max_length=8).encode(
        datasets.Dataset.from_dict({"text": ["a"]}), tokenizer
    )
    make_windows([["a"]], tokenizer, max_length=8, stride=2, is_causal=False)

    for what in (f"reading {file}", "big.csv", "bootstrap", "TF-IDF baseline", "batches", "tokenizing"):
        assert what in terminal.getvalue(), what
