"""The gradient of an embedding table on a CPU: one table that stays, of which each update touches the rows it read.

Torch's own makes a table of zeros for every backward pass: of 30,522 rows of 384 numbers it takes 17 ms on one core,
most of it for memory that the system hands out anew, this one 0.2 (torch 2.13; MiniLM's update on 32 SMS takes 230 ms).
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional


class KeptGradientEmbedding(torch.nn.Embedding):
    """`torch.nn.Embedding` whose gradient, in training, is added to a table that is kept between updates."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Rows of the table, (…, h), of ids (…)."""
        # With hooks, whoever registered them waits for the gradient.
        hooked = self.weight._backward_hooks or self.weight._post_accumulate_grad_hooks
        if not self.weight.requires_grad or not torch.is_grad_enabled() or hooked:
            return super().forward(input)
        rows: torch.Tensor = _Rows.apply(self.weight, input, self.padding_idx, self.table)
        return rows

    @property
    def table(self) -> "GradientTable":
        """Its own, made when it is first asked for."""
        table: GradientTable = self.__dict__.setdefault("gradient_table", GradientTable())
        return table


class GradientTable:
    """A gradient (v, h) of zeros but for the rows that were touched since it was cleared."""

    def __init__(self) -> None:
        self.kept: torch.Tensor | None = None
        self.touched: list[torch.Tensor] = []

    def add(self, weight: torch.Tensor, ids: torch.Tensor, gradients: torch.Tensor) -> None:
        """Adds gradients (n, h) to the rows `ids` (n,) of `weight.grad`, which after `zero_grad` is this table."""
        if weight.grad is None:
            weight.grad = self._cleared(weight)
        weight.grad.index_add_(0, ids, gradients)
        self.touched.append(ids)

    def _cleared(self, weight: torch.Tensor) -> torch.Tensor:
        touched = torch.cat(self.touched) if self.touched else None
        self.touched = []
        if self.kept is None or self.kept.shape != weight.shape or self.kept.dtype != weight.dtype:
            self.kept = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        elif touched is not None and not torch.isfinite(self.kept[touched]).all():
            self.kept.zero_()  # clipping by a norm that is no number spoils every row
        elif touched is not None:
            self.kept.index_fill_(0, touched, 0.0)
        return self.kept


class _Rows(torch.autograd.Function):
    """Rows of a table; their gradient goes into the table of gradients."""

    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, ids: torch.Tensor, padding_id: int | None, table: GradientTable
    ) -> torch.Tensor:
        ctx.save_for_backward(ids)  # not the weight: activation checkpointing hands back a copy of what is saved
        ctx.weight, ctx.padding_id, ctx.table = weight, padding_id, table
        return functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, None, None, None]:
        (ids,), weight = ctx.saved_tensors, ctx.weight
        ids, gradient = ids.flatten().long(), gradients[0].reshape(-1, weight.shape[1]).to(weight.dtype)
        if ctx.padding_id is not None:
            gradient = gradient.masked_fill((ids == ctx.padding_id)[:, None], 0.0)
        ctx.table.add(weight, ids, gradient)
        return None, None, None, None


@contextlib.contextmanager
def kept_gradients(trainer: Any) -> Iterator[None]:
    """While inside, the embeddings of the trainer's model keep their gradient, where `install` lets them."""
    changed = install(trainer)
    try:
        yield
    finally:
        for module in changed:
            module.__class__ = torch.nn.Embedding
            module.__dict__.pop("gradient_table", None)


def install(trainer: Any) -> list[torch.nn.Embedding]:
    """Changes the class of embeddings of a model that is trained in one process on a CPU; those that it changed.

    Not under torch.compile nor with optimizers that may write into gradients; nor where a table is shared with a head,
    whose gradient is of all rows. A model that reads a table's weight in its loss too must not be given this.
    """
    args = trainer.args
    plain = args.device.type == "cpu" and args.world_size == 1 and not args.torch_compile
    if not plain or not args.optim.startswith("adamw_torch"):
        return []
    holders = [weight for module in trainer.model.modules() for weight in module.parameters(recurse=False)]
    tables = [
        module
        for module in trainer.model.modules()
        if type(module) is torch.nn.Embedding
        and not (module.max_norm or module.scale_grad_by_freq or module.sparse)
        and sum(weight is module.weight for weight in holders) == 1
    ]
    for module in tables:
        module.__class__ = KeptGradientEmbedding
    return tables
