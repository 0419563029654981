"""`--freeze_layers`: the embeddings and the first layers keep the checkpoint's weights (Howard and Ruder 2018)."""

import torch
from transformers import PreTrainedModel

from llmtune.errors import InputError

# What stands before the first layer: embeddings, GPT-2's positions, and what makes small embeddings as wide as a layer.
BEFORE_LAYERS = (
    "embeddings",
    "embed_tokens",
    "embed_in",
    "wte",
    "wpe",
    "embeddings_project",
    "embedding_hidden_mapping_in",
)


def freeze_layers(model: PreTrainedModel, count: int) -> None:
    """Freezes all that stands before the first layer, and the first `count` layers, in place.

    Raises:
        InputError: fewer layers, an encoder with a decoder, or a last layer that would be frozen with everything.
    """
    body, config = model.base_model, model.config
    if config.is_encoder_decoder:
        raise InputError(
            f"--freeze_layers {count}: {config.model_type} has the layers of an encoder and of a decoder; leave it "
            "out, or train an adapter by --use_peft"
        )
    layers = _layers(body, config.num_hidden_layers)
    if layers is None:
        raise InputError(
            f"--freeze_layers {count}: the {config.num_hidden_layers} layers of {config.model_type} share their "
            "weights; leave it out, or train an adapter by --use_peft"
        )
    if not count <= len(layers):
        raise InputError(f"--freeze_layers {count}: {config.model_type} has {len(layers)} layers; give at most those")
    before = [module for name, module in body.named_modules() if name.rpartition(".")[2] in BEFORE_LAYERS]
    for module in (*before, *layers[:count]):
        module.requires_grad_(False)


def _layers(body: torch.nn.Module, count: int) -> torch.nn.ModuleList | None:
    lists = [module for module in body.modules() if isinstance(module, torch.nn.ModuleList) and len(module) == count]
    return lists[0] if lists else None
