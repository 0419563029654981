"""The lines of a card that read texts, or pairs of texts, as their `SequenceTask` does: up to the logits of a row."""

from collections.abc import Mapping, Sequence
from typing import Any

TEXTS = 'texts = ["Write here a text for the model.", "And a second text."]\n'
PAIRS = 'pairs = ["Here what stands beside the first.", "And beside the second."]\n'


def given_texts(settings: Mapping[str, Any]) -> str:
    """The names of the lists that `logits_code` sets, for a `zip`."""
    return "texts" if settings.get("pair_prefix") is None else "texts, pairs"


def windows_note(settings: Mapping[str, Any]) -> str:
    """What is done with long texts by a model of windows."""
    return (
        f"A long text is read in windows of {settings['max_length']} tokens that share {settings['stride']}, the "
        f"{settings['pooling']} of their logits is the text's; `llmtune predict` does likewise, for a whole file."
    )


def logits_code(settings: Mapping[str, Any]) -> str:
    """Lines that set `texts`, of pairs also `pairs`, and `logits`, a row a text.

    Args:
        settings: `llmtune` of the model's config.
    """
    prefix = settings.get("pair_prefix")
    given = TEXTS if prefix is None else TEXTS + PAIRS
    if "pooling" in settings:
        return given + _windows_code(settings, prefix)
    second = "pairs" if not prefix else f"[{prefix!r} + text for text in pairs]"
    # Of one text token types are 0, which the model takes anyway; of a pair the tokenizer gives them where it has them.
    inputs = "texts, return_token_type_ids=False" if prefix is None else f"texts, {second}"
    return (
        f"{given}inputs = tokenizer({inputs}, truncation=True, max_length={settings['max_length']}, padding=True, "
        'return_tensors="pt", split_special_tokens=True)\n'
        "with torch.no_grad():\n    logits = model(**inputs).logits\n"
    )


def sets_code(settings: Mapping[str, Any], thresholds: Sequence[float]) -> str:
    """Lines that print the labels of each text: each by its own probability and threshold, perhaps none.

    Args:
        settings: `llmtune` of the model's config.
        thresholds: of each label, in the order of the model's labels.
    """
    return (
        f"thresholds = {list(thresholds)}\n{logits_code(settings)}"
        f"for row, *shown in zip(logits.sigmoid().tolist(), {given_texts(settings)}):\n"
        "    labels = [model.config.id2label[i] for i, (p, t) in enumerate(zip(row, thresholds)) if p >= t]\n"
        "    print(labels, *shown)\n"
    )


def _windows_code(settings: Mapping[str, Any], prefix: str | None) -> str:
    """As `logits_code`: each row's windows, and their logits pooled."""
    length = settings["max_length"]
    windowed = (
        f"max_length={length}, stride={settings['stride']}, return_overflowing_tokens=True, padding=True, "
        'return_tensors="pt", split_special_tokens=True'
    )
    pooled = "mean(dim=0)" if settings["pooling"] == "mean" else "amax(dim=0)"
    read = (
        '    inputs.pop("overflow_to_sample_mapping")\n'
        f"    with torch.no_grad():\n        rows.append(model(**inputs).logits.{pooled})\n"
        "logits = torch.stack(rows)\n"
    )
    if prefix is None:
        inputs = f"text, truncation=True, return_token_type_ids=False, {windowed}"
        return f"rows = []\nfor text in texts:  # every window of it is read\n    inputs = tokenizer({inputs})\n{read}"
    second = "second" if not prefix else f"{prefix!r} + second"
    return (
        f"half = ({length} - tokenizer.num_special_tokens_to_add(pair=True)) // 2\n\n\n"
        "def cut(text):\n"
        "    options = {'truncation': True, 'max_length': half, 'add_special_tokens': False, 'split_special_tokens': "
        "True}\n"
        '    return text[: tokenizer(text, return_offsets_mapping=True, **options)["offset_mapping"][-1][1]]\n\n\n'
        "rows = []\n"
        "for first, second in zip(texts, pairs):  # every window of the longer is read, beside the other\n"
        "    longer = len(first) >= len(second)\n"
        "    first, second = (first, cut(second)) if longer else (cut(first), second)\n"
        '    side = "only_first" if longer else "only_second"\n'
        f"    inputs = tokenizer(first, {second}, truncation=side, {windowed})\n{read}"
    )
