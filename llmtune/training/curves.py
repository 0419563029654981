"""The curves that show overfitting: a fixed sample of train beside validation, both in evaluation mode, on one scale.

The training loss of a log is no such curve: it has dropout, class weights and focal terms, and each row once, before
the update that learned it.
"""

from collections.abc import Callable
from typing import Any

import datasets
import numpy as np
from transformers.trainer_utils import EvalLoopOutput

MOST_ROWS = 512  # of train scored at each evaluation; never more than validation has, so that it costs no more


def train_subset(train: datasets.Dataset, validation_rows: int) -> datasets.Dataset:
    """Rows at equal distances, the same ones at every evaluation."""
    n = min(len(train), validation_rows, MOST_ROWS)
    return train.select(np.linspace(0, len(train) - 1, n).round().astype(int).tolist())


def logits_of(output: EvalLoopOutput, *, several: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
    """Logits (n, c), float64, and one label a row, (n,), or of `several` labels (n, c); None for other outputs."""
    logits, labels = output.predictions, output.label_ids
    if not isinstance(logits, np.ndarray) or not isinstance(labels, np.ndarray):
        return None
    if several:
        return logits.astype(np.float64), labels.astype(np.int64)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or labels.dtype.kind != "i":
        return None
    return logits.astype(np.float64), labels


RowLosses = Callable[[np.ndarray, np.ndarray], np.ndarray]  # outputs and labels of n rows → (n,)


def per_example_loss(
    output: EvalLoopOutput, row_losses: RowLosses | None = None
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Loss and hit of each row, both (n,); None for outputs that don't tell.

    Of logits (n, c) and one label a row, the log loss in nats. Of rows that write, (ids, nats (n,)) and their counts of
    tokens: nats over the mean count, so that the mean over rows is the loss a token; there are no hits. Of forecasts
    (n, h) and as many labels the mean squared error; likewise. What the loss of training says of rows comes first.
    """
    outputs, counts = output.predictions, output.label_ids
    if row_losses is not None:
        return row_losses(outputs, counts), None
    if isinstance(outputs, tuple) and isinstance(counts, np.ndarray) and counts.ndim == 1:
        if outputs[-1].shape == counts.shape:
            return outputs[-1].astype(np.float64) / max(counts.mean(), 1e-9), None
        return None
    if isinstance(outputs, np.ndarray) and isinstance(counts, np.ndarray) and counts.dtype.kind == "f":
        return ((outputs.astype(np.float64) - counts) ** 2).reshape(len(counts), -1).mean(axis=1), None
    found = logits_of(output)
    if found is None:
        return None
    logits, labels = found
    top = logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0] - logits[np.arange(len(labels)), labels]
    return losses, logits.argmax(axis=1) == labels


class LearningCurves:
    """Makes the entry of each evaluation, as `llmtune.diagnosis.overfitting` reads it.

    `row_losses`: of a loss of training whose outputs do not tell it.
    """

    def __init__(self, row_losses: RowLosses | None = None) -> None:
        self.row_losses = row_losses
        self.least: np.ndarray | None = None  # losses of the validation rows where their mean was least

    def entry(self, train: EvalLoopOutput, validation: EvalLoopOutput) -> dict[str, dict[str, Any]]:
        """{"train": {loss, hits, rows}, "validation": these, rise, rise_error}; of other tasks the losses alone."""
        of_train, of_validation = (per_example_loss(output, self.row_losses) for output in (train, validation))
        if of_train is None or of_validation is None:
            sides = (("train", train), ("validation", validation))
            return {side: {"loss": _finite(_loss(output)), "rows": output.num_samples} for side, output in sides}
        found: dict[str, dict[str, Any]] = {
            side: {"loss": _finite(losses.mean()), "rows": len(losses)}
            | ({} if hits is None else {"hits": int(hits.sum())})
            for side, (losses, hits) in (("train", of_train), ("validation", of_validation))
        }
        losses = of_validation[0]
        if self.least is not None:
            rise = losses - self.least
            found["validation"]["rise"] = _finite(rise.mean())
            found["validation"]["rise_error"] = (
                _finite(rise.std(ddof=1) / np.sqrt(len(rise))) if len(rise) > 1 else None
            )
        if self.least is None or losses.mean() < self.least.mean():
            self.least = losses
        return found


def _loss(output: EvalLoopOutput) -> float:
    return next((value for name, value in output.metrics.items() if name.endswith("_loss")), float("nan"))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
