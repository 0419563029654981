"""Encoders and decoders over real tokens alone: what is linear runs over the tokens of all rows, attention in each row.

A batch of texts of mixed length is mostly padding (SMS: 2.75 slots a token). `install` puts a step around a model's
body: the m rows of t slots become one row of their n real tokens, with the position that each has in its row; attention
is a function of HF's `AttentionInterface` that keeps to the rows; heads get the states back in their slots, zeros in
padding. The model stays what it is: its weights, its config on disk, its generation and calls without a mask.

Where attention runs: on a GPU in half precision flash attention of variable length (`torch.nn.attention.varlen` is
another name of the same kernel, without dropout); elsewhere in groups of rows of like length. Letters: m rows, t slots,
n tokens, a heads, d numbers of a head, h of a state.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

ATTENTION = "padding_free"  # its name among the attention implementations
REAL_TOKENS = "real_token_slots"  # of a batch: the slot of each real token, of m x t, (n,)

OF_HEADS = ("return_dict", "num_items_in_batch")  # what heads and the Trainer hand on, and a body has no use for

# Each is proven equal to its padded self by tests/models/test_padding_free.py.
MODEL_TYPES = (
    "bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "albert", "ernie", "modernbert",
    "eurobert", "xlm-roberta-xl",
    "llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma", "gemma3_text", "phi", "phi3", "gpt2", "gpt_neox",
)  # fmt: skip

# Up to this length torch's fused attention in bfloat16 on a CPU costs more than plain products: forward and backward of
# 16 rows x 8 heads x 20 tokens 7.0 ms against 1.0 (torch 2.13, one core with avx512_bf16), at 200 tokens the same.
SHORT_ROW = 128
LIKE_LENGTH = 0.75  # rows of a group are at least this share of its longest
TOLERANCE = 1e-3  # of a probe's states, relative to the largest: float32 gives 1e-6, bfloat16 0.01, mixed rows 0.1 up


class _Spread(torch.autograd.Function):
    """Tokens (n, …) into their slots (s, …), zeros elsewhere; the gradient is `_Collect`."""

    @staticmethod
    def forward(ctx: Any, tokens: torch.Tensor, slots: torch.Tensor, size: int) -> torch.Tensor:
        ctx.save_for_backward(slots)
        return tokens.new_zeros(size, *tokens.shape[1:]).index_copy_(0, slots, tokens)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (slots,) = ctx.saved_tensors
        return gradients[0].index_select(0, slots), None, None


class _Collect(torch.autograd.Function):
    """The tokens (n, …) out of their slots (s, …); the gradient is `_Spread`, for no slot is read twice."""

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
        padded = [part if whole else _Spread.apply(part, slots, size) for part in (query, key, value)]
        attended, begin = [], 0
        for rows, longest, lengths in self.groups:
            end = begin + rows * longest
            q, k, v = (part[begin:end].unflatten(0, (rows, longest)).transpose(1, 2) for part in padded)
            mask = _mask(lengths, longest, causal, window, query.device)
            with _kernels(query, longest):
                states = functional.scaled_dot_product_attention(
                    q, k, v, mask, dropout, is_causal=causal and mask is None, scale=scale
                )
            attended.append(states.transpose(1, 2).flatten(0, 1))
            begin = end
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


def _kernels(query: torch.Tensor, longest: int) -> contextlib.AbstractContextManager[Any]:
    """Plain products for short rows in bfloat16 on a CPU, else torch's own choice."""
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and longest <= SHORT_ROW:
        return sdpa_kernel(SDPBackend.MATH)
    return contextlib.nullcontext()


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


class PaddingFreeBody:
    """A model's body whose `forward` leaves padding out where it can; it takes the place of that `forward`.

    Args:
        body: a transformers model without a head.
    """

    def __init__(self, body: PreTrainedModel) -> None:
        self.forward = body.forward
        self.body = body
        self.names = list(inspect.signature(self.forward).parameters)
        # RoBERTa and its kin count positions from pad_token_id + 1.
        embeddings: Any = getattr(body, "embeddings", None)
        shifted = hasattr(embeddings, "create_position_ids_from_input_ids")
        self.first_position = embeddings.padding_idx + 1 if shifted else 0
        self.compute: Callable[..., Any] = (
            self.eager
        )  # of tokens (1, n) by name, their rows and what else was given: the outputs

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """The body's outputs; the states of padding are zeros."""
        inputs = dict(zip(self.names, args, strict=False)) | inputs
        real = inputs.pop(REAL_TOKENS, None)
        if not _can_leave_out(inputs):
            return self.forward(**inputs)
        ids, mask, positions = (inputs.pop(name, None) for name in ("input_ids", "attention_mask", "position_ids"))
        size = ids.numel()
        if mask is None:  # windows of text packed into rows, each counted from 0
            begins = (positions.flatten() == 0).nonzero()[:, 0]
            lengths = torch.diff(begins, append=begins.new_tensor([size]))
            rows = TokenRows.of_lengths(lengths, size, size if ids.is_cuda else int(lengths.max()))
        else:
            real = mask.flatten().nonzero()[:, 0] if real is None else real
            rows = TokenRows.of_lengths(mask.sum(dim=1), len(real), ids.shape[1])
        tokens = {
            name: _tokens(value, ids.shape, real)
            for name, value in {"input_ids": ids, "token_type_ids": inputs.pop("token_type_ids", None)}.items()
            if value is not None
        }
        tokens["position_ids"] = (rows.position + self.first_position)[None]
        inputs = {name: value for name, value in inputs.items() if value is not None and name not in OF_HEADS}
        if "use_cache" in self.names:
            inputs["use_cache"] = False
        outputs = self.compute(tokens, rows, inputs)
        states = outputs.last_hidden_state[0]
        states = states if rows.count == size else _Spread.apply(states, real, size)
        outputs.last_hidden_state = states.view(*ids.shape, -1)
        if outputs.get("pooler_output") is not None:
            outputs.pooler_output = self._pooled(outputs.last_hidden_state)
        return outputs

    def eager(self, tokens: Mapping[str, torch.Tensor], rows: TokenRows, inputs: Mapping[str, Any]) -> Any:
        """The body's outputs of tokens (1, n) by name, as PyTorch runs them."""
        # A mask of four dimensions is passed on as it is: none is made.
        no_mask = tokens["position_ids"].new_ones(1, 1, 1, 1)
        return self.forward(**tokens, attention_mask=no_mask, **inputs, token_rows=rows)

    def _pooled(self, states: torch.Tensor) -> torch.Tensor:
        body: Any = self.body
        if hasattr(body, "pooler_activation"):  # ALBERT
            return body.pooler_activation(body.pooler(states[:, 0]))
        return body.pooler(states)


