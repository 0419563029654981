"""Words → windows of model inputs: a row longer than the model reads becomes overlapping windows; no word is lost.

Each word that has a token is labeled in exactly one window, the one that shows most context around it, so that it
counts once in the loss and gets one prediction. Letters: n rows, w words of all rows, m windows, t tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
from transformers import PreTrainedTokenizerBase

from llmtune.errors import InputError
from llmtune.metrics.core.base import IGNORED
from llmtune.progress import progress
from llmtune.tasks.control_tokens import encode_text

AT_ONCE = 1_000  # rows given to the tokenizer together, so that a bar can move between


@dataclass(frozen=True)
class Windows:
    """Model inputs of n rows, and where in them each word's tag stands.

    Args:
        inputs: m windows with `input_ids`, `attention_mask` and, where the tags are known, `labels`.
        window: of each word that has a token, its window.
        position: and the position of its first token there.
        word: and its number, counted over all rows.
        words: words of each row, shape (n,).
        cut_rows: rows that took more than one window.
    """

    inputs: datasets.Dataset
    window: np.ndarray
    position: np.ndarray
    word: np.ndarray
    words: np.ndarray
    cut_rows: int

    @property
    def empty_words(self) -> int:
        """Words that the tokenizer turns into nothing: they are tagged O."""
        return int(self.words.sum()) - len(self.word)

    def by_word(self, at_tokens: np.ndarray, empty: Any) -> np.ndarray:
        """Values at tokens, (m, t or more, …), as values of words, (w, …); a word without token gets `empty`."""
        values = np.full((int(self.words.sum()), *at_tokens.shape[2:]), empty, dtype=at_tokens.dtype)
        values[self.word] = at_tokens[self.window, self.position]
        return values

    def to_rows(self, by_word: np.ndarray) -> list[np.ndarray]:
        """Values of words, (w, …), as one array a row."""
        return np.split(by_word, np.cumsum(self.words)[:-1])

    def describe(self) -> dict[str, int]:
        """Rows, words, windows, rows cut into several windows, words without a token. JSON values."""
        return {
            "rows": len(self.words),
            "words": int(self.words.sum()),
            "windows": len(self.inputs),
            "cut_rows": self.cut_rows,
            "empty_words": self.empty_words,
        }


def make_windows(
    rows: Sequence[Sequence[str]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    stride: int,
    is_causal: bool,
    labels: Sequence[Sequence[int]] | None = None,
) -> Windows:
    """Tokenizes rows of words.

    Args:
        rows: n rows of words.
        tokenizer: a fast one.
        max_length: tokens of a window, special ones included.
        stride: tokens that neighboring windows share.
        is_causal: context is what stands left of a word.
        labels: of each word.

    Raises:
        InputError: the tokenizer is not fast, or the stride leaves no room for new words.
    """
    first, last = _special_ids(tokenizer)
    budget = max_length - len(first) - len(last)
    if not 0 <= stride < budget:
        raise InputError(
            f"--stride {stride}: windows of --max_length {max_length} hold {budget} tokens of text, of which "
            f"neighbors share from 0 to {budget - 1}; a quarter of the length is a good stride"
        )
    columns: dict[str, list[list[int]]] = {"input_ids": [], "attention_mask": []}
    columns |= {} if labels is None else {"labels": []}
    places: list[np.ndarray] = []  # (window, position, word) of each row's words
    before = cut_rows = 0
    tokenized = progress(_tokenized(rows, tokenizer), "tokenizing", unit="rows", total=len(rows))
    for row, (ids, word_of_token, first_tokens) in enumerate(tokenized):
        bounds = window_bounds(word_of_token, budget, stride)
        has_token = np.flatnonzero(first_tokens >= 0)
        chosen = choose_windows(first_tokens[has_token], bounds, len(ids), is_causal=is_causal)
        begins = np.array([begin for begin, _ in bounds])
        positions = first_tokens[has_token] - begins[chosen] + len(first)
        places.append(np.stack([chosen + len(columns["input_ids"]), positions, has_token + before]))
        for number, (begin, end) in enumerate(bounds):
            columns["input_ids"].append([*first, *ids[begin:end], *last])
            columns["attention_mask"].append([1] * (end - begin + len(first) + len(last)))
            if labels is not None:
                here = chosen == number
                at = np.full(len(columns["input_ids"][-1]), IGNORED)
                at[positions[here]] = np.asarray(labels[row])[has_token[here]]
                columns["labels"].append(at.tolist())
        before += len(rows[row])
        cut_rows += len(bounds) > 1
    window, position, word = np.concatenate(places, axis=1) if places else np.zeros((3, 0), dtype=np.int64)
    words = np.array([len(row) for row in rows], dtype=np.int64)
    return Windows(datasets.Dataset.from_dict(columns), window, position, word, words, cut_rows)


def window_bounds(word_of_token: np.ndarray, budget: int, stride: int) -> list[tuple[int, int]]:
    """First token and end of each window of a row; no word is cut, unless it alone is longer than a window.

    Args:
        word_of_token: (t,), not falling.
        budget: tokens that a window holds.
        stride: tokens that a window shares with the one before, less where a word would be cut.
    """
    t = len(word_of_token)
    if t <= budget:
        return [(0, t)]
    starts = np.append(np.flatnonzero(np.diff(word_of_token, prepend=-1)), t)  # tokens that begin a word, and the end
    bounds: list[tuple[int, int]] = []
    begin = 0
    while True:
        end = int(starts[np.searchsorted(starts, min(begin + budget, t), side="right") - 1])
        if end <= begin:
            # One word fills the window. Its first token is in it; its last ones are seen by nobody.
            bounds.append((begin, begin + budget))
            begin = int(starts[np.searchsorted(starts, begin, side="right")])
        else:
            bounds.append((begin, end))
            if end == t:
                return bounds
            next_word_end = int(starts[np.searchsorted(starts, end, side="right")])
            # So far back as the stride allows, but not so far that the next word has no room.
            earliest = max(end - stride, begin + 1, min(next_word_end, end + budget) - budget)
            begin = int(starts[np.searchsorted(starts, earliest)])
        if begin == t:
            return bounds


def choose_windows(
    first_tokens: np.ndarray, bounds: Sequence[tuple[int, int]], t: int, *, is_causal: bool
) -> np.ndarray:
    """Of each word, the window with most context: its lesser side, or the left one alone; the earliest of equals.

    Args:
        first_tokens: (k,), the first token of each word.
        bounds: of the windows of a row.
        t: tokens of the row. Its two ends cut nothing off.
        is_causal: as for Llama.
    """
    if len(bounds) == 1:
        return np.zeros(len(first_tokens), dtype=np.int64)
    begin, end = np.array(bounds).T[:, :, None]
    left = np.where(begin == 0, t, first_tokens - begin)
    right = np.where(end == t, t, end - 1 - first_tokens)
    context = left if is_causal else np.minimum(left, right)
    inside = (first_tokens >= begin) & (first_tokens < end)
    chosen: np.ndarray = np.where(inside, context, -1).argmax(axis=0)
    return chosen


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer sets before and after a text, [CLS] and [SEP] or <s>."""
    if not tokenizer.is_fast:
        raise InputError(
            f"the tokenizer {type(tokenizer).__name__} is not a fast one: it can't tell which word a token comes from; "
            "choose a checkpoint that has a tokenizer.json"
        )
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, special = encoded["input_ids"], encoded["special_tokens_mask"]
    text = [position for position, is_special in enumerate(special) if not is_special]
    return ids[: text[0]], ids[text[-1] + 1 :]


