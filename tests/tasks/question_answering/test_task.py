"""The best spans of windows against a search over all of them, and the answers that rows get."""

from dataclasses import replace

import datasets
import numpy as np
import pytest
import torch
from transformers import BertConfig

from llmtune.errors import InputError
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.task import QuestionAnswering
from llmtune.tasks.question_answering.windows import SpanWindows

TASK = QuestionAnswering(max_length=12, doc_stride=2, n_best_size=5, max_answer_length=3)


def labels(first, length):
    return torch.tensor([[0, 0, first, length]])


def logits(seed, t=10):
    return tuple(torch.randn(1, t, generator=torch.Generator().manual_seed(seed + i)) for i in (0, 50))


@pytest.mark.parametrize("seed", range(5))
def test_the_spans_of_a_window_are_the_best_of_all_that_are_allowed(seed):
    start, end = logits(seed)
    of = labels(3, 9)  # the context is tokens 3 to 7; 8 is the end token, 9 padding

    best, first, last, null = TASK.reduce_logits((start, end), of)

    every = [(float(start[0, i] + end[0, j]), i, j) for i in range(3, 8) for j in range(i, min(i + 3, 8))]
    expected = sorted(every, reverse=True)[:5]
    assert best[0].tolist() == pytest.approx([value for value, _, _ in expected])
    assert list(zip(first[0].tolist(), last[0].tolist(), strict=True)) == [(i, j) for _, i, j in expected]
    assert null.tolist() == pytest.approx([float(start[0, 0] + end[0, 0])])
    of_decoder = replace(TASK, is_causal=True).reduce_logits((start, end), of)[3]
    assert of_decoder.tolist() == pytest.approx([float(start[0, 8] + end[0, 8])])


def test_padding_does_not_change_the_spans():
    start, end = logits(1)
    longer = tuple(torch.cat([part, torch.full((1, 7), 99.0)], dim=1) for part in (start, end))

    for ours, padded in zip(
        TASK.reduce_logits((start, end), labels(3, 10)), TASK.reduce_logits(longer, labels(3, 10)), strict=True
    ):
        assert padded.tolist() == ours.tolist()


def test_a_context_of_one_token_has_one_span():
    best, *_ = TASK.reduce_logits(logits(2, t=4), labels(2, 4))

    assert torch.isfinite(best).sum() == 1
    assert best.shape == (1, 5)


CONTEXT = "one two three four five"
OFFSETS = np.array([(0, 3), (4, 7), (8, 13), (14, 18), (19, 23)])


def two_rows() -> SpanWindows:
    """The first row has windows of words 0 to 2 and 2 to 4, the second one of all; contexts begin at token 1."""
    inputs = datasets.Dataset.from_dict({"input_ids": [[0]] * 3})
    row, begin, first = np.array([0, 0, 1]), np.array([0, 2, 0]), np.array([1, 1, 1])
    return SpanWindows(inputs, row, begin, first, [OFFSETS, OFFSETS], 1, 0, 0)


def outputs(best, first, last, null):
    return tuple(np.array(part, dtype=np.float32) for part in (best, first, last, null))


FOUND = outputs(
    # "three" is found by both windows of the first row, at token 3 of one and token 1 of the other.
    [[2.0, 1.0], [3.0, 0.0], [5.0, -np.inf]],
    [[3, 1], [1, 2], [2, 1]],
    [[3, 1], [1, 3], [3, 1]],
    [4.0, 6.0, 1.0],
)


def test_the_best_span_of_all_windows_is_the_answer_and_a_span_found_twice_counts_once():
    answers = TASK.decode(FOUND, two_rows(), [CONTEXT, CONTEXT])

    assert answers.text == ["three", "two three"]
    assert list(zip(answers.start, answers.end, strict=True)) == [(8, 13), (4, 13)]
    # "three" 3, "one" 1, "four five" 0; "three" with 2 is the same span.
    assert answers.score == pytest.approx([np.exp(3) / (np.exp(3) + np.exp(1) + np.exp(0)), 1.0])
    assert answers.null_difference.tolist() == [-np.inf, -np.inf]


def test_no_answer_is_given_where_its_logits_pass_the_best_span_by_more_than_the_threshold():
    at = {
        threshold: replace(TASK, null_threshold=threshold).decode(FOUND, two_rows(), [CONTEXT, CONTEXT])
        for threshold in (0.0, 1.5)
    }

    # Of two windows the one that is surer of an answer speaks: 4.0 and 6.0 give 4.0, one above the best span's 3.0.
    assert at[0.0].null_difference.tolist() == [1.0, -4.0]
    assert at[0.0].text == ["", "two three"]
    assert (at[0.0].start[0], at[0.0].end[0]) == (None, None)
    assert at[0.0].score[0] == pytest.approx(np.exp(4) / np.exp([4, 3, 1, 0]).sum())
    assert at[1.5].text[0] == "three"
    assert at[0.0].best == ["three", "two three"]


def test_a_row_with_a_broken_output_gets_no_answer_and_is_counted():
    best, first, last, null = (part.copy() for part in FOUND)
    best[1, 0] = np.nan

    answers = TASK.decode((best, first, last, null), two_rows(), [CONTEXT, CONTEXT])

    assert answers.text == ["", "two three"]
    assert answers.nonfinite == 1


def test_space_alone_is_no_answer_and_space_at_the_ends_makes_no_other_span():
    context, offsets = "one  two", np.array([(0, 3), (3, 5), (5, 8)])  # the two spaces are a token, as in Llama
    inputs = datasets.Dataset.from_dict({"input_ids": [[0]]})
    windows = SpanWindows(inputs, np.array([0]), np.array([0]), np.array([1]), [offsets], 0, 0, 0)
    spans = outputs([[5.0, 4.0, 3.0, 2.0]], [[2, 2, 3, 1]], [[2, 3, 3, 1]], [0.0])

    answers = TASK.decode(spans, windows, [context])

    assert (answers.text, answers.start, answers.end) == (["two"], [5], [8])
    assert answers.score == pytest.approx([np.exp(4) / (np.exp(4) + np.exp(2))])


def test_windows_of_a_checkpoint_of_another_toolkit_fit_its_positions():
    task = QuestionAnswering.from_config(BertConfig(max_position_embeddings=128), "run")

    assert (task.max_length, task.doc_stride) == (128, 42)
    assert QuestionAnswering.from_config(BertConfig(), "run").doc_stride == 128


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            {"num_beams": 4},
            "--num_beams 4: this model marks its answers and writes none; leave it out, or take a model",
        ),
        ({"prompt_template": "{source}"}, "--prompt_template {source}: this model marks"),
        ({"use_chat_template": True}, "--use_chat_template True: this model marks"),
    ],
)
def test_what_only_a_model_that_writes_reads_is_refused(option, message):
    with pytest.raises(InputError, match=message):
        QuestionAnswering.from_options(QuestionAnsweringArguments(**option), may_abstain=True)


def test_sizes_below_one_and_a_threshold_without_use_are_refused():
    with pytest.raises(InputError, match="--n_best_size 0: expected 1 or more"):
        QuestionAnswering.from_options(QuestionAnsweringArguments(n_best_size=0), may_abstain=True)
    with pytest.raises(InputError, match="--null_score_diff_threshold 0.5: every question of train has an answer"):
        QuestionAnswering.from_options(QuestionAnsweringArguments(null_score_diff_threshold=0.5), may_abstain=False)
