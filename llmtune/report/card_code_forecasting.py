"""The code of a card that predicts the next steps of a series: plain transformers, scaled as the run scaled."""

from typing import Any

FORECAST = """\
scale = model.config.llmtune["scales"][{key!r}]  # of this series, fitted on its train steps
past = torch.tensor([scale["input_centers"]] * {lookback})  # write here the last {lookback} steps: {inputs}
centers, sizes = torch.tensor(scale["input_centers"]), torch.tensor(scale["input_sizes"])
{origin}
with torch.no_grad():
    outputs = model(past_values=((past - centers) / sizes)[None]).logits[0]
print([origin + output * scale["{size}"] for output in outputs.tolist()])  # {target}, step by step
"""
LEVEL = 'origin = scale["target_center"]'
LAST_INPUT = """\
origin = past[-1, {place}].item()  # forecasts are changes from here, and so is this input
centers[{place}] = origin"""
LAST_VALUE = "origin = 0.0  # write here the last known value: forecasts are changes from there"


def forecasting_code(settings: dict[str, Any]) -> str:
    """Lines after the loading of the model.

    Args:
        settings: `llmtune` of the model's config.
    """
    columns = settings["columns"]
    inputs, target = columns["inputs"], columns["target"]
    changes = settings["predict_change"]
    origin = LEVEL if not changes else LAST_INPUT if target in inputs else LAST_VALUE
    return FORECAST.format(
        key=next(iter(settings["scales"])),
        lookback=settings["lookback"],
        inputs=", ".join(inputs),
        origin=origin.format(place=inputs.index(target)) if origin is LAST_INPUT else origin,
        size="change_size" if changes else "target_size",
        target=target,
    )
