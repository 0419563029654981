"""A model's forward pass in the dtype of its weights, after accelerate put the autocast of training around it."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def without_autocast(model: torch.nn.Module) -> Iterator[None]:
    """Inside, `model` computes as before `Accelerator.prepare_model`, which keeps that forward pass beside its own.

    Args:
        model: taken out of what several processes share it by; one that was not prepared stays as it is.
    """
    around, plain = model.__dict__.get("forward"), model.__dict__.get("_original_forward")
    if around is None or plain is None:
        yield
        return
    model.forward = plain
    try:
        yield
    finally:
        model.forward = around
