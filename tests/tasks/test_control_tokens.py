"""Letters of control tokens in users' texts are text, in every task; those of a template are control."""

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune.commands.check import count_tokens
from llmtune.models.from_scratch import train_tokenizer
from llmtune.tasks.control_tokens import control_tokens
from llmtune.tasks.question_answering.generative import GenerativeQuestionAnswering
from llmtune.tasks.question_answering.task import QuestionAnswering
from llmtune.tasks.summarization import Summarization
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.tasks.translation import Translation

TEXTS = ["win cash now", "see you at noon [ ] < > / s e p a d u n k m c l", "I met Ada in Oslo"] * 3
CHAT = (
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] | trim }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
TOKENIZERS = {kind: train_tokenizer(kind, TEXTS, 400, 64) for kind in ("bert", "roberta", "llama", "t5", "qwen2")}
CONTROL = ("</s>", "<s>", "[SEP]", "[CLS]", "[MASK]", "<pad>", "<unk>", "<mask>")
texts = st.lists(st.sampled_from(("win", "cash", "Ada", *CONTROL)), min_size=1, max_size=6).map(" ".join)
tokenizers = st.sampled_from(sorted(TOKENIZERS)).map(TOKENIZERS.__getitem__)
few = settings(max_examples=12, deadline=None)


def rows(**columns):
    return datasets.Dataset.from_dict(columns)


def count_control(ids, tokenizer):
    unknown = {tokenizer.unk_token_id} if tokenizer.unk_token == "[UNK]" else set()  # a letter WordPiece never saw
    return sum(i in set(control_tokens(tokenizer).values()) - unknown for i in ids)


@few
@given(texts, tokenizers)
def test_a_classifier_reads_as_many_control_tokens_as_of_plain_text(text, tokenizer):
    task = TextClassification(("ham", "spam"), "spam", max_length=64)

    tokens = task.encode(rows(text=[text, "win"]), tokenizer).dataset

    around = count_control(tokens[1]["input_ids"], tokenizer)
    assert count_control(tokens[0]["input_ids"], tokenizer) == around
    assert count_tokens(tokenizer, [text]) == [len(tokens[0]["input_ids"])]


@few
@given(texts, tokenizers)
def test_a_tagger_reads_control_tokens_as_words(text, tokenizer):
    task = TokenClassification(("O", "B-X", "I-X"), 64, 8)

    windows = task.encode(rows(tokens=[text.split(), ["win"]]), tokenizer).index

    ids = windows.inputs["input_ids"]
    assert windows.empty_words == 0
    assert count_control(ids[0], tokenizer) == count_control(ids[1], tokenizer)


@few
@given(texts, tokenizers)
def test_question_and_context_hold_no_control_token(text, tokenizer):
    if tokenizer.sep_token is None:
        return  # a decoder's layout is the next test's
    task = QuestionAnswering(64, 8, 8)

    windows = task.encode(rows(question=[text, "win"], context=[text, "win"]), tokenizer).index

    ids = windows.inputs["input_ids"]
    assert count_control(ids[0], tokenizer) == count_control(ids[1], tokenizer)
    spans = [text[begin:end] for begin, end in windows.offsets[0]]
    assert "".join(spans).replace(" ", "") == text.replace(" ", "")


@few
@given(texts, st.sampled_from([("roberta", False), ("t5", False), ("llama", True), ("qwen2", True)]))
@pytest.mark.parametrize("kind", [Translation, Summarization, GenerativeQuestionAnswering])
def test_what_is_written_ends_once_and_reads_back(kind, text, model):
    model_type, decoder = model
    tokenizer = TOKENIZERS[model_type]
    task = kind(64, 64, 32, decoder=decoder, prompt_template="{source} =>")

    answer = task.answer_ids(text, text, tokenizer)
    prompt = task.prompt_ids(text, tokenizer)

    assert list(answer).count(tokenizer.eos_token_id) == 1
    assert task.decode([answer], tokenizer) == [text]
    assert count_control(prompt, tokenizer) == count_control(task.prompt_ids("win", tokenizer), tokenizer)


@few
@given(texts, st.sampled_from(["llama", "qwen2"]), st.booleans())
def test_the_control_tokens_of_a_template_are_control_and_only_they(text, model_type, chat):
    tokenizer = TOKENIZERS[model_type]
    tokenizer.chat_template = CHAT
    template = None if chat else "<s>user\n{source}</s><s>assistant\n"
    task = Translation(64, 64, 32, decoder=True, prompt_template=template, use_chat_template=chat)

    prompt, plain = (task.prompt_ids(source, tokenizer) for source in (text, "win cash"))
    answer = task.answer_ids(text, text, tokenizer)

    assert [i for i in prompt if i in tokenizer.all_special_ids] == [i for i in plain if i in tokenizer.all_special_ids]
    assert text in tokenizer.decode(prompt)
    assert answer[-1] == tokenizer.eos_token_id
    assert answer.count(tokenizer.eos_token_id) == 1
    assert tokenizer.decode(answer, skip_special_tokens=True).strip() == text


@few
@given(st.lists(st.sampled_from(("win", "cash", "Ada")), min_size=1, max_size=6).map(" ".join), tokenizers)
def test_plain_text_is_read_as_the_tokenizer_alone_reads_it(text, tokenizer):
    task = Translation(64, 64, 32, prompt_template="<s>{source}</s> =>")

    assert task.prompt_ids(text, tokenizer) == tokenizer(f"<s>{text}</s> =>")["input_ids"]
    np.testing.assert_array_equal(count_tokens(tokenizer, [text]), [len(tokenizer(text)["input_ids"])])
