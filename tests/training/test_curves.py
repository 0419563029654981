"""The curves of a run: a train sample beside validation, exact, and no trace left in the training."""

import datasets
import numpy as np
import pytest
from transformers.trainer_utils import EvalLoopOutput

from llmtune.training.curves import LearningCurves, per_example_loss, train_subset


def output(logits, labels, **metrics):
    return EvalLoopOutput(np.array(logits), np.array(labels), metrics, len(labels))


def test_the_sample_is_the_same_every_time_and_no_larger_than_validation():
    train = datasets.Dataset.from_dict({"input_ids": [[i] for i in range(1_000)]})

    assert train_subset(train, 5)["input_ids"] == [[0], [250], [500], [749], [999]]
    assert len(train_subset(train, 5_000)) == 512
    assert len(train_subset(train.select(range(20)), 50)) == 20


def test_rows_are_scored_by_hand():
    losses, hits = per_example_loss(output([[0.0, 0.0], [0.0, np.log(3)]], [0, 1]))

    assert losses == pytest.approx([np.log(2), np.log(4 / 3)])
    assert hits.tolist() == [True, True]


def test_the_rise_is_paired_with_the_least_evaluation():
    curves = LearningCurves()
    train = output([[2.0, 0.0]] * 3, [0, 0, 0])
    low, high = output([[1.0, 0.0]] * 4, [0, 0, 0, 1]), output([[3.0, 0.0]] * 4, [0, 0, 0, 1])

    first, second = curves.entry(train, low), curves.entry(train, high)

    assert "rise" not in first["validation"]
    differences = per_example_loss(high)[0] - per_example_loss(low)[0]
    assert second["validation"]["rise"] == pytest.approx(differences.mean())
    assert second["validation"]["rise_error"] == pytest.approx(differences.std(ddof=1) / 2)
    assert (second["validation"]["hits"], second["validation"]["rows"]) == (3, 4)
    assert curves.entry(train, low)["validation"]["rise"] == 0


def test_other_outputs_have_their_losses_alone_and_nan_is_none():
    tags = EvalLoopOutput((np.zeros((2, 3)),), np.zeros((2, 3), dtype=int), {"eval_loss": 0.5}, 2)
    nothing = EvalLoopOutput((np.zeros((2, 3)),), np.zeros((2, 3), dtype=int), {}, 2)

    assert LearningCurves().entry(tags, tags)["train"] == {"loss": 0.5, "rows": 2}
    assert LearningCurves().entry(nothing, tags)["train"]["loss"] is None
    broken = output([[np.nan, 0.0]] * 2, [0, 0])
    assert LearningCurves().entry(broken, broken)["validation"]["loss"] is None
