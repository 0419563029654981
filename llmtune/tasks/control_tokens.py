"""Control tokens (</s>, [SEP], <|im_end|>) in users' texts are letters; those of a prompt template are control.

A tokenizer reads the letters "</s>" of a text as its end token unless it is told otherwise (`split_special_tokens`).
The text of a user who strikes a word out, `<s>so</s>`, would end there for the model.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from transformers import PreTrainedTokenizerBase

# Stands for a user's control token while a template is filled: of the private use area, which no template writes.
PLACEHOLDER = "\ue000{}\ue001"
PLACEHOLDERS = re.compile("\ue000([0-9]+)\ue001")


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The letters of each control token of a tokenizer, and its id."""
    added = {token.content: number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return {**added, **dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))}


@lru_cache(maxsize=4)
def _control(tokenizer: PreTrainedTokenizerBase, names: tuple[str, ...]) -> tuple[dict[str, int], re.Pattern[str]]:
    """The control tokens and a pattern that matches any of them, made once for the rows of a data set."""
    control = control_tokens(tokenizer)
    # The longest first; where there are none, a pattern that never matches.
    return control, re.compile("|".join(map(re.escape, sorted(control, key=len, reverse=True))) or "(?!)")


def encode_text(tokenizer: PreTrainedTokenizerBase, texts: Any, **options: Any) -> Any:
    """`tokenizer(texts, …)` of users' texts: no letters of theirs become a control token."""
    return tokenizer(texts, split_special_tokens=True, **options)


def encode_template(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    fill: Callable[[Sequence[str]], str],
    add_special_tokens: bool,
) -> list[int]:
    """The ids of a template filled with users' texts: control tokens that it writes are control, theirs are text.

    Args:
        tokenizer: of the model.
        texts: of the user.
        fill: texts → the whole.
        add_special_tokens: whether the tokenizer's own stand around the whole.
    """
    control, pattern = _control(tokenizer, tuple(tokenizer.all_special_tokens))
    hidden: list[str] = []

    def hide(match: re.Match[str]) -> str:
        hidden.append(match[0])
        return PLACEHOLDER.format(len(hidden) - 1)

    masked = [pattern.sub(hide, text) for text in texts]
    if not hidden:
        return list(tokenizer(fill(texts), add_special_tokens=add_special_tokens)["input_ids"])
    whole = fill(masked)

    def shown(text: str) -> str:
        return PLACEHOLDERS.sub(lambda match: hidden[int(match[1])], text)

    if not pattern.search(whole):
        return list(encode_text(tokenizer, shown(whole), add_special_tokens=add_special_tokens)["input_ids"])
    # Between control tokens a tokenizer reads each piece by itself, so that the pieces' ids are those of the whole.
    ids: list[int] = []
    end = 0
    for match in [*pattern.finditer(whole), None]:
        piece = shown(whole[end : match.start() if match else None])
        ids += encode_text(tokenizer, piece, add_special_tokens=False)["input_ids"] if piece else []
        if match:
            ids.append(control[match[0]])
            end = match.end()
    return _surrounded(tokenizer, ids) if add_special_tokens else ids


def _surrounded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[int]:
    encoded = tokenizer("a", return_special_tokens_mask=True)
    text = [place for place, special in enumerate(encoded["special_tokens_mask"]) if not special]
    return [*encoded["input_ids"][: text[0]], *ids, *encoded["input_ids"][text[-1] + 1 :]]
