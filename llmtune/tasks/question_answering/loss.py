"""The loss of extractive question answering: cross entropy of an answer's first and its last token, over the tokens.

As transformers' own, (start + end) / 2, mean over windows; but of the whole effective batch at any cut, and without
padding, over which the stock loss spreads probability: there it depends on the longest row of a micro-batch.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from llmtune.metrics.core.base import IGNORED

# Of each window: first and last token of the answer, first token of the context, number of tokens.
LABELS = 4


@dataclass(frozen=True)
class SpanLoss:
    """For the Trainer's `compute_loss_func`; m windows, t tokens."""

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """The loss in nats a window, a scalar.

        Args:
            outputs: with `start_logits` and `end_logits`, (m, t).
            labels: (m, 4), see `LABELS`; -100 in a filler row.
            num_items_in_batch: numbers in the labels of the effective batch, 4 a window; None counts those of `labels`.
        """
        # float32: in bfloat16 a sum over many windows loses digits.
        logits = torch.stack([outputs["start_logits"], outputs["end_logits"]], dim=1).float()
        tokens = labels[:, 3, None, None]
        is_padding = (torch.arange(logits.shape[-1], device=logits.device) >= tokens) & (tokens != IGNORED)
        # Not -infinity: of a row without any token it would make NaN.
        logits = logits.masked_fill(is_padding, torch.finfo(logits.dtype).min)
        total = functional.cross_entropy(
            logits.flatten(0, 1), labels[:, :2].flatten(), ignore_index=IGNORED, reduction="sum"
        )
        items = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        return total / 2 / (items / LABELS)
