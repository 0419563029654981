"""What the commands say and print of questions and answers, without training a model."""

import contextlib
import io
from types import SimpleNamespace

import datasets
import pytest
import torch

from llmtune.models.from_scratch import tokenizer_type, train_tokenizer
from llmtune.report.card_code_question_answering import ALWAYS, SEARCH
from llmtune.tasks.question_answering.generative import GenerativeQuestionAnswering
from llmtune.tasks.question_answering.task import QuestionAnswering

ROWS = datasets.Dataset.from_dict(
    {
        "question": ["Who came?", "Who left?"],
        "context": ["Then Anna came by ship.", "Anna came by ship."],
        "answers": [{"text": ["ship"], "answer_start": [18]}, {"text": [], "answer_start": []}],
    }
)
TEXTS = ["question: Who came? context: Then Anna came by ship. Who left?"] * 3


@pytest.mark.parametrize("threshold", [None, 0.0])
def test_a_model_that_always_answers_is_said_to_where_some_questions_have_none(threshold):
    tokenizer = train_tokenizer("bert", TEXTS, 300, 64)
    task = QuestionAnswering(64, 16, null_threshold=threshold)

    cut = "; ".join(task.encode(ROWS, tokenizer).notes)
    unlabelled = "; ".join(task.encode(ROWS.remove_columns("answers"), tokenizer).notes)

    assert ("every question gets an answer, so 1 without one count as wrong" in cut) is (threshold is None)
    assert "count as wrong" not in unlabelled


def test_answers_that_were_cut_away_with_their_context_are_said():
    tokenizer = train_tokenizer(tokenizer_type("t5", writes=True), TEXTS, 400, 64)

    cut = "; ".join(GenerativeQuestionAnswering(9, 8, 8).encode(ROWS, tokenizer).notes)

    assert cut == "contexts truncated at their end, to 9 tokens: 2; questions whose answer was truncated away: 1"


def test_the_code_of_a_card_passes_over_tokens_that_are_space():
    logits = torch.tensor([[0.0, 1.0, 5.0]])
    found = {
        "torch": torch,
        "context": "one  two",
        "windows": [({}, {1: (0, 3), 2: (3, 5)}, 0)],
        "model": lambda: SimpleNamespace(start_logits=logits, end_logits=logits),
    }

    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec((SEARCH + ALWAYS).format(max_answer_length=2), found)

    assert out.getvalue() == "one\n"
