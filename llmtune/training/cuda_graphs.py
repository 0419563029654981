"""Updates of small models from CUDA graphs: one launch in the place of some hundred, which small batches wait for.

An update of bert-base on 32 SMS took 59 ms as PyTorch launches it and 17 ms replayed (one H100). A graph has fixed
shapes, so the tokens of a padding-free batch are filled up to one of a few sizes, with a row that nobody reads; it is
made when a size comes again, by `torch.cuda.make_graphed_callables`, forward and backward, dropout with fresh random
numbers at each replay. A run that was resumed makes its graphs anew, and draws other numbers for dropout meanwhile.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions

from llmtune.data.lengths import input_lengths
from llmtune.models.checkpoints import is_adapter
from llmtune.models.padding_free import PaddingFreeBody, body_of
from llmtune.models.row_attention import TokenRows
from llmtune.tasks.text_windows import WindowCollator

# Weights of a model beyond which arithmetic takes longer than launches, and gradients kept for each size too much.
MOST_WEIGHTS = 400_000_000
SIZES = 8  # between a power of two and the next
SEEN = 2  # times that a size comes before its graph is made


@contextlib.contextmanager
def replayed_updates(trainer: Any) -> Iterator[None]:
    """While training inside, the body of a model runs from CUDA graphs, where that is known to be equal and to pay.

    That is: one process on a GPU in half precision, padding-free, the effective batch whole, no activations computed
    again (as those of windows may be), no adapter, and a small model.
    """
    args, body = trainer.args, body_of(trainer.model)
    weights = sum(weight.numel() for weight in trainer.model.parameters())
    if (
        not args.cuda_graphs
        or not trainer.is_padding_free
        or args.device.type != "cuda"
        or args.world_size > 1
        or args.precision not in ("bf16", "fp16")
        or args.gradient_accumulation_steps > 1  # replays overwrite the gradients of the part before
        or args.activation_checkpointing
        or isinstance(trainer.data_collator, WindowCollator)
        or is_adapter(trainer.model)
        or weights > MOST_WEIGHTS
    ):
        yield
        return
    packed = body.forward
    longest = int(input_lengths(trainer.train_dataset).max())
    packed.compute = ReplayedBody(packed, rows=args.per_device_train_batch_size, longest=longest)
    try:
        with _without_walks(trainer.model):
            yield
    finally:
        packed.compute = packed.eager


@contextlib.contextmanager
def _without_walks(model: torch.nn.Module) -> Iterator[None]:
    """Inside, what the Trainer does at each update to all weights does not look for them among all modules each time.

    `train`, `zero_grad` and `parameters` of bert-base take 6 ms together, where a replayed update takes 7.
    """
    weights = list(model.parameters())
    plain_train = model.train

    def train(mode: bool = True) -> torch.nn.Module:
        return model if model.training == mode else plain_train(mode)

    def zero_grad(set_to_none: bool = True) -> None:
        for weight in weights:
            weight.grad = None

    quick: Any = model  # methods of this one model
    quick.train, quick.zero_grad, quick.parameters = train, zero_grad, lambda recurse=True: iter(weights)
    try:
        yield
    finally:
        del quick.train, quick.zero_grad, quick.parameters


class ReplayedBody:
    """Computes the body for `PaddingFreeBody` from graphs, one a size; what has no graph as ever.

    Args:
        packed: whose body.
        rows: of a batch that is replayed.
        longest: tokens of the longest row.
    """

    def __init__(self, packed: PaddingFreeBody, *, rows: int, longest: int) -> None:
        self.packed = packed
        self.eager = packed.eager
        self.rows = rows
        self.longest = longest
        self.seen: Counter[int] = Counter()
        self.graphs: dict[int, Any] = {}
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, tokens: Mapping[str, torch.Tensor], rows: TokenRows, inputs: Mapping[str, Any]) -> Any:
        """The body's outputs of tokens (1, n)."""
        asks = inputs.keys() - {"use_cache"}
        if not torch.is_grad_enabled() or asks or len(rows.bounds) != self.rows + 1:
            return self.eager(tokens, rows, inputs)
        size = rounded_up(rows.count)
        self.seen[size] += 1
        if self.seen[size] <= SEEN:
            return self.eager(tokens, rows, inputs)
        filled = self._filled(tokens, rows, size)
        if size not in self.graphs:
            self.graphs[size] = self._graph(tuple(tokens), filled, size, inputs)
        states = self.graphs[size](*filled)[:, : rows.count]
        pooled = states if getattr(self.packed.body, "pooler", None) is not None else None
        return BaseModelOutputWithPoolingAndCrossAttentions(last_hidden_state=states, pooler_output=pooled)

    def _filled(self, tokens: Mapping[str, torch.Tensor], rows: TokenRows, size: int) -> tuple[torch.Tensor, ...]:
        """The tokens and the bounds of their rows, with a last row of filler."""
        missing = size - rows.count
        filled = [functional.pad(value, (0, missing)) for value in tokens.values()]
        return *filled, functional.pad(rows.bounds, (0, 1), value=size)

    def _graph(
        self, names: tuple[str, ...], sample: tuple[torch.Tensor, ...], size: int, inputs: Mapping[str, Any]
    ) -> Any:
        body = _OfTokens(self.packed, names, size, max(self.longest, step_at(size)), inputs).train()
        state = torch.cuda.get_rng_state(sample[0].device)  # its trials must not take numbers of training
        # Inside, weights are cast in the graph: a copy that autocast keeps would be of this update.
        dtype, enabled = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
        with torch.autocast("cuda", dtype, enabled=enabled, cache_enabled=False):
            samples = tuple(part.clone() for part in sample)
            graph = torch.cuda.make_graphed_callables(body, samples, allow_unused_input=True, pool=self.pool)
        torch.cuda.set_rng_state(state, sample[0].device)
        return graph


class _OfTokens(torch.nn.Module):
    """A body as a module of tensors alone, which is what can be made a graph of."""

    def __init__(
        self, packed: PaddingFreeBody, names: tuple[str, ...], size: int, longest: int, inputs: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.body = packed.body  # its weights become the module's
        self.compute = packed.eager
        self.names, self.size, self.longest, self.inputs = names, size, longest, inputs

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        """The states (1, size, h) of tokens by name, and the bounds of their rows."""
        *tokens, bounds = parts
        named = dict(zip(self.names, tokens, strict=True))
        rows = TokenRows(bounds, self.size, self.longest)
        states: torch.Tensor = self.compute(named, rows, self.inputs).last_hidden_state
        return states


def rounded_up(tokens: int) -> int:
    """The next of the sizes."""
    step = step_at(tokens)
    return -(-tokens // step) * step


def step_at(tokens: int) -> int:
    """How far apart sizes are: an eighth of the power of two below, and at least 64."""
    return max(64, (1 << max(tokens - 1, 1).bit_length()) // (2 * SIZES))
