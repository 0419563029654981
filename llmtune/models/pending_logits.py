"""Logits that are not computed yet: hidden states beside the projection that would make them.

Of a batch of 4 x 2,048 tokens and a vocabulary of 128,256 the logits take 4 GiB in float32, as much again for each step
of a loss over them. Who reads them takes a piece at a time (`tasks/linear_cross_entropy.py`, `row_likelihoods`), so a
model's forward pass inside `pending_logits` ends before its output projection. Letters: m rows, t tokens, h numbers of
a state, v words.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

PROBED = 5  # tokens
TOLERANCE = 1e-5  # of the probe, relative to the largest logit: both ways do the same product


class PendingLogits:
    """What stands in the place of logits (m, t, v), and is sliced as they would be.

    Args:
        states: (…, h).
        weight: of the projection, (v, h).
        bias: (v,), or None.
        product_dtype: in which the product is taken: autocast's, where the forward pass ran under it. It is not called
            `dtype`: accelerate turns whatever has one of half precision into float32, whole.
    """

    def __init__(
        self, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, product_dtype: torch.dtype
    ) -> None:
        self.states, self.weight, self.bias, self.product_dtype = states, weight, bias, product_dtype

    @property
    def shape(self) -> torch.Size:
        """Of the logits."""
        return torch.Size((*self.states.shape[:-1], len(self.weight)))

    @property
    def device(self) -> torch.device:
        """Of the logits."""
        return self.states.device

    def __getitem__(self, places: Any) -> "PendingLogits":
        """Those of some rows or tokens."""
        return PendingLogits(self.states[places], self.weight, self.bias, self.product_dtype)

    def __add__(self, bias: torch.Tensor) -> "PendingLogits":
        """With a further bias (v,), as BART and Marian add one."""
        bias = bias.flatten()
        return PendingLogits(
            self.states, self.weight, bias if self.bias is None else self.bias + bias, self.product_dtype
        )

    def float(self) -> torch.Tensor:
        """The logits themselves, in float32."""
        bias = None if self.bias is None else self.bias.to(self.product_dtype)
        return functional.linear(self.states.to(self.product_dtype), self.weight.to(self.product_dtype), bias).float()


@contextlib.contextmanager
def pending_logits(model: Any) -> Iterator[None]:
    """Inside, a model that `can_leave_logits_pending` gives `PendingLogits` in the place of its logits.

    Args:
        model: of transformers, or peft's around one.
    """
    head = _head(model)

    def forward(states: torch.Tensor) -> PendingLogits:
        device = states.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
        return PendingLogits(states, head.weight, head.bias, dtype)

    head.forward = forward
    try:
        yield
    finally:
        del head.forward


def can_leave_logits_pending(model: Any) -> bool:
    """Whether a model's logits are a plain projection of its last states, and nothing but a bias is added to them.

    A head under LoRA, quantized, divided between devices or with a forward pass that another library gave it
    (accelerate's hooks) is none; a model that bends its logits afterwards (Gemma 2) fails a probe.
    """
    head = _head(model)
    if type(head) is not torch.nn.Linear or not isinstance(head.weight, torch.nn.Parameter) or "forward" in vars(head):
        return False
    inputs = {"input_ids": torch.arange(PROBED, device=head.weight.device)[None]}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            plain = model(**inputs)["logits"].float()
            with pending_logits(model):
                pending = model(**inputs)["logits"]
    except (TypeError, AttributeError):  # something was done to the logits that PendingLogits knows nothing of
        return False
    finally:
        model.train(was_training)
    if not isinstance(pending, PendingLogits):
        return False
    with torch.no_grad():
        return bool((pending.float() - plain).abs().max() <= TOLERANCE * plain.abs().max())


def _head(model: Any) -> Any:
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    return plain.get_output_embeddings() if isinstance(plain, PreTrainedModel) else None