def _tokenized(
    rows: Sequence[Sequence[str]], tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[list[int], np.ndarray, np.ndarray]]:
    """Of each row its token ids, the word of each token, and the first token of each word (-1 where it has none)."""
    # Words joined by a space, then found again by their characters: byte-level BPE then reads " word" as in running
    # text, for which is_split_into_words needs add_prefix_space, which not every tokenizer has.
    for first in range(0, len(rows), AT_ONCE):
        some = rows[first : first + AT_ONCE]
        texts = [" ".join(words) for words in some]
        encoded = encode_text(
            tokenizer, texts, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        for words, ids, offsets in zip(some, encoded["input_ids"], encoded["offset_mapping"], strict=True):
            lengths = np.array([len(word) for word in words])
            ends = np.cumsum(lengths + 1) - 1
            # By its last character: the first one of " word" is the space before it.
            characters = np.array([max(begin, end - 1) for begin, end in offsets], dtype=np.int64)
            word_of_token = np.minimum(np.searchsorted(ends, characters, side="right"), len(words) - 1)
            # A token of nothing but the space before a word goes with that word, but does not stand for it.
            spaces = np.isin(characters, ends)
            first_tokens = np.full(len(words), -1)
            real = np.flatnonzero(~spaces)
            first_tokens[word_of_token[real][::-1]] = real[::-1]
            yield ids, word_of_token, first_tokens
