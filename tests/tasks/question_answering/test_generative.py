"""What a model that writes answers reads and learns, and which models write."""

import datasets
import pytest

from llmtune.errors import InputError
from llmtune.models.from_scratch import tokenizer_type, train_tokenizer
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.generative import GenerativeQuestionAnswering, is_generative

ROWS = datasets.Dataset.from_dict(
    {
        "question": [" Who came?", "Who left?"],
        "context": ["Anna came by ship.", "Anna came by ship."],
        "answers": [{"text": ["Anna"], "answer_start": [0]}, {"text": [], "answer_start": []}],
    }
)
TEXTS = ["question: Who came? context: Anna came by ship. answer: Who left?"] * 3


def encoded(model_type, **options):
    tokenizer = train_tokenizer(tokenizer_type(model_type, writes=True), TEXTS, 400, 64)
    task = GenerativeQuestionAnswering.from_options(QuestionAnsweringArguments(**options))
    task = task.fitted(tokenizer, decoder=model_type == "llama", limit=200)
    return task.encode(ROWS, tokenizer), tokenizer


def test_a_decoder_reads_the_question_first_and_learns_the_answer_alone():
    written, tokenizer = encoded("llama")

    row = written.dataset[0]
    learned = [token for token in row["labels"] if token >= 0]
    assert tokenizer.decode(learned[:-1]).strip() == "Anna"
    assert learned[-1] == tokenizer.eos_token_id
    read = tokenizer.decode(row["input_ids"][: -len(learned)], skip_special_tokens=True)
    assert read.split() == ["question:", "Who", "came?", "context:", "Anna", "came", "by", "ship.", "answer:"]


@pytest.mark.parametrize("model_type", ["llama", "t5"])
def test_where_there_is_no_answer_the_end_token_alone_is_learned(model_type):
    written, tokenizer = encoded(model_type)

    assert [token for token in written.dataset[1]["labels"] if token >= 0] == [tokenizer.eos_token_id]


def test_of_a_long_context_the_end_is_cut_and_counted():
    written, tokenizer = encoded("t5", max_length=12)

    assert written.facts["cuts"]["sources"] == 2
    assert tokenizer.decode(written.dataset[0]["input_ids"]).split()[:3] == ["question:", "Who", "came?"]


def test_an_answer_that_is_cut_away_with_its_context_is_counted():
    answers = [{"text": ["Anna"], "answer_start": [0]}, {"text": ["ship"], "answer_start": [13]}]
    rows = ROWS.remove_columns("answers").add_column("answers", answers)
    tokenizer = train_tokenizer(tokenizer_type("t5", writes=True), TEXTS, 400, 64)

    def lost(length):
        task = GenerativeQuestionAnswering.from_options(QuestionAnsweringArguments(max_length=length))
        return task.fitted(tokenizer, decoder=False, limit=200).encode(rows, tokenizer).facts["cuts"]["lost_answers"]

    context = tokenizer("question: Who came? context: Anna came")["input_ids"]
    assert lost(64) == 0
    assert lost(len(context) + 2) == 1, "Anna is read, the ship is not"


def test_messages_name_arguments_that_the_recipe_has():
    tokenizer = train_tokenizer(tokenizer_type("llama", writes=True), TEXTS, 400, 64)
    task = GenerativeQuestionAnswering.from_options(QuestionAnsweringArguments(max_answer_length=60))

    with pytest.raises(InputError, match=r"60 for the answer \(--max_answer_length\) leave 4 for the source"):
        task.fitted(tokenizer, decoder=True, limit=64)


def test_a_tokenizer_of_many_languages_is_refused(monkeypatch):
    tokenizer = train_tokenizer(tokenizer_type("t5", writes=True), TEXTS, 400, 64)
    tokenizer.add_special_tokens({"additional_special_tokens": ["en_XX"]})
    tokenizer.src_lang = "en_XX"
    task = GenerativeQuestionAnswering.from_options(QuestionAnsweringArguments())

    with pytest.raises(InputError, match="wants to be told two languages .* choose a checkpoint without language"):
        task.fitted(tokenizer, decoder=False, limit=500)


@pytest.mark.parametrize(
    ("method", "family", "writes"),
    [
        (None, "encoder", False),
        (None, "lstm", False),
        (None, "decoder", True),
        (None, "encoder_decoder", True),
        ("generative", "encoder", True),  # a pair of encoders
        ("extractive", "decoder", False),
    ],
)
def test_the_family_decides_unless_the_method_is_given(method, family, writes):
    assert is_generative(method, family) is writes


def test_lengths_without_room_are_refused():
    for name in ("max_length", "max_answer_length"):
        with pytest.raises(InputError, match=f"--{name} 1: expected 2 or more, a token and the end token"):
            GenerativeQuestionAnswering.from_options(QuestionAnsweringArguments(**{name: 1}))
