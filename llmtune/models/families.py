"""Which family file serves a `model_type`, and which families serve a task.

A family's `SERVES` says for which tasks: "classification" puts a head on what the model reads (of a text, of its words,
of spans in it), "generation" lets it write, "forecasting" reads numbers and predicts numbers.
"""

from collections.abc import Sequence
from types import ModuleType

from transformers import PreTrainedModel

from llmtune.errors import InputError
from llmtune.models import bert2bert as bert2bert
from llmtune.models import decoder, encoder, encoder_decoder, lstm

FAMILIES = {
    "encoder": encoder,
    "decoder": decoder,
    "encoder_decoder": encoder_decoder,
    "bert2bert": bert2bert,
    "lstm": lstm,
}


def families_serving(use: str) -> tuple[str, ...]:
    """The names of the families that serve "classification" or "generation", best first.

    >>> families_serving("generation")
    ('decoder', 'encoder_decoder', 'bert2bert')
    """
    return tuple(name for name, family in FAMILIES.items() if use in family.SERVES)


def family_of(model_type: str, where: str, families: Sequence[str] = tuple(FAMILIES)) -> ModuleType:
    """The family module of a model_type.

    Args:
        model_type: as a config says it.
        where: it was named, for the message.
        families: that the task serves, best first: BERT alone is an encoder, and one of a pair where it shall write.

    Raises:
        InputError: no such family serves it; the message lists those served.
    """
    for name in families:
        if model_type in FAMILIES[name].MODEL_TYPES:
            return FAMILIES[name]
    served = "; ".join(f"{name}: {', '.join(FAMILIES[name].MODEL_TYPES)}" for name in families)
    raise InputError(f"{where}: model_type {model_type!r} is not served for this task; served are {served}")


def head_modules(model: PreTrainedModel) -> list[str]:
    """The children that are not the pretrained body: the task's head, new and to be trained in full."""
    return [
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and next(child.parameters(), None) is not None
    ]
