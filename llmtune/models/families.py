"""Which family file serves a `model_type`."""

from types import ModuleType

from transformers import PreTrainedModel

from llmtune.errors import InputError
from llmtune.models import decoder, encoder

FAMILIES = (encoder, decoder)


def family_of(model_type: str, where: str) -> ModuleType:
    """The family module of a model_type.

    Raises:
        InputError: no family serves it; the message lists those served.
    """
    for family in FAMILIES:
        if model_type in family.MODEL_TYPES:
            return family
    served = "; ".join(f"{family.__name__.rpartition('.')[2]}: {', '.join(family.MODEL_TYPES)}" for family in FAMILIES)
    raise InputError(f"{where}: model_type {model_type!r} is not served for this task; served are {served}")


def head_modules(model: PreTrainedModel) -> list[str]:
    """The children that are not the pretrained body: the task's head, new and to be trained in full."""
    return [
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and next(child.parameters(), None) is not None
    ]
