"""The loss of a forecaster, over the steps of the whole effective batch, and its collator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from llmtune.errors import InputError
from llmtune.metrics.core.base import IGNORED

LOSSES = ("mse", "mae")


@dataclass(frozen=True)
class ForecastLoss:
    """Squared or absolute error of the scaled target, for the Trainer's `compute_loss_func`.

    Args:
        kind: mse or mae.
    """

    kind: str = "mse"

    def __post_init__(self) -> None:
        if self.kind not in LOSSES:
            raise InputError(f"--loss {self.kind!r} is not one of {', '.join(LOSSES)}: squared or absolute error")

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """The mean error of a step, a scalar.

        Args:
            outputs: with `logits` (m, h).
            labels: (m, h), -100 in a padding example.
            num_items_in_batch: steps of the effective batch; None counts those of `labels`.
        """
        counted = labels != IGNORED
        error = (outputs["logits"].float() - labels)[counted]
        total = error.square().sum() if self.kind == "mse" else error.abs().sum()
        return total / (counted.sum() if num_items_in_batch is None else num_items_in_batch)


def collate_windows(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Windows, all of one length, as tensors of float32."""
    return {name: torch.tensor(np.array([row[name] for row in rows], dtype=np.float32)) for name in rows[0]}
