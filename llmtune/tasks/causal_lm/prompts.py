"""What a language model is asked to go on with: prompts to watch in training, beginnings of rows after it."""

from typing import Any

import datasets

from llmtune.tasks.causal_lm.sequences import PROMPT_COMPLETION, TEXT

SAMPLES, SAMPLE_WORDS = 3, 8  # validation rows whose beginnings are continued, and the words of a beginning


def assistant_turns(chat: Any) -> list[str]:
    """What the assistant says in a chat."""
    return [turn["content"] for turn in chat if turn["role"] == "assistant"]


def watched_prompts(rows: datasets.Dataset) -> tuple[str, ...]:
    """Of texts the first words of the first rows, else their prompts, or a chat's first question."""
    rows = rows.select(range(min(SAMPLES, len(rows))))
    if "messages" in rows.column_names:
        return tuple(
            next((turn["content"] for turn in chat if turn["role"] == "user"), "") for chat in rows["messages"]
        )
    if "prompt" in rows.column_names:
        return tuple(rows["prompt"])
    return tuple(" ".join(text.split()[:SAMPLE_WORDS]) for text in rows["text"])


def beginnings(input_format: str, rows: datasets.Dataset) -> tuple[list[Any], list[str]]:
    """What stands before, and what follows: the halves of a text, prompt and completion, a chat and its last answer."""
    if input_format == TEXT:
        texts = list(rows["text"])
        return [text[: len(text) // 2] for text in texts], [text[len(text) // 2 :] for text in texts]
    if input_format == PROMPT_COMPLETION:
        return list(rows["prompt"]), list(rows["completion"])
    chats = [chat for chat in rows["messages"] if chat[-1]["role"] == "assistant"]
    return [list(chat[:-1]) for chat in chats], [chat[-1]["content"] for chat in chats]
