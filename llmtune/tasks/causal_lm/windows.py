"""Sequences of tokens → rows of model inputs: windows of what is too long, and several windows in a packed row.

A window holds context and the tokens that count in it; each token of a sequence counts in one window. Windows that
share a row are told apart by their positions, which start again from 0: attention stays inside a window. Letters: n
sequences, t tokens of a sequence, m windows or rows.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import datasets
import numpy as np

from llmtune.metrics.core.base import IGNORED


@dataclass(frozen=True)
class TokenSequence:
    """A row of the data as the model reads it.

    Args:
        ids: t tokens.
        learned: of each token whether the model learns to write it; the first one can't be, for nothing stands before.
    """

    ids: Sequence[int]
    learned: Sequence[bool]


@dataclass(frozen=True)
class Windows:
    """Model inputs of n sequences.

    Args:
        inputs: m rows with `input_ids`, `attention_mask`, `labels` and, where they are packed, `position_ids`.
        sequence: of each window the sequence that it is of, shape (windows,).
        split_rows: sequences that took more than one window.
        fill: share of the rows' tokens up to the longest possible that are real, where rows are packed.
    """

    inputs: datasets.Dataset
    sequence: np.ndarray
    split_rows: int
    fill: float | None = None

    def sums(self, values: np.ndarray, n: int) -> np.ndarray:
        """Values of windows, (m,), summed over each of n sequences: float64 of shape (n,)."""
        return np.bincount(self.sequence, weights=values, minlength=n)


def window_bounds(t: int, length: int, stride: int, *, full_context: bool) -> list[tuple[int, int, int]]:
    """(begin, first token that counts, end) of each window.

    Args:
        t: tokens of the sequence; the first one never counts.
        length: tokens of a window at most.
        stride: tokens that a window shares with the one before, 1 or more and less than `length`.
        full_context: whether the last window is moved back until it is full: context costs nothing there but time.

    >>> window_bounds(8, 4, 1, full_context=False)
    [(0, 1, 4), (3, 4, 7), (6, 7, 8)]
    >>> window_bounds(8, 4, 2, full_context=True)
    [(0, 1, 4), (2, 4, 6), (4, 6, 8)]
    >>> window_bounds(8, 4, 1, full_context=True)[-1]
    (4, 7, 8)
    """
    bounds = [(0, 1, min(length, t))]
    while (end := bounds[-1][2]) < t:
        begin = end - stride
        until = min(begin + length, t)
        bounds.append((max(0, until - length) if full_context else begin, end, until))
    return bounds


def make_windows(
    sequences: Sequence[TokenSequence], *, length: int, stride: int, full_context: bool, packed: bool
) -> Windows:
    """Cuts sequences into windows, and packs them where it is asked for.

    A window in which nothing is learned is left out: of a long prompt the model would learn nothing from it.
    """
    ids: list[np.ndarray] = []  # arrays: of a large corpus lists of Python numbers would take ten times the memory
    labels: list[np.ndarray] = []
    source: list[int] = []
    split_rows = 0
    for number, row in enumerate(sequences):
        tokens = np.asarray(row.ids, dtype=np.int32)
        wanted = np.where(np.asarray(row.learned, dtype=bool), tokens, IGNORED)
        bounds = window_bounds(len(tokens), length, stride, full_context=full_context)
        split_rows += len(bounds) > 1
        for begin, first, end in bounds:
            if (wanted[first:end] == IGNORED).all():
                continue
            ids.append(tokens[begin:end])
            labels.append(np.concatenate([np.full(first - begin, IGNORED, dtype=np.int32), wanted[first:end]]))
            source.append(number)
    columns = {"input_ids": ids, "labels": labels}
    fill = None
    if packed:
        bins = best_fit([len(row) for row in ids], length)
        positions = np.arange(length, dtype=np.int32)
        columns = {
            name: [np.concatenate([rows[i] for i in places]) for places in bins] for name, rows in columns.items()
        }
        columns["position_ids"] = [np.concatenate([positions[: len(ids[i])] for i in places]) for places in bins]
        fill = sum(map(len, ids)) / max(1, len(bins) * length)
    columns["attention_mask"] = [np.ones(len(row), dtype=np.int8) for row in columns["input_ids"]]
    return Windows(datasets.Dataset.from_dict(columns), np.array(source, dtype=np.int64), split_rows, fill)


def best_fit(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Best-fit decreasing (Ding et al. 2024, "Fewer Truncations Improve Language Modeling"): the rows of each bin.

    The longest window goes first, each into the fullest row that still holds it.

    Args:
        lengths: tokens of each window, none above `room`.
        room: tokens of a row.

    >>> best_fit([3, 6, 4, 7], 10)
    [[3, 0], [1, 2]]
    """
    bins: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (tokens left, bin), sorted
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        at = bisect.bisect_left(free, (lengths[place], -1))
        if at == len(free):
            bins.append([place])
            left, number = room - lengths[place], len(bins) - 1
        else:
            left, number = free.pop(at)
            bins[number].append(place)
            left -= lengths[place]
        bisect.insort(free, (left, number))
    return bins
