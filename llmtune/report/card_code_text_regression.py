"""The code of a card that scores texts: plain transformers, its output given back in the target's unit."""

from typing import Any

from llmtune.report.card_code_texts import given_texts, logits_code


def scoring_code(settings: dict[str, Any]) -> str:
    """Lines after the loading of the model.

    Args:
        settings: `llmtune` of the model's config.
    """
    number = f"{settings['target_center']!r} + {settings['target_size']!r} * output"
    if "clip_predictions" in settings:
        low, high = settings["clip_predictions"]
        number = f"min(max({number}, {low!r}), {high!r})"
    return f"{logits_code(settings)}for row, *shown in zip(logits, {given_texts(settings)}):\n" + (
        f"    output = row.item()\n    print({number}, *shown)\n"
    )
