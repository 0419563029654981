"""Which family file serves a `model_type`, and which families serve a task.

A family's `SERVES` says for which tasks: "classification" puts a head on what the model reads (of a text, of its words,
of spans in it), "generation" lets it write, "forecasting" reads numbers and predicts numbers.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_QUESTION_ANSWERING_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers import __version__ as transformers_version

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

# Config class → model class, by the Auto class of a task. What writes needs no line: every decoder does.
HEADS = {
    AutoModelForSequenceClassification: MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForTokenClassification: MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoModelForQuestionAnswering: MODEL_FOR_QUESTION_ANSWERING_MAPPING,
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


def check_head(config: PretrainedConfig, auto_model: Any, where: str, families: Sequence[str]) -> None:
    """Raises `InputError` where transformers has no model of this type with the head of a task: Gemma marks no answers.

    Args:
        config: of the model.
        auto_model: of the task.
        where: the model was named, for the message.
        families: that the task serves, whose types with such a head the message lists.
    """
    heads = HEADS.get(auto_model)
    if heads is None or type(config) in heads or auto_model.__name__ in (getattr(config, "auto_map", None) or {}):
        return
    having = [name for family in families for name in FAMILIES[family].MODEL_TYPES if CONFIG_MAPPING[name] in heads]
    written = ", or leave out --method extractive: it writes" if auto_model is AutoModelForQuestionAnswering else ""
    raise InputError(
        f"{where}: transformers {transformers_version} has no {auto_model.__name__} of model_type "
        f"{config.model_type!r}; take one of {', '.join(having)}{written}"
    )


def head_modules(model: PreTrainedModel) -> list[str]:
    """The children that are not the pretrained body: the task's head, new and to be trained in full."""
    return [
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and next(child.parameters(), None) is not None
    ]
