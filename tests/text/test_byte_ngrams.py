"""Kneser-Ney over bytes: a calculation by hand, and what holds of any model of this kind."""

import math

import pytest

from llmtune.baselines import byte_ngram
from llmtune.metrics import score_predictions
from llmtune.predictions import make_predictions
from llmtune.text.byte_ngrams import ByteNgrams

TEXTS = ["the river ran past the mill", "the miller ran to the river", "a mill on the river"]


def test_two_bytes_by_hand():
    # ^a three times, ab twice, ac once: one of each count, so that y = 1 / (1 + 2), and the discounts are
    # 1 - 2 y = 1/3, 2 - 3 y = 1 and, no count being 4, 3. After a: b (2 - 1) / 3, c (1 - 1/3) / 3, and (1 + 1/3) / 3
    # goes to single bytes. There a, b and c each stand after one byte only; their discount is 1, all goes to 1 / 256.
    model = ByteNgrams(["ab", "ab", "ac"], order=2)

    first = model.bits("a")
    shares = {letter: 2 ** -(model.bits(f"a{letter}") - first) for letter in "bcd"}

    assert 2**-first == pytest.approx(1 / 256)
    assert shares["b"] == pytest.approx(1 / 3 + 4 / 9 / 256)
    assert shares["c"] == pytest.approx(2 / 9 + 4 / 9 / 256)
    assert shares["d"] == pytest.approx(4 / 9 / 256)


@pytest.mark.parametrize("context", ["", "the ri", "zq"])
def test_the_shares_of_the_next_byte_add_up_to_one(context):
    model = ByteNgrams(TEXTS, order=4)

    shares = [2 ** -(model.bits(context + chr(byte)) - model.bits(context)) for byte in range(128)]

    # A byte of UTF-8 beyond ASCII stands in no text: it has the 1 / 256 of what went through all orders, as ^ has.
    assert math.fsum(shares) + 128 * shares[1] == pytest.approx(1)


def test_what_was_seen_costs_little_and_no_text_is_read_into_the_next():
    model = ByteNgrams(TEXTS)

    assert model.bits("the river ran") < model.bits("xyz qjk vvvvw") / 4
    assert ByteNgrams(["ab", "cd"], order=3).bits("bc") == pytest.approx(ByteNgrams(["cd", "ab"], order=3).bits("bc"))
    assert model.bits("") == 0


def test_as_a_baseline_it_scores_the_rows_of_a_table():
    texts = ["the mill ran", "the river"]
    columns = {"nll": [9.0, 9.0], "tokens": [3, 2], "bytes": [12, 9], "words": [3, 2], "correct": [1, 1], "text": texts}
    table = byte_ngram(make_predictions("language-modeling", columns), TEXTS)

    bits = sum(ByteNgrams(TEXTS).bits(text) for text in texts)
    scores = score_predictions(table)
    assert scores["bits_per_byte"].value == pytest.approx(bits / 21)
    assert scores["perplexity"].value == pytest.approx(2 ** (bits / 5))
    assert "token_accuracy" not in scores
