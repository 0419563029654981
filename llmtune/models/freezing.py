"""`--freeze_layers`: the embeddings and the first layers keep the checkpoint's weights (Howard and Ruder 2018)."""

import torch
from transformers import PreTrainedModel

from llmtune.errors import InputError


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
    if not count <= len(layers):
        raise InputError(f"--freeze_layers {count}: {config.model_type} has {len(layers)} layers; give at most those")
    frozen: list[torch.nn.Module] = [body.embeddings if hasattr(body, "embeddings") else body.get_input_embeddings()]
    for module in (*frozen, *layers[:count]):
        module.requires_grad_(False)


def _layers(body: torch.nn.Module, count: int) -> torch.nn.ModuleList:
    lists = [module for module in body.modules() if isinstance(module, torch.nn.ModuleList) and len(module) == count]
    return lists[0]
