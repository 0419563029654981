"""Batches: which rows each update sees, how they are cut, and how much padding that costs."""

import datasets
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune.data.lengths import input_lengths
from llmtune.training.batching import (
    MOST_ROWS_TO_CUT,
    EffectiveBatchSampler,
    LongestFirstSampler,
    cut_by_length,
    with_padding_example,
)

lengths_of_rows = st.lists(st.integers(1, 300), min_size=1, max_size=60)
sizes = st.integers(1, 5)


def samplers(lengths, *, micro_batch, accumulation, processes, seed=0):
    return [
        EffectiveBatchSampler(
            np.array(lengths),
            micro_batch=micro_batch,
            accumulation=accumulation,
            processes=processes,
            rank=rank,
            seed=seed,
        )
        for rank in range(processes)
    ]


def updates(lengths, *, micro_batch, accumulation, processes, seed=0, epoch=0):
    """The set of rows of each update, over all ranks and micro-batches."""
    steps: dict[int, set[int]] = {}
    for sampler in samplers(
        lengths, micro_batch=micro_batch, accumulation=accumulation, processes=processes, seed=seed
    ):
        sampler.set_epoch(epoch)
        for number, rows in enumerate(sampler):
            steps.setdefault(number // accumulation, set()).update(set(rows) - {len(lengths)})
    return [steps[step] for step in sorted(steps)]


def padded(lengths, parts):
    return sum(len(part) * max(np.asarray(lengths)[part]) for part in parts)


@settings(max_examples=150, deadline=None)
@given(lengths_of_rows, sizes, sizes, sizes, st.integers(0, 3))
def test_every_row_comes_once_an_epoch_and_processes_keep_step(lengths, micro_batch, accumulation, processes, epoch):
    ranks = samplers(lengths, micro_batch=micro_batch, accumulation=accumulation, processes=processes)
    for sampler in ranks:
        sampler.set_epoch(epoch)

    yielded = [list(sampler) for sampler in ranks]

    n = len(lengths)
    rows = [row for of in yielded for micro in of for row in micro]
    filler = rows.count(n)
    assert sorted(row for row in rows if row != n) == list(range(n))
    assert {len(of) for of in yielded} == {len(ranks[0])}, "steps equal on all ranks, and as many as len() says"
    assert all(micro for of in yielded for micro in of), "no empty micro-batch"
    assert (filler > 0) == ranks[0].needs_padding_example
    assert filler < processes


@settings(max_examples=100, deadline=None)
@given(lengths_of_rows, st.integers(0, 3))
def test_the_updates_are_the_same_for_every_split_of_the_same_effective_batch(lengths, epoch):
    whole = updates(lengths, micro_batch=8, accumulation=1, processes=1, epoch=epoch)

    for micro_batch, accumulation, processes in [(4, 2, 1), (2, 4, 1), (1, 8, 1), (4, 1, 2), (2, 2, 2), (1, 2, 4)]:
        split = {"micro_batch": micro_batch, "accumulation": accumulation, "processes": processes}
        assert updates(lengths, **split, epoch=epoch) == whole, split


def test_epochs_and_seeds_differ_and_are_repeatable():
    split = {"micro_batch": 4, "accumulation": 1, "processes": 1}
    lengths = list(range(1, 41))

    first = updates(lengths, **split)

    assert updates(lengths, **split) == first
    assert updates(lengths, **split, epoch=1) != first
    assert updates(lengths, **split, seed=1) != first
    assert updates(lengths, **split, seed=1) != updates(lengths, **split, epoch=1)


def test_an_effective_batch_is_a_random_sample_whatever_the_lengths():
    """Were batches drawn by length, the class that longer texts have would fill some of them alone."""
    lengths = list(range(1, 1001))

    means = [
        np.mean([lengths[row] for row in rows])
        for rows in updates(lengths, micro_batch=10, accumulation=5, processes=1)
    ]

    # Mean of 50 of 1 … 1000 without replacement: 500.5 ± 289 / √50 = 41.
    assert len(means) == 20
    assert np.abs(np.array(means) - 500.5).max() < 4 * 41
    assert 20 < np.std(means) < 80


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(1, 8))
def test_a_cut_is_a_partition_with_no_more_padding_and_memory_than_equal_parts(lengths, parts):
    parts = min(parts, len(lengths))

    cut = cut_by_length(lengths, parts)

    order = np.argsort(-np.array(lengths), kind="stable")
    equal = np.array_split(order, parts)
    assert sorted(np.concatenate(cut).tolist()) == list(range(len(lengths)))
    assert len(cut) == parts
    assert all(len(part) for part in cut)
    assert padded(lengths, cut) <= padded(lengths, equal)
    most = -(-len(lengths) // parts) * max(lengths)
    assert all(len(part) * max(np.array(lengths)[part]) <= most for part in cut)


def test_the_cut_is_the_best_of_all_cuts_by_brute_force():
    lengths = [90, 12, 11, 10, 50, 9, 48, 8]
    order = sorted(range(8), key=lambda row: -lengths[row])
    most = 3 * 90  # what the worst of three equal parts holds

    cuts = [
        [np.array(order[:first]), np.array(order[first:second]), np.array(order[second:])]
        for first in range(1, 7)
        for second in range(first + 1, 8)
    ]
    within = [cut for cut in cuts if all(len(part) * lengths[part[0]] <= most for part in cut)]

    assert padded(lengths, cut_by_length(lengths, 3)) == min(padded(lengths, cut) for cut in within) == 90 + 100 + 60


def test_very_large_effective_batches_are_cut_into_equal_parts():
    lengths = np.arange(MOST_ROWS_TO_CUT + 1)[::-1] + 1

    assert [len(part) for part in cut_by_length(lengths, 5)] == [205] * 5


def test_the_filler_row_is_the_shortest_with_every_label_ignored():
    rows = datasets.Dataset.from_dict(
        {"input_ids": [[1, 2, 3], [4]], "attention_mask": [[1, 1, 1], [1]], "labels": [[0, 1, -100], [1]]}
    )
    classes = rows.remove_columns("labels").add_column("labels", [1, 1])

    assert with_padding_example(rows)[2] == {"input_ids": [4], "attention_mask": [1], "labels": [-100]}
    assert with_padding_example(classes)[2] == {"input_ids": [4], "attention_mask": [1], "labels": -100}
    assert with_padding_example(rows).select(range(2)).to_dict() == rows.to_dict()


def test_evaluation_reads_the_longest_row_first():
    rows = datasets.Dataset.from_dict({"input_ids": [[1], [1, 1, 1], [1, 1], [1, 1, 1]]})

    assert input_lengths(rows).tolist() == [1, 3, 2, 3]
    assert list(LongestFirstSampler(rows)) == [1, 3, 2, 0]
    assert input_lengths(rows.select([2, 0])).tolist() == [2, 1]