def _tokens(slots: torch.Tensor, shape: Sequence[int], real: torch.Tensor | None) -> torch.Tensor:
    """Ids of slots (m, t), or (1, t), as those of tokens (1, n)."""
    flat = slots.expand(*shape).flatten()
    return (flat if real is None else flat[real])[None]


def _can_leave_out(inputs: Mapping[str, Any]) -> bool:
    """Whether a call of the body is one forward pass over whole rows of ids."""
    ids, mask, positions = (inputs.get(name) for name in ("input_ids", "attention_mask", "position_ids"))
    asks = (
        "past_key_values", "inputs_embeds", "encoder_hidden_states", "output_hidden_states", "output_attentions",
        "use_cache",
    )  # fmt: skip
    if ids is None or any(inputs.get(name) for name in asks if not torch.is_tensor(inputs.get(name))):
        return False
    if any(torch.is_tensor(inputs.get(name)) for name in asks) or inputs.get("return_dict") is False:
        return False
    if mask is None:
        return positions is not None and positions.shape == ids.shape
    return positions is None and mask.shape == ids.shape


class SlotsOfRealTokens:
    """A collator whose batches also say where their real tokens are; elsewhere than on the device, nobody waits.

    Args:
        collator: of batches with `attention_mask`; of rows of windows (more masks than labels) nothing is added.
    """

    def __init__(self, collator: Callable[[Any], dict[str, Any]]) -> None:
        self.collator = collator

    def __call__(self, rows: Any) -> dict[str, Any]:
        """The batch, with `real_token_slots` (n,) where it can be told."""
        batch = self.collator(rows)
        mask = batch.get("attention_mask")
        if mask is not None and len(mask) == len(rows) and "position_ids" not in batch:
            batch[REAL_TOKENS] = mask.flatten().nonzero()[:, 0]
        return batch


def install(model: torch.nn.Module) -> str | None:
    """Lets a model leave padding out from now on, where it can.

    Args:
        model: of transformers, or of peft around one. One of another type, or with another attention implementation
            than torch's, is left as it is; so is one whose packed states differ from its padded ones in a probe.

    Returns:
        None where padding is left out, else why not, in words.
    """
    plain = _without_adapter(model)
    if not isinstance(plain, PreTrainedModel) or plain.config.model_type not in MODEL_TYPES:
        name = plain.config.model_type if isinstance(plain, PreTrainedModel) else type(plain).__name__
        return f"{name} computes padding too"
    body, chosen = body_of(model), plain.config._attn_implementation
    if body is None or chosen not in ("sdpa", ATTENTION):
        return f"attention {chosen} computes padding too"
    if isinstance(body.forward, PaddingFreeBody):
        return None
    padded_forward = body.forward
    plain.set_attn_implementation(ATTENTION)
    body.forward = PaddingFreeBody(body)
    if _equals_padded(body, padded_forward):
        return None
    body.forward = padded_forward
    plain.set_attn_implementation("sdpa")
    return "without padding this model's states were others, in a trial"


def body_of(model: torch.nn.Module) -> Any:
    """The part of a transformers model, or of peft's around one, that is before its head; None where it has no name."""
    plain = _without_adapter(model)
    return getattr(plain, getattr(plain, "base_model_prefix", ""), None)


def _without_adapter(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _equals_padded(body: PreTrainedModel, padded_forward: Callable[..., Any]) -> bool:
    """Whether the states of real tokens are those of padded rows."""
    lengths = (9, 4, 12)
    weight = next(body.parameters())
    vocabulary = body.get_input_embeddings().num_embeddings
    ids = torch.randint(0, vocabulary, (3, 12), generator=torch.Generator().manual_seed(0))
    ids = torch.where(ids == body.config.pad_token_id, (ids + 1) % vocabulary, ids).to(weight.device)
    mask = (torch.arange(12) < torch.tensor(lengths)[:, None]).long().to(weight.device)
    was_training = body.training
    body.eval()
    with torch.no_grad():
        packed, padded = (
            forward(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()].float()
            for forward in (body.forward, padded_forward)
        )
    body.train(was_training)
    bound = max(TOLERANCE, 16 * torch.finfo(weight.dtype if weight.is_floating_point() else torch.bfloat16).eps)
    return bool((packed - padded).abs().max() <= bound * padded.abs().max())
