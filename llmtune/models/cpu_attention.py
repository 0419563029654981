"""Attention of rows in bfloat16 on a CPU: forward and backward written out, in one step of autograd.

Torch's fused attention takes seven times as long for rows of 20 tokens and knows no dropout; its plain one computes in
float32, asks of each score whether its row is empty, and draws a double for each mask of dropout. As five steps of
autograd a group of rows, short rows take mostly the steps. Products are bfloat16, as in HF's eager attention; the
softmax is float32, which on a CPU takes a quarter of the time. Forward and backward of 2,048 tokens, 12 heads of 32
numbers, one core (torch 2.13): rows of 100 tokens 37 ms with dropout and 12 without, torch's own 47 and 58; rows of 256
tokens 85 and 25, torch's 91 and 45; of 512 tokens 202 and 136, torch's 273 and 71.
Letters: m rows, n tokens, s slots, a heads, d numbers of a head, l tokens of the longest row of a group.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from llmtune.models.cpu_dropout import LEVELS, keep_mask, masked

# Rows, their longest, and what is added to their scores (m, a, l, l), broadcast: minus infinity at keys not seen.
Group = tuple[int, int, torch.Tensor | None]


def cpu_attention(
    parts: Sequence[torch.Tensor], groups: Sequence[Group], *, scale: float, dropout: float
) -> torch.Tensor:
    """Attention of each row alone.

    Args:
        parts: query, key and value, (s, a, d) each.
        groups: in the order of the slots.
        scale: of the products.
        dropout: of the attention's weights.

    Returns:
        (s, a, d).
    """
    attended: torch.Tensor = _GroupsOfRows.apply(*parts, groups, scale, min(round(dropout * LEVELS), LEVELS - 1))
    return attended


class _GroupsOfRows(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        groups: Sequence[Group],
        scale: float,
        threshold: int,
    ) -> torch.Tensor:
        ctx.groups, ctx.scale = groups, scale
        ctx.kept_scale = LEVELS / (LEVELS - threshold)
        padded = [_by_heads(part, groups) for part in (query, key, value)]
        saved, attended = [], []
        for (rows, _, seen), q, k, v in zip(groups, *padded, strict=True):
            scores = torch.bmm(q, k.transpose(1, 2)).float().mul_(scale)
            if seen is not None:
                scores.unflatten(0, (rows, -1)).add_(seen)
            weights = torch.softmax(scores, dim=-1).to(q.dtype)
            mask = keep_mask(weights.numel(), threshold).view(weights.shape) if threshold else None
            attended.append(torch.bmm(weights if mask is None else masked(weights, mask, ctx.kept_scale), v))
            saved += [q, k, v, weights, *([] if mask is None else [mask])]
        ctx.save_for_backward(*saved)
        ctx.saved_each = len(saved) // len(groups)
        return _by_slots(attended, groups, query)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        (gradient,), saved, each = gradients, ctx.saved_tensors, ctx.saved_each
        of_query, of_key, of_value = [], [], []
        for place, g in enumerate(_by_heads(gradient, ctx.groups)):
            q, k, v, weights, *mask = saved[place * each : (place + 1) * each]
            kept = masked(weights, mask[0], ctx.kept_scale) if mask else weights
            of_value.append(torch.bmm(kept.transpose(1, 2), g))
            of_weights = torch.bmm(g, v.transpose(1, 2))
            if mask:
                of_weights = masked(of_weights, mask[0], ctx.kept_scale)
            of_scores = torch._softmax_backward_data(of_weights.float(), weights.float(), -1, torch.float32)
            of_scores = of_scores.mul_(ctx.scale).to(q.dtype)
            of_query.append(torch.bmm(of_scores, k))
            of_key.append(torch.bmm(of_scores.transpose(1, 2), q))
        of_parts = (_by_slots(parts, ctx.groups, gradient) for parts in (of_query, of_key, of_value))
        return (*of_parts, None, None, None)


def _by_heads(slots: torch.Tensor, groups: Sequence[Group]) -> Iterator[torch.Tensor]:
    """Of each group (m·a, l, d), of slots (s, a, d)."""
    begin = 0
    for rows, longest, _ in groups:
        group = slots[begin : begin + rows * longest].unflatten(0, (rows, longest))
        yield group.transpose(1, 2).reshape(-1, longest, slots.shape[-1])
        begin += rows * longest


def _by_slots(parts: Sequence[torch.Tensor], groups: Sequence[Group], like: torch.Tensor) -> torch.Tensor:
    """(s, a, d) of groups (m·a, l, d)."""
    slots, begin = torch.empty_like(like, memory_format=torch.contiguous_format), 0
    for part, (rows, longest, _) in zip(parts, groups, strict=True):
        group = slots[begin : begin + rows * longest].unflatten(0, (rows, longest))
        group.copy_(part.unflatten(0, (rows, -1)).transpose(1, 2))
        begin += rows * longest
    return slots
