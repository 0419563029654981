import random

import numpy as np
import pytest
from transformers import ByT5Tokenizer

from llmtune.errors import InputError
from llmtune.models.from_scratch import train_tokenizer
from llmtune.tasks.token_classification import windows as windows_module
from llmtune.tasks.token_classification.windows import (
    IGNORED,
    choose_windows,
    make_windows,
    window_bounds,
)

TEXTS = ["Peter Blackburn lives in New-York .", "EU rejects German call to boycott British lamb"] * 3


@pytest.fixture(scope="module", params=["bert", "llama", "roberta"])
def tokenizer(request):
    return train_tokenizer(request.param, TEXTS, 300, 512)


def random_rows(n, seed=0):
    draw = random.Random(seed)
    letters = ["a", "Bl", "é", ".", "New-York", "漢", "\u200b", "x" * 40, "\x00", "👍🏽"]
    return [
        ["".join(draw.choices(letters, k=draw.randint(1, 3))) for _ in range(draw.randint(1, 60))] for _ in range(n)
    ]


def test_the_first_token_of_each_word_is_labelled_once_whatever_the_windows(tokenizer, monkeypatch):
    monkeypatch.setattr(windows_module, "AT_ONCE", 7)
    rows = random_rows(30)
    labels = [list(range(len(row))) for row in rows]

    windows = make_windows(rows, tokenizer, max_length=24, stride=6, is_causal=False, labels=labels)

    assert max(map(len, windows.inputs["input_ids"])) <= 24
    assert windows.cut_rows > 20
    # Each word that has a token stands in exactly one window, with its own label.
    counted = sorted(label for of in windows.inputs["labels"] for label in of if label != IGNORED)
    assert len(counted) == len(windows.word) == len(set(windows.word))
    width = max(map(len, windows.inputs["labels"]))
    at_tokens = np.array([of + [IGNORED] * (width - len(of)) for of in windows.inputs["labels"]])
    back = windows.to_rows(windows.by_word(at_tokens, -1))
    for row, found in zip(rows, back, strict=True):
        assert len(found) == len(row)
        assert all(label in (word, -1) for word, label in enumerate(found.tolist()))


def test_words_without_a_token_are_counted_and_get_what_is_asked(tokenizer):
    rows = [["Peter", "", "Blackburn"], [""]]

    windows = make_windows(rows, tokenizer, max_length=24, stride=6, is_causal=False)

    assert windows.empty_words == 2
    at_tokens = np.full((2, 24), 7)
    assert [row.tolist() for row in windows.to_rows(windows.by_word(at_tokens, 0))] == [[7, 0, 7], [0]]
    assert windows.describe() == {
        "rows": 2, "words": 4, "windows": 2, "cut_rows": 0, "empty_words": 2,
    }  # fmt: skip


def test_the_first_token_is_the_one_that_transformers_finds():
    tokenizer = train_tokenizer("bert", TEXTS, 300, 512)
    rows = [text.split() for text in TEXTS]

    windows = make_windows(rows, tokenizer, max_length=100, stride=6, is_causal=False)

    for row, words in enumerate(rows):
        encoded = tokenizer(words, is_split_into_words=True)
        assert windows.inputs["input_ids"][row] == encoded["input_ids"]
        ids = encoded.word_ids(0)
        firsts = [ids.index(word) for word in range(len(words))]
        assert windows.position[windows.window == row].tolist() == firsts


def test_windows_share_the_stride_cover_every_token_and_cut_no_word():
    draw = random.Random(1)
    for _ in range(300):
        lengths = [draw.choice([1, 1, 2, 3, 9, 30]) for _ in range(draw.randint(1, 80))]
        word_of_token = np.repeat(np.arange(len(lengths)), lengths)
        budget = draw.randint(4, 20)
        stride = draw.randint(0, budget - 1)

        bounds = window_bounds(word_of_token, budget, stride)

        first_tokens = np.flatnonzero(np.diff(word_of_token, prepend=-1))
        assert all(0 < end - begin <= budget for begin, end in bounds)
        assert [begin for begin, _ in bounds] == sorted({begin for begin, _ in bounds})
        for first, length in zip(first_tokens, lengths, strict=True):
            inside = [(begin, end) for begin, end in bounds if begin <= first < end]
            assert inside
            assert length > budget or all(first + length <= end for _, end in inside)
        chosen = choose_windows(first_tokens, bounds, len(word_of_token), is_causal=False)
        assert all(bounds[w][0] <= first < bounds[w][1] for w, first in zip(chosen, first_tokens, strict=True))


def test_a_word_is_taken_from_the_window_with_most_context():
    bounds = [(0, 10), (6, 16)]
    words = np.arange(16)

    both_sides = choose_windows(words, bounds, 16, is_causal=False)
    left = choose_windows(words, bounds, 16, is_causal=True)

    assert both_sides.tolist() == [0] * 8 + [1] * 8  # word 7: 2 to the right in the first, 1 to the left in the second
    assert left.tolist() == [0] * 10 + [1] * 6


def test_a_stride_that_leaves_no_room_is_refused():
    tokenizer = train_tokenizer("bert", TEXTS, 300, 512)

    with pytest.raises(InputError, match="--stride 30: windows of --max_length 32 hold 30 tokens of text, of which"):
        make_windows([["a"]], tokenizer, max_length=32, stride=30, is_causal=False)


def test_a_slow_tokenizer_is_refused():
    with pytest.raises(
        InputError, match="the tokenizer ByT5Tokenizer is not a fast one: it can't tell which word a token comes from"
    ):
        make_windows([["a"]], ByT5Tokenizer(), max_length=32, stride=8, is_causal=False)
