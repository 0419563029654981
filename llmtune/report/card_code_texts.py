"""The lines of a card that read texts, or pairs of texts, as their `SequenceTask` does: up to the logits of a row."""

from collections.abc import Mapping
from typing import Any

TEXTS = 'texts = ["Write here a text to classify.", "And a second text."]\n'
PAIRS = 'pairs = ["Here what stands beside the first.", "And beside the second."]\n'


def given_texts(settings: Mapping[str, Any]) -> str:
    """The names of the lists that `logits_code` sets, for a `zip`."""
    return "texts" if settings.get("pair_prefix") is None else "texts, pairs"


def logits_code(settings: Mapping[str, Any]) -> str:
    """Lines that set `texts`, of pairs also `pairs`, and `logits`, a row a text.

    Args:
        settings: `llmtune` of the model's config.
    """
    prefix = settings.get("pair_prefix")
    second = "pairs" if not prefix else f"[{prefix!r} + text for text in pairs]"
    given = "texts" if prefix is None else f"texts, {second}"
    # Of one text token types are 0, which the model takes anyway; of a pair the tokenizer gives them where it has them.
    types = "return_token_type_ids=False, " if prefix is None else ""
    return (
        f"{TEXTS}{'' if prefix is None else PAIRS}"
        f"inputs = tokenizer({given}, truncation=True, max_length={settings['max_length']}, padding=True, "
        f'return_tensors="pt", {types}split_special_tokens=True)\n'
        "with torch.no_grad():\n    logits = model(**inputs).logits\n"
    )
