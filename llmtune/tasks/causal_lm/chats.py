"""Chats → tokens, and which of them the assistant writes: an exact mask, or an error.

A template that marks what the assistant writes ({% generation %} … {% endgeneration %}) is taken at its word. Of
another one the chat is rendered up to each turn of the assistant, as a model is asked for it, and through it: the turn
is what comes between, provided that the whole chat begins with both, token by token.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import render_jinja_template

from llmtune.errors import InputError
from llmtune.tasks.causal_lm.windows import TokenSequence
from llmtune.tasks.control_tokens import HiddenControlTokens, encode_template, turn_end

MARKERS = re.compile(r"{%-?\s*generation\s*-?%}")
OPTIONS = {"enable_thinking": False}  # Qwen3 would write an empty thought into each answer; others do not read it

Chat = Sequence[Mapping[str, Any]]


def check_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises `InputError` for a tokenizer without one."""
    if not tokenizer.chat_template:
        raise InputError(
            "--input_format messages: the tokenizer has no chat template; take the instruction-tuned checkpoint, or "
            "set one in its tokenizer_config.json (chat_template)"
        )


def chat_sequences(chats: Sequence[Chat], tokenizer: PreTrainedTokenizerBase) -> list[TokenSequence]:
    """The chats as their template writes them; the turns of the assistant are learned, with the token that ends each.

    Raises:
        InputError: no chat template, or one that does not tell exactly what the assistant writes.
    """
    check_chat_template(tokenizer)
    marked = MARKERS.search(str(tokenizer.get_chat_template())) is not None
    sequences = []
    for number, chat in enumerate(chats):
        chat = [{name: value for name, value in turn.items() if value is not None} for turn in chat]
        sequence = (_by_markers(chat, tokenizer) if marked else None) or _by_prefixes(chat, tokenizer)
        if sequence is None:
            raise InputError(
                f"chat {number}: the chat template writes its beginning otherwise than the whole, so what the "
                "assistant writes can't be told exactly; put {% generation %} and {% endgeneration %} around it in the "
                "template"
            )
        sequences.append(sequence)
    return sequences


def prompt_ids(chat: Chat, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """A chat up to the turn that the assistant is asked for."""
    return _ids(chat, tokenizer, add_generation_prompt=True)


def _ids(chat: Chat, tokenizer: PreTrainedTokenizerBase, **options: Any) -> list[int]:
    def fill(texts: Sequence[str]) -> str:
        turns = [{**turn, "content": text} for turn, text in zip(chat, texts, strict=True)]
        return str(tokenizer.apply_chat_template(turns, tokenize=False, **OPTIONS, **options))

    return encode_template(tokenizer, [turn["content"] for turn in chat], fill=fill, add_special_tokens=False)


def _by_prefixes(chat: Chat, tokenizer: PreTrainedTokenizerBase) -> TokenSequence | None:
    """None where the beginning of a chat is written otherwise than the whole."""
    whole = _ids(chat, tokenizer)
    learned = [False] * len(whole)
    for place, turn in enumerate(chat):
        if turn["role"] != "assistant":
            continue
        before, through = prompt_ids(chat[:place], tokenizer), _ids(chat[: place + 1], tokenizer)
        end = turn_end(through[len(before) :], tokenizer)
        until = len(through) if end is None else len(before) + end
        if whole[: len(before)] != before or whole[:until] != through[:until]:
            return None
        learned[len(before) : until] = [True] * (until - len(before))
    if chat[-1]["role"] == "assistant" and end is None and tokenizer.eos_token_id is not None:
        return TokenSequence([*whole, tokenizer.eos_token_id], [*learned, True])
    return TokenSequence(whole, learned)


def _by_markers(chat: Chat, tokenizer: PreTrainedTokenizerBase) -> TokenSequence | None:
    """None where a token of the whole chat lies on both sides of a mark."""
    hidden = HiddenControlTokens(tokenizer)
    turns = [{**turn, "content": hidden.hide(turn["content"])} for turn in chat]
    (text,), (marks,) = render_jinja_template(
        conversations=[turns],
        chat_template=tokenizer.get_chat_template(),
        return_assistant_tokens_mask=True,
        **OPTIONS,
        **tokenizer.special_tokens_map,
    )
    ids: list[int] = []
    learned: list[bool] = []
    end = 0
    for start, stop in [*marks, (len(text), len(text))]:
        for part, is_assistant in ((text[end:start], False), (text[start:stop], True)):
            new = hidden.ids(part)
            ids, learned = ids + new, learned + [is_assistant] * len(new)
        end = stop
    return TokenSequence(ids, learned) if ids == hidden.ids(text) else None
