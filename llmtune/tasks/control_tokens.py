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
    hidden = HiddenControlTokens(tokenizer)
    masked = [hidden.hide(text) for text in texts]
    if not hidden.texts:
        return list(tokenizer(fill(texts), add_special_tokens=add_special_tokens)["input_ids"])
    whole = fill(masked)
    if not hidden.pattern.search(whole):
        return list(encode_text(tokenizer, hidden.shown(whole), add_special_tokens=add_special_tokens)["input_ids"])
    ids = hidden.ids(whole)
    return _surrounded(tokenizer, ids) if add_special_tokens else ids


class HiddenControlTokens:
    """Users' texts on their way through a template: their control tokens wait outside.

    Args:
        tokenizer: of the model.

    Attributes:
        texts: the letters that were hidden, in order.
        pattern: of any control token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.control, self.pattern = _control(tokenizer, tuple(tokenizer.all_special_tokens))
        self.texts: list[str] = []

    def hide(self, text: str) -> str:
        """A user's text with placeholders for its control tokens."""

        def hidden(match: re.Match[str]) -> str:
            self.texts.append(match[0])
            return PLACEHOLDER.format(len(self.texts) - 1)

        return self.pattern.sub(hidden, text)

    def shown(self, text: str) -> str:
        """The text with the user's own letters again."""
        return PLACEHOLDERS.sub(lambda match: self.texts[int(match[1])], text)

    def ids(self, filled: str) -> list[int]:
        """The ids of a filled template, or of a part of it."""
        if not self.texts:
            return list(self.tokenizer(filled, add_special_tokens=False)["input_ids"]) if filled else []
        # Between control tokens a tokenizer reads each piece by itself, so that the pieces' ids are those of the whole.
        ids: list[int] = []
        end = 0
        for match in [*self.pattern.finditer(filled), None]:
            piece = self.shown(filled[end : match.start() if match else None])
            ids += encode_text(self.tokenizer, piece, add_special_tokens=False)["input_ids"] if piece else []
            if match:
                ids.append(self.control[match[0]])
                end = match.end()
        return ids


def _surrounded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[int]:
    encoded = tokenizer("a", return_special_tokens_mask=True)
    text = [place for place, special in enumerate(encoded["special_tokens_mask"]) if not special]
    return [*encoded["input_ids"][: text[0]], *ids, *encoded["input_ids"][text[-1] + 1 :]]


def turn_end(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Tokens of a turn of a chat up to the control token that ends it, without the line break that may follow.

    None where the template marks no end.
    """
    control = set(control_tokens(tokenizer).values())
    last = max((place for place, token in enumerate(ids) if token in control), default=-1)
    return None if last < 0 or tokenizer.decode(ids[last + 1 :]).strip() else last + 1
