"""Attention over a run of tokens that is made of rows: each row alone, none of them padded outside it.

On a GPU in half precision it is flash attention of variable length (`torch.nn.attention.varlen` is another name of the
same kernel, without dropout); elsewhere it runs in groups of rows of like length. `ATTENTION` is its name among HF's
attention implementations. Letters: m rows, n tokens, s slots, a heads, d numbers of a head.
"""

import functools
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from llmtune.models.cpu_attention import Group, cpu_attention

ATTENTION = "padding_free"

# Of padded rows: up to this length torch's fused attention in bfloat16 on a CPU costs more than plain products: forward
# and backward of 16 rows x 8 heads x 20 tokens 7.0 ms against 1.0 (torch 2.13, one core with avx512_bf16), at 200 ones
# the same.
SHORT_ROW = 128
WRITTEN_OUT = 256  # in bfloat16 `cpu_attention` costs less than either up to this length; with dropout at any
LIKE_LENGTH = 0.6  # rows of a group are at least this share of its longest


class Spread(torch.autograd.Function):
    """Tokens (n, …) into their slots (s, …), zeros elsewhere; the gradient is `_Collect`."""

    @staticmethod
    def forward(ctx: Any, tokens: torch.Tensor, slots: torch.Tensor, size: int) -> torch.Tensor:
        """(size, …) of tokens (n, …) whose slots (n,) are all different."""
        ctx.save_for_backward(slots)
        return tokens.new_zeros(size, *tokens.shape[1:]).index_copy_(0, slots, tokens)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Of the tokens, (n, …)."""
        (slots,) = ctx.saved_tensors
        return gradients[0].index_select(0, slots), None, None


class _Collect(torch.autograd.Function):
    """The tokens (n, …) out of their slots (s, …); the gradient is `Spread`, for no slot is read twice."""

    @staticmethod
    def forward(ctx: Any, padded: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(slots)
        ctx.size = len(padded)
        return padded.index_select(0, slots)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (slots,) = ctx.saved_tensors
        gradient = gradients[0]
        return gradient.new_zeros(ctx.size, *gradient.shape[1:]).index_copy_(0, slots, gradient), None


class TokenRows:
    """The rows that a run of n tokens is made of.

    Args:
        bounds: of each row its first token, then n, (m + 1,) int32, on the tokens' device.
        count: n, known without asking the device.
        longest: no row is longer.
    """

    def __init__(self, bounds: torch.Tensor, count: int, longest: int) -> None:
        self.bounds = bounds
        self.count = count
        self.longest = longest
        self._groups_written_out: dict[tuple[int, bool, int | None], list[Group]] = {}

    @classmethod
    def of_lengths(cls, lengths: torch.Tensor, count: int, longest: int) -> "TokenRows":
        """Rows of so many tokens, (m,)."""
        return cls(functional.pad(lengths.cumsum(0), (1, 0)).int(), count, longest)

    @functools.cached_property
    def lengths(self) -> torch.Tensor:
        """Tokens of each row, (m,)."""
        return self.bounds.diff().long()

    @functools.cached_property
    def row(self) -> torch.Tensor:
        """Of each token its row, (n,)."""
        rows = torch.arange(len(self.lengths), device=self.bounds.device)
        return torch.repeat_interleave(rows, self.lengths, output_size=self.count)

    @functools.cached_property
    def position(self) -> torch.Tensor:
        """Of each token its place in its row, (n,)."""
        return torch.arange(self.count, device=self.bounds.device) - self.bounds[self.row]

    @functools.cached_property
    def groups(self) -> list[tuple[int, int, torch.Tensor | None]]:
        """Groups of rows of like length, in the order of their slots: rows, longest, lengths (None: all as long)."""
        if self.lengths.is_cuda:  # asking for the lengths would wait for the device
            return [(len(self.lengths), self.longest, self.lengths)]
        ordered = [int(length) for length in self.lengths[self._order] if length]
        groups = []
        begin = 0
        while begin < len(ordered):
            end = begin
            while end < len(ordered) and ordered[end] >= LIKE_LENGTH * ordered[begin]:
                end += 1
            part = torch.tensor(ordered[begin:end])
            groups.append((end - begin, ordered[begin], None if part.min() == part.max() else part))
            begin = end
        return groups

    @functools.cached_property
    def _order(self) -> torch.Tensor:
        return torch.argsort(self.lengths, descending=True, stable=True)

    @functools.cached_property
    def slots(self) -> tuple[torch.Tensor, int]:
        """Of each token its slot in the groups, (n,), and how many slots there are."""
        if self.lengths.is_cuda:
            return self.row * self.longest + self.position, len(self.lengths) * self.longest
        begins = torch.zeros(len(self.lengths), dtype=torch.long)
        row = slot = 0
        for size, longest, _ in self.groups:
            begins[self._order[row : row + size]] = slot + longest * torch.arange(size)
            row, slot = row + size, slot + size * longest
        return begins[self.row] + self.position, slot

    def _written_out(self, fused: int, causal: bool, window: int | None) -> list[Group]:
        """The groups after the first `fused` ones as `cpu_attention` takes them, the same in every layer."""
        key = fused, causal, window
        if key not in self._groups_written_out:
            self._groups_written_out[key] = [
                (rows, longest, _added(lengths, longest, causal, window))
                for rows, longest, lengths in self.groups[fused:]
            ]
        return self._groups_written_out[key]

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        causal: bool,
        window: int | None,
        dropout: float,
        scale: float | None,
    ) -> torch.Tensor:
        """Attention of each row alone.

        Args:
            query: (n, a, d).
            key: (n, a, d), or with fewer heads, each for several of the query.
            value: as the keys.
            causal: whether a token sees no later one.
            window: a token sees those less than so many places away; None for all.
            dropout: of the attention's weights.
            scale: of the products; None for 1 / sqrt(d).

        Returns:
            (n, a, d).
        """
        if query.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # As torch's own attention does; rotary positions leave float32.
            half = torch.get_autocast_dtype("cpu")
            query, key, value = (part.to(half) for part in (query, key, value))
        if query.is_cuda and query.dtype in (torch.float16, torch.bfloat16) and query.shape[-1] % 8 == 0:
            back = -1 if window is None else window - 1
            return torch.ops.aten._flash_attention_forward(
                query, key, value, self.bounds, self.bounds, self.longest, self.longest, dropout, causal, False,
                scale=scale, window_size_left=back, window_size_right=0 if causal else back,
            )[0]  # fmt: skip
        heads = query.shape[1] // key.shape[1]
        key, value = (part if heads == 1 else part.repeat_interleave(heads, dim=1) for part in (key, value))
        slots, size = self.slots
        whole = size == self.count and len(self.groups) == 1
        padded = [part if whole else Spread.apply(part, slots, size) for part in (query, key, value)]
        attended, begin = [], 0
        fused = sum(not _is_written_out(query, longest, dropout) for _, longest, _ in self.groups)
        for rows, longest, lengths in self.groups[:fused]:
            end = begin + rows * longest
            q, k, v = (part[begin:end].unflatten(0, (rows, longest)).transpose(1, 2) for part in padded)
            mask = _mask(lengths, longest, causal, window, query.device)
            states = functional.scaled_dot_product_attention(
                q, k, v, mask, dropout, is_causal=causal and mask is None, scale=scale
            )
            attended.append(states.transpose(1, 2).flatten(0, 1))
            begin = end
        if groups := self._written_out(fused, causal, window):
            scale = query.shape[-1] ** -0.5 if scale is None else scale
            attended.append(cpu_attention([part[begin:] for part in padded], groups, scale=scale, dropout=dropout))
        result = torch.cat(attended) if len(attended) > 1 else attended[0]
        return result if whole else _Collect.apply(result, slots)


def _mask(
    lengths: torch.Tensor | None, longest: int, causal: bool, window: int | None, device: torch.device
) -> torch.Tensor | None:
    """Which keys (…, longest) a query may see; padding stands on the right, where nothing causal looks."""
    if window is not None and window < longest:
        places = torch.arange(longest, device=device)
        distance = places[:, None] - places
        seen = distance.abs() < window
        seen = seen & (distance >= 0) if causal else seen
        if lengths is None or causal:
            return seen
        # Padding sees itself: a query without any key would turn gradients into NaN.
        return (seen & (places < lengths[:, None])[:, None, None]) | torch.eye(longest, dtype=torch.bool, device=device)
    if lengths is None or causal:
        return None
    return (torch.arange(longest, device=device) < lengths[:, None])[:, None, None]


def _is_written_out(query: torch.Tensor, longest: int, dropout: float) -> bool:
    """Whether a group of rows up to this length is computed by `cpu_attention`: on a CPU, by dtype and dropout."""
    if query.device.type != "cpu" or query.dtype not in (torch.bfloat16, torch.float32):
        return False
    return dropout > 0 or (query.dtype == torch.bfloat16 and longest <= WRITTEN_OUT)


def _added(lengths: torch.Tensor | None, longest: int, causal: bool, window: int | None) -> torch.Tensor | None:
    """What `cpu_attention` adds to scores: minus infinity at keys that a query does not see."""
    seen = _mask(lengths, longest, causal, window, torch.device("cpu"))
    if seen is None and causal:
        seen = torch.ones(longest, longest, dtype=torch.bool).tril_()
    return None if seen is None else torch.zeros(seen.shape).masked_fill_(~seen, float("-inf"))


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    token_rows: TokenRows | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """As every function of `AttentionInterface`: (1, a, n, d) → (1, n, a, d); without `token_rows` torch's own."""
    if token_rows is None:
        options |= {"dropout": dropout, "scaling": scaling, "is_causal": is_causal, "sliding_window": sliding_window}
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    attended = token_rows.attend(
        *(part[0].transpose(0, 1) for part in (query, key, value)),
        causal=bool(getattr(module, "is_causal", True) if is_causal is None else is_causal),
        window=sliding_window,
        dropout=dropout,
        scale=scaling,
    )
    return attended[None], None


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
