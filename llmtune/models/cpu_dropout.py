"""Dropout on a CPU whose mask comes from 15 random bits an element: `bernoulli_` draws a double for each.

Of 800 tokens x 384 numbers in bfloat16 torch's own takes 1.5 ms on one core, 1.4 of it for the mask (torch 2.13 without
MKL), this one 0.4; masks were 4 % of an update of MiniLM. The bits are those of torch's generator, so that a seed, a
checkpoint and activation checkpointing do with them what they do with its other numbers.
"""

from typing import Any

import torch
from torch.nn import functional

LEVELS = 2**15  # probabilities of dropping are multiples of 1 / LEVELS
# Of a dtype: integers of its size, as which numbers are blanked.
INTEGERS = {torch.bfloat16: torch.int16, torch.float16: torch.int16, torch.float32: torch.int32}


class CpuDropout(torch.nn.Dropout):
    """`torch.nn.Dropout`: each number is zero with probability `p`, else divided by 1 - p, in training alone."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Of any shape; on a CPU in float32, bfloat16 or float16 with the mask of this module."""
        threshold = round(self.p * LEVELS)
        has_mask = self.training and 0 < threshold < LEVELS
        if not has_mask or input.device.type != "cpu" or input.dtype not in INTEGERS:
            return functional.dropout(input, self.p, self.training, self.inplace)
        dropped: torch.Tensor = _Drop.apply(input, threshold)
        return dropped


class _Drop(torch.autograd.Function):
    """Zeros where a random number of 0 to LEVELS - 1 is less than `threshold`, the rest scaled up."""

    @staticmethod
    def forward(ctx: Any, numbers: torch.Tensor, threshold: int) -> torch.Tensor:
        mask = keep_mask(numbers.numel(), threshold).view(numbers.shape)
        ctx.save_for_backward(mask)
        ctx.scale = LEVELS / (LEVELS - threshold)
        return masked(numbers, mask, ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (mask,) = ctx.saved_tensors
        return masked(gradients[0], mask, ctx.scale), None


def keep_mask(count: int, threshold: int) -> torch.Tensor:
    """All bits set (-1) with probability 1 - threshold / LEVELS, else 0, independently: (count,) int16."""
    words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    lanes = words.view(torch.int16)[:count]
    # Less than the threshold is dropped; a shift by 15 leaves the sign alone.
    return lanes.bitwise_and_(LEVELS - 1).neg_().add_(threshold - 1).bitwise_right_shift_(15)


def masked(numbers: torch.Tensor, mask: torch.Tensor, scale: float) -> torch.Tensor:
    """Zeros where the mask has no bits, else numbers times `scale`; both of one shape."""
    return kept_bits(numbers.contiguous(), mask).mul_(scale)


def kept_bits(numbers: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Zeros where the mask has no bits, else the numbers, contiguous; both of one shape."""
    integers = INTEGERS[numbers.dtype]
    return (numbers.view(integers) & mask.to(integers)).view(numbers.dtype)


def install(trainer: Any) -> None:
    """Gives a model that is trained on a CPU this mask in its own dropouts; those of LSTMs and of fused attention stay.

    Not where torch compiles the model: it fuses its own.
    """
    if trainer.args.device.type == "cpu" and not trainer.args.torch_compile:
        for module in trainer.model.modules():
            if type(module) is torch.nn.Dropout:
                module.__class__ = CpuDropout
