"""The classes of a checkpoint's head: kept under their own names, put in the order of the data, or made new.

A head row says "pos" because it was trained on "pos"; under another name, or at another place, the model starts from
the inverse of what it knows.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from llmtune.errors import InputError
from llmtune.models.families import head_modules
from llmtune.text.label_names import match_names


def align_head(
    model: PreTrainedModel, names: Sequence[str], checkpoint_names: Sequence[str]
) -> tuple[list[str], str | None]:
    """Puts the rows of a head of c classes that was loaded as it is into the order of `names`; else starts it anew.

    Args:
        model: its head has the checkpoint's weights; it is changed in place.
        names: of the c classes, in the order that the logits shall have.
        checkpoint_names: in the order that they have.

    Returns:
        the keys of weights that are new, and a line on what was done, None where nothing was.

    Raises:
        InputError: the head's weights are packed to 4 bits, so that its rows can't be put in order.
    """
    key, layer = _output_layer(model, len(names))
    theirs = ", ".join(checkpoint_names[:8]) + (", …" if len(checkpoint_names) > 8 else "")
    order = match_names(names, checkpoint_names)
    if order == list(range(len(names))):
        return [], None
    if not layer.weight.is_floating_point():
        raise InputError(
            f"--load_in_4bit: the checkpoint's classes are {theirs}, the data's {', '.join(names[:8])}, and the rows "
            "of a 4-bit head can't be put in another order; leave --load_in_4bit out"
        )
    parameters = {f"{key}.{name}": values for name, values in layer.named_parameters(recurse=False)}
    with torch.no_grad():
        for name, values in parameters.items():
            if order is not None:
                values.copy_(values[order].clone())
            elif name.endswith("bias"):
                values.zero_()
            else:
                values.normal_(std=getattr(model.config, "initializer_range", 0.02))
    if order is None:
        return sorted(parameters), f"new: the checkpoint's classes are {theirs}, not those of the data"
    return [], f"kept, its rows put in the order of the data's classes (the checkpoint's order: {theirs})"


def _output_layer(model: PreTrainedModel, classes: int) -> tuple[str, Any]:
    """The last linear layer of the head with one output a class: its name and itself."""
    layers = [
        (name, layer)
        for name, layer in model.named_modules()
        if name.split(".")[0] in head_modules(model)
        and isinstance(layer, torch.nn.Linear)
        and layer.out_features == classes
    ]
    return layers[-1]
