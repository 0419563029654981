"""Attention of rows on a CPU: forward and backward written out, in one step of autograd.

Torch's fused attention knows no dropout there. Its plain one draws a double for each mask, keeps the weights twice and
passes over all scores at every step; in bfloat16 it computes in float32, and the fused one takes seven times as long
for rows of 20 tokens. Here scores are made in pieces that stay in the caches, and a mask is a bitwise and. Products are
of the dtype that comes in, as in HF's eager attention; the softmax is float32, which on a CPU takes a quarter of what
one of bfloat16 does. Forward and backward of 2,048 tokens, 12 heads of 32 numbers, one core (torch 2.13), in float32
with dropout: rows of 24 tokens 18 ms, torch's own 25; of 100 tokens 35 and 61; of 256 tokens 87 and 144; of 512 tokens
190 and 480. In bfloat16, before there were pieces: rows of 100 tokens 37 ms with dropout and 12 without, torch's own 47
and 58; of 256 tokens 85 and 25, torch's 91 and 45; of 512 tokens 202 and 136, torch's 273 and 71.
Letters: m rows, n tokens, s slots, a heads, d numbers of a head, l tokens of the longest row of a group.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from llmtune.models.cpu_dropout import LEVELS, keep_mask, kept_bits

# Rows, their longest, and what is added to their scores (m, a, l, l), broadcast: minus infinity at keys not seen.
Group = tuple[int, int, torch.Tensor | None]

PIECE = 2**19  # scores computed at once, 2 MiB of float32, which caches hold; one head of a row at least
# Of rows up to this length the weights are kept for the gradient; of longer ones, whose weights would take most of the
# memory, they are computed again, which takes a fifth more time.
KEPT_UP_TO = 256


def cpu_attention(
    parts: Sequence[torch.Tensor], groups: Sequence[Group], *, scale: float, dropout: float
) -> torch.Tensor:
    """Attention of each row alone.

    Args:
        parts: query and key, (s, a, d) each, and value, (s, a, d) or with heads of another size.
        groups: in the order of the slots.
        scale: of the products.
        dropout: of the attention's weights.

    Returns:
        Of the value's shape.
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
        ctx.groups, ctx.heads, ctx.scale = groups, query.shape[1], scale
        ctx.has_mask, ctx.kept_scale = threshold > 0, LEVELS / (LEVELS - threshold)
        padded = [_by_heads(part, groups) for part in (query, key, value)]
        saved, attended = [], []
        for group, q, k, v in zip(groups, *padded, strict=True):
            saved += [q, k, v]
            states = torch.empty_like(v)
            for heads, rows in _pieces(group, ctx.heads):
                weights = _weights(q[heads], k[heads], group, rows, scale)
                if _is_kept(group):
                    saved.append(weights)
                if threshold:
                    mask = keep_mask(weights.numel(), threshold).view(weights.shape)
                    saved.append(mask)
                    weights = kept_bits(weights, mask)
                torch.bmm(weights, v[heads], out=states[heads])
            attended.append(states.mul_(ctx.kept_scale) if threshold else states)
        ctx.save_for_backward(*saved)
        return _by_slots(attended, groups)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        saved = iter(ctx.saved_tensors)
        of_parts: list[list[torch.Tensor]] = [[], [], []]
        for group, g in zip(ctx.groups, _by_heads(gradients[0], ctx.groups), strict=True):
            q, k, v = (next(saved) for _ in range(3))
            of_query, of_key, of_value = (torch.empty_like(part) for part in (q, k, v))
            g = g * ctx.kept_scale if ctx.has_mask else g
            for heads, rows in _pieces(group, ctx.heads):
                weights = next(saved) if _is_kept(group) else _weights(q[heads], k[heads], group, rows, ctx.scale)
                mask = next(saved) if ctx.has_mask else None
                kept = weights if mask is None else kept_bits(weights, mask)
                torch.bmm(kept.transpose(1, 2), g[heads], out=of_value[heads])
                of_weights = torch.bmm(g[heads], v[heads].transpose(1, 2))
                of_weights = of_weights if mask is None else kept_bits(of_weights, mask)
                of_scores = torch._softmax_backward_data(of_weights.float(), weights.float(), -1, torch.float32)
                of_scores = of_scores.mul_(ctx.scale).to(q.dtype)
                torch.bmm(of_scores, k[heads], out=of_query[heads])
                torch.bmm(of_scores.transpose(1, 2), q[heads], out=of_key[heads])
            for all_groups, part in zip(of_parts, (of_query, of_key, of_value), strict=True):
                all_groups.append(part)
        return (*(_by_slots(parts, ctx.groups) for parts in of_parts), None, None, None)


def _is_kept(group: Group) -> bool:
    """Whether the weights of a group's rows are kept for the gradient."""
    return group[1] <= KEPT_UP_TO


def _pieces(group: Group, heads: int) -> Iterator[tuple[slice, slice]]:
    """What is computed at once: of a group's heads (m·a), and the rows (m) that they belong to."""
    rows, longest, _ = group
    at_once = max(1, PIECE // longest**2)
    if at_once >= heads:
        for row in range(0, rows, at_once // heads):
            end = min(rows, row + at_once // heads)
            yield slice(row * heads, end * heads), slice(row, end)
        return
    for row in range(rows):
        for head in range(0, heads, at_once):
            yield slice(row * heads + head, row * heads + min(heads, head + at_once)), slice(row, row + 1)


def _weights(q: torch.Tensor, k: torch.Tensor, group: Group, rows: slice, scale: float) -> torch.Tensor:
    """What each token takes of the others, (h, l, l); of a piece (h, l, d), heads of one row or all those of rows."""
    added = group[2]
    scores = torch.bmm(q, k.transpose(1, 2)).float().mul_(scale)
    if added is not None:
        by_row = added[rows] if added.dim() == 4 else added
        scores.unflatten(0, (rows.stop - rows.start, -1)).add_(by_row)
    return torch.softmax(scores, dim=-1).to(q.dtype)


def _by_heads(slots: torch.Tensor, groups: Sequence[Group]) -> Iterator[torch.Tensor]:
    """Of each group (m·a, l, d), of slots (s, a, d)."""
    begin = 0
    for rows, longest, _ in groups:
        group = slots[begin : begin + rows * longest].unflatten(0, (rows, longest))
        yield group.transpose(1, 2).reshape(-1, longest, slots.shape[-1])
        begin += rows * longest


def _by_slots(parts: Sequence[torch.Tensor], groups: Sequence[Group]) -> torch.Tensor:
    """(s, a, d) of groups (m·a, l, d)."""
    heads, size = parts[0].shape[0] // groups[0][0], parts[0].shape[-1]
    slots = parts[0].new_empty(sum(rows * longest for rows, longest, _ in groups), heads, size)
    begin = 0
    for part, (rows, longest, _) in zip(parts, groups, strict=True):
        group = slots[begin : begin + rows * longest].unflatten(0, (rows, longest))
        group.copy_(part.unflatten(0, (rows, -1)).transpose(1, 2))
        begin += rows * longest
    return slots
