"""A tokenizer or a chat template that a task can't work with is refused, and told what is missing."""

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import ByT5Tokenizer

from llmtune.errors import InputError
from llmtune.models.from_scratch import train_tokenizer
from llmtune.tasks.question_answering.windows import make_span_windows
from llmtune.tasks.translation import Translation, TranslationArguments

TEXTS = ["Who built the mill? Ada built it.", "Who owns it? Nobody does."]


def windows_with(tokenizer, *, is_causal=False):
    return make_span_windows(["Who?"], ["Ada built it."], tokenizer, max_length=32, doc_stride=8, is_causal=is_causal)


def test_a_slow_tokenizer_can_not_place_answers():
    with pytest.raises(InputError, match="it can't tell which characters a token comes from; choose a checkpoint"):
        windows_with(ByT5Tokenizer())


def test_a_decoder_without_an_end_token_is_refused():
    tokenizer = train_tokenizer("llama", TEXTS, 300, 512)
    tokenizer.eos_token = None

    with pytest.raises(InputError, match=r"has no end token \(eos_token\): set one"):
        windows_with(tokenizer, is_causal=True)


def test_a_tokenizer_that_ends_a_pair_with_two_tokens_is_refused():
    tokenizer = train_tokenizer("bert", TEXTS, 300, 512)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in ("[CLS]", "[SEP]")}
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1 [SEP]:1", special_tokens=list(ids.items())
    )

    with pytest.raises(InputError, match=r"sets 1 tokens before and 2 after two texts, expected one each as BERT's"):
        windows_with(tokenizer)


def test_a_chat_template_whose_prompt_changes_with_the_answer_is_refused():
    tokenizer = train_tokenizer("llama", TEXTS, 300, 512)
    tokenizer.chat_template = "{{ messages | length }} {% for m in messages %}{{ m['content'] }}{% endfor %}"
    task = Translation.from_options(TranslationArguments(use_chat_template=True, max_target_length=8, max_new_tokens=8))
    task = task.fitted(tokenizer, decoder=True, limit=64)

    with pytest.raises(InputError, match="with the answer the template gives another prompt than without, so no loss"):
        task.answer_ids("Who?", "Ada.", tokenizer)
