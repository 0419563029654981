"""The code of a card that scores texts: plain transformers, its output given back in the target's unit."""

from typing import Any

SCORE = """\
texts = ["Write here a text to score.", "And a second text."]
inputs = tokenizer(texts, truncation=True, max_length={length}, padding=True, return_tensors="pt", \
return_token_type_ids=False, split_special_tokens=True)
with torch.no_grad():
    outputs = model(**inputs).logits[:, 0].tolist()
for text, output in zip(texts, outputs):
    print({answer}, text)
"""


def scoring_code(settings: dict[str, Any]) -> str:
    """Lines after the loading of the model.

    Args:
        settings: `llmtune` of the model's config.
    """
    number = f"{settings['target_center']!r} + {settings['target_size']!r} * output"
    if "clip_predictions" in settings:
        low, high = settings["clip_predictions"]
        number = f"min(max({number}, {low!r}), {high!r})"
    return SCORE.format(length=settings["max_length"], answer=number)
