"""Cross entropy of logits that never stand whole: a piece of the tokens at a time, gradients made on the way.

As Wijmans et al. (2024, "Cut Your Losses in Large-Vocabulary Language Models") and Liger's fused linear cross entropy
do it on a GPU with kernels of their own; here in plain PyTorch, on any device. Letters: n tokens, h numbers of a state,
v words.
"""

from typing import Any

import torch

from llmtune.models.pending_logits import PendingLogits

# Logits of a piece, in bytes of float32: enough for products to run at full rate, little beside a model.
PIECE = {"cuda": 1 << 30}
SMALL_PIECE = 1 << 26


def linear_cross_entropy(logits: PendingLogits, labels: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
    """The summed cross entropy in nats, a scalar, as torch's own of the whole logits; in float32 at least.

    Args:
        logits: (n, v), not computed yet.
        labels: (n,), all of them words.
        label_smoothing: share of the target spread over all words (Szegedy et al. 2016).
    """
    total: torch.Tensor = _LinearCrossEntropy.apply(
        logits.states,
        logits.weight,
        logits.bias,
        labels,
        label_smoothing,
        logits.product_dtype,
        torch.is_grad_enabled(),
    )
    return total


def tokens_at_once(words: int, device: torch.device) -> int:
    """How many tokens' logits stand at a time."""
    return max(1, PIECE.get(device.type, SMALL_PIECE) // (4 * words))


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        labels: torch.Tensor,
        label_smoothing: float,
        dtype: torch.dtype,
        learns: bool,
    ) -> torch.Tensor:
        words, step = len(weight), tokens_at_once(len(weight), states.device)
        projection = weight.to(dtype)
        # float32 at least: sums of many pieces lose digits in bfloat16.
        wide = torch.promote_types(dtype, torch.float32)
        wants = [learns and wanted for wanted in ctx.needs_input_grad[:3]]
        d_states = torch.empty_like(states) if wants[0] else None
        d_weight = torch.zeros_like(weight, dtype=wide) if wants[1] else None
        d_bias = torch.zeros(words, dtype=wide, device=states.device) if wants[2] else None
        total = torch.zeros((), dtype=wide, device=states.device)
        for begin in range(0, len(labels), step):
            piece, wanted = states[begin : begin + step].to(dtype), labels[begin : begin + step, None]
            logits = (piece @ projection.t()).to(wide)
            if bias is not None:
                logits += bias.to(wide)
            nats, slope = _nats_and_slope(logits, wanted, label_smoothing, learns=any(wants))
            del logits  # and below the slope, which has its memory: the next piece must not be made beside them
            total += nats
            if slope is None:
                continue
            if d_bias is not None:
                d_bias += slope.sum(dim=0)
            slope = slope.to(dtype)
            if d_states is not None:
                d_states[begin : begin + step] = slope @ projection
            if d_weight is not None:
                d_weight += slope.t() @ piece
            del slope
        ctx.save_for_backward(d_states, d_weight, d_bias)
        ctx.dtypes = states.dtype, weight.dtype, None if bias is None else bias.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        parts = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        slopes = [
            None if part is None else torch.mul(part, gradients[0], out=torch.empty_like(part, dtype=dtype))
            for part, dtype in parts
        ]
        return *slopes, None, None, None, None


def _nats_and_slope(
    logits: torch.Tensor, wanted: torch.Tensor, label_smoothing: float, *, learns: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The summed cross entropy of a piece, and its gradient (n, v) in the memory of its logits.

    Args:
        logits: (n, v); they are spoiled.
        wanted: the words, (n, 1).
        label_smoothing: as above.
        learns: whether the gradient is asked for.
    """
    target = (1 - label_smoothing) * logits.gather(1, wanted)
    if label_smoothing:
        target += label_smoothing * logits.mean(dim=-1, keepdim=True)
    largest = logits.amax(dim=-1, keepdim=True)
    weights = logits.sub_(largest).exp_()
    sums = weights.sum(dim=-1, keepdim=True)
    nats = (largest + sums.log() - target).sum()
    if not learns:
        return nats, None
    slope = weights.div_(sums)  # softmax, minus the target
    slope.scatter_add_(1, wanted, slope.new_full(wanted.shape, label_smoothing - 1))
    if label_smoothing:
        slope -= label_smoothing / logits.shape[1]
    return nats, slope
