"""The loss of several labels a row: binary cross entropy of each, normalized by the items of the effective batch."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from llmtune.errors import InputError
from llmtune.metrics.core.base import IGNORED
from llmtune.tasks.losses import ClassificationLoss


@dataclass(frozen=True)
class LabelSetLoss:
    """Binary cross entropy or focal loss of the logits of c labels, for the Trainer's `compute_loss_func`.

    The mean over rows and labels, as transformers' own for `multi_label_classification`, but of the effective batch:
    the Trainer counts rows times labels.

    Args:
        plain: kind (cross_entropy, or focal: (1 - p)^gamma x binary cross entropy, p the probability of what is true;
            Lin et al. 2017), gamma and label smoothing, and of each label the weight of its positive rows, as torch's
            `pos_weight`.
    """

    plain: ClassificationLoss = ClassificationLoss()

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """The loss in nats a label of a row, a scalar.

        Args:
            outputs: with `logits` of shape (m, c).
            labels: (m, c), 1 where the row has the label, 0 where not, -100 where it does not count.
            num_items_in_batch: rows times labels of the effective batch; None counts those of `labels`.
        """
        logits = outputs["logits"].float()
        counted = labels != IGNORED
        truth = torch.where(counted, labels.float(), 0.0)
        smoothing, weights = self.plain.label_smoothing, self.plain.class_weights
        nats = functional.binary_cross_entropy_with_logits(
            logits,
            truth * (1 - smoothing) + smoothing / 2,
            pos_weight=None if weights is None else logits.new_tensor(weights),
            reduction="none",
        )
        if self.plain.kind == "focal":
            unweighted = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
            # Not 0, as in ClassificationLoss: below gamma 1 the power has no slope there.
            wrong = (-torch.expm1(-unweighted)).clamp(min=torch.finfo(nats.dtype).tiny)
            nats = wrong.pow(self.plain.gamma) * nats
        items = counted.sum() if num_items_in_batch is None else num_items_in_batch
        return (nats * counted).sum() / items

    def row_losses(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Binary cross entropy of each row, unweighted, (n, c) and (n, c) → (n,): for the learning curves."""
        logits = logits.astype(np.float64)
        each: np.ndarray = (np.logaddexp(0, logits) - logits * labels).mean(axis=1)
        return each


def read_positive_weights(text: str, labels: np.ndarray, label_names: tuple[str, ...]) -> tuple[float, ...] | None:
    """`--class_weights` as the weight of the positive rows of each label.

    Args:
        text: none, balanced (rows without the label / rows with it, as torch's `pos_weight` says), or a,b,… in label
            order.
        labels: of train, (n, c).
        label_names: the c labels.

    Raises:
        InputError: another word, another number of weights, or a weight that is not above 0.
    """
    if text == "none":
        return None
    if text == "balanced":
        positives = labels.sum(axis=0)
        # A label that all rows have would weigh nothing.
        return tuple(
            np.where(positives < len(labels), (len(labels) - positives) / np.maximum(positives, 1), 1.0).tolist()
        )
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        weights = ()
    if len(weights) != len(label_names) or not all(0 < weight < math.inf for weight in weights):
        raise InputError(
            f"--class_weights {text!r}: expected none, balanced, or {len(label_names)} numbers above 0 as a,b,…: the "
            f"weight of the rows with each label, in the order {', '.join(label_names)}"
        )
    return weights
