"""What the assistant writes in a chat, token by token, in the forms of three real templates, against marks by hand.

The templates are those of the checkpoints, without the parts on tools and system messages that these chats have not:
meta-llama/Llama-3.1-8B-Instruct, mistralai/Mistral-7B-Instruct-v0.3, Qwen/Qwen2.5-7B-Instruct.
"""

import pytest

from llmtune.errors import InputError
from llmtune.tasks.causal_lm.chats import chat_sequences, prompt_ids
from tests.tasks.causal_lm.models import tokenizer_of

LLAMA_3 = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' "
    "+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
    "{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + '[/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'] | trim + eos_token }}{% else %}"
    "{{ raise_exception('Only user and assistant roles are supported') }}{% endif %}{% endfor %}"
)
QWEN = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' "
    "+ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MARKED = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}{% else %}"
    "{{ message['content'] + '<|im_end|>' + '\n' }}{% endif %}{% endfor %}"
)
CONTROL = {
    LLAMA_3: ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    MISTRAL: ("[INST]", "[/INST]"),
    QWEN: ("<|im_start|>", "<|im_end|>"),
    MARKED: ("<|im_start|>", "<|im_end|>"),
}
CHAT = [
    {"role": "user", "content": "sacks of grain"},
    {"role": "assistant", "content": "the old mill"},
    {"role": "user", "content": "past town"},
    {"role": "assistant", "content": "the river ran"},
]
SYSTEM = {"role": "system", "content": "count"}
# By hand: the text between two bars is the assistant's, with the token that ends its turn.
MARKS = {
    LLAMA_3: "<s><|start_header_id|>user<|end_header_id|>\n\nsacks of grain<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n|the old mill<|eot_id|>|"
    "<|start_header_id|>user<|end_header_id|>\n\npast town<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n|the river ran<|eot_id|>|",
    MISTRAL: "<s>[INST] sacks of grain[/INST]| the old mill</s>|[INST] past town[/INST]| the river ran</s>|",
    QWEN: "<|im_start|>user\nsacks of grain<|im_end|>\n<|im_start|>assistant\n|the old mill<|im_end|>|\n"
    "<|im_start|>user\npast town<|im_end|>\n<|im_start|>assistant\n|the river ran<|im_end|>|\n",
}
MARKS[MARKED] = MARKS[QWEN]
NAMES = dict(zip(MARKS, ("llama 3", "mistral", "qwen", "marked"), strict=True))


def tokenizer_with(template):
    tokenizer = tokenizer_of("llama", special=CONTROL[template])
    tokenizer.backend_tokenizer.pre_tokenizer.add_prefix_space = False  # as Llama 3, Mistral v3 and Qwen have it
    tokenizer.chat_template = template
    return tokenizer


def decoded(sequence, tokenizer):
    """The text of the sequence, bars around what is learned."""
    text, inside = "", False
    for token, learned in zip(sequence.ids, sequence.learned, strict=True):
        if learned != inside:
            text, inside = text + "|", learned
        text += tokenizer.decode([token])
    return text + "|" * inside


@pytest.mark.parametrize("template", MARKS, ids=NAMES.get)
def test_the_assistants_turns_are_learned_with_their_ends_and_nothing_else(template):
    tokenizer = tokenizer_with(template)

    (sequence,) = chat_sequences([CHAT], tokenizer)

    assert decoded(sequence, tokenizer) == MARKS[template]


@pytest.mark.parametrize("template", MARKS, ids=NAMES.get)
def test_the_tokens_are_those_of_the_whole_chat(template):
    tokenizer = tokenizer_with(template)

    (sequence,) = chat_sequences([CHAT], tokenizer)

    assert sequence.ids == tokenizer.apply_chat_template(CHAT, return_dict=False)


def test_the_marks_of_a_template_are_those_of_transformers():
    tokenizer = tokenizer_with(MARKED)

    (sequence,) = chat_sequences([[SYSTEM, *CHAT]], tokenizer)

    theirs = tokenizer.apply_chat_template([SYSTEM, *CHAT], return_dict=True, return_assistant_tokens_mask=True)
    assert [int(learned) for learned in sequence.learned] == theirs["assistant_masks"]
    assert sequence.ids == theirs["input_ids"]


@pytest.mark.parametrize("template", [QWEN, MARKED], ids=NAMES.get)
def test_control_tokens_in_a_users_text_stay_letters(template):
    tokenizer = tokenizer_with(template)
    chat = [{"role": "user", "content": "the <|im_end|> mill"}, {"role": "assistant", "content": "<|im_start|> ran"}]

    (sequence,) = chat_sequences([chat], tokenizer)

    start, end = (tokenizer.convert_tokens_to_ids(token) for token in CONTROL[template])
    assert (sequence.ids.count(start), sequence.ids.count(end)) == (2, 2)
    assert decoded(sequence, tokenizer).endswith("assistant\n|<|im_start|> ran<|im_end|>|\n")


def test_a_template_that_marks_no_end_gets_the_end_token():
    tokenizer = tokenizer_with(QWEN)
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    tokenizer.chat_template += "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"

    (sequence,) = chat_sequences([[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]], tokenizer)

    assert decoded(sequence, tokenizer) == "user: a\nassistant: |b\n</s>|"


def test_a_template_that_writes_earlier_turns_otherwise_is_refused():
    tokenizer = tokenizer_with(QWEN)
    # As of Qwen3: a thought stands in the last turn alone.
    tokenizer.chat_template = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if loop.last and m['role'] == 'assistant' %}"
        "{{ '<think></think>' }}{% endif %}{{ m['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think></think>' }}{% endif %}"
    )

    chat_sequences([CHAT[:2]], tokenizer)
    with pytest.raises(InputError, match=r"chat 1: the chat template writes its beginning otherwise than the whole"):
        chat_sequences([CHAT[:2], CHAT], tokenizer)


def test_a_tokenizer_without_a_template_is_refused():
    with pytest.raises(InputError, match="the tokenizer has no chat template; take the instruction-tuned checkpoint"):
        chat_sequences([CHAT], tokenizer_of())


def test_a_prompt_ends_where_the_answer_begins():
    tokenizer = tokenizer_with(LLAMA_3)

    ids = prompt_ids(CHAT[:3], tokenizer)

    (sequence,) = chat_sequences([CHAT], tokenizer)
    assert ids == list(sequence.ids[: len(ids)])
    assert tokenizer.decode(ids).endswith("assistant<|end_header_id|>\n\n")
