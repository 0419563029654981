"""The one loss of training: summed over the items of a micro-batch, divided by the items of the whole effective batch.

The stock Trainer inflates loss and gradient of BERT, Llama, T5 … heads by world size and accumulation steps
(transformers#47688), because their own mean is taken over a micro-batch. Divided by `num_items_in_batch`, which the
Trainer counts over all micro-batches and processes of an update, loss and gradient are those of the whole batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from llmtune.errors import InputError
from llmtune.metrics.core.base import IGNORED
from llmtune.models.pending_logits import PendingLogits
from llmtune.tasks.linear_cross_entropy import linear_cross_entropy, tokens_at_once

ORDINAL = "cumulative"
LOSSES = ("cross_entropy", "focal", ORDINAL)
REGRESSION_LOSSES = ("mse", "mae", "huber")


@dataclass(frozen=True)
class ClassificationLoss:
    """Cross entropy, focal or ordinal loss of sequence and token heads, for the Trainer's `compute_loss_func`.

    Args:
        kind: cross_entropy; focal: (1 - p)^gamma x cross entropy, p the reference's probability (Lin et al. 2017); or
            cumulative, of classes in an order: the cross entropies of "is it above?" at the c - 1 borders between
            neighbors, summed; the tasks of Niu et al. (2016) and CORAL (Cao et al. 2020). Theirs is a head of c - 1
            outputs; here the answers are sums of the c classes' softmax, so that they never contradict each other and
            the head stays the one that transformers loads.
        class_weights: c factors in label order, or None. The sum is divided by the number of items, not by the sum of
            weights, so that an item's weight does not depend on which others share its batch.
        gamma: of the focal loss.
        label_smoothing: share of the target spread over all classes (Szegedy et al. 2016), as in torch's cross_entropy.
    """

    kind: str = "cross_entropy"
    class_weights: tuple[float, ...] | None = None
    gamma: float = 2.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in LOSSES:
            raise InputError(f"--loss {self.kind!r} is not one of {', '.join(LOSSES)}")
        if self.kind != "cross_entropy" and self.label_smoothing:
            raise InputError(f"--loss {self.kind} and --label_smoothing_factor exclude each other; leave one out")
        if not 0 <= self.gamma < math.inf:
            raise InputError(f"--focal_gamma {self.gamma} is not 0 or more; 2.0 is the paper's choice")
        if not 0 <= self.label_smoothing <= 1:
            raise InputError(f"--label_smoothing_factor {self.label_smoothing} is not between 0 and 1")

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """The loss in nats an item, a scalar.

        Args:
            outputs: with `logits` of shape (..., c).
            labels: of shape (...), -100 where an item does not count.
            num_items_in_batch: items of the effective batch; None counts those of `labels`.
        """
        # float32: in bfloat16 a sum over many items loses digits.
        logits = outputs["logits"].float().flatten(0, -2)
        labels = labels.flatten()
        weights = None if self.class_weights is None else logits.new_tensor(self.class_weights)
        if self.kind == "cross_entropy":
            total = functional.cross_entropy(
                logits, labels, weights, ignore_index=IGNORED, reduction="sum", label_smoothing=self.label_smoothing
            )
        else:
            each = self._of_each(logits, labels)
            total = (each if weights is None else each * weights[labels.clamp(min=0)]).sum()
        items = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        return total / items

    def _of_each(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Of logits (n, c) and labels (n,), shape (n,); 0 where an item does not count."""
        if self.kind == ORDINAL:
            # Logarithms of the probabilities up to each class and from each on; softmax sums would round to 0.
            logs = logits.log_softmax(dim=-1)
            up_to, beyond = logs.logcumsumexp(dim=-1)[:, :-1], logs.flip(-1).logcumsumexp(dim=-1).flip(-1)[:, 1:]
            is_above = labels[:, None] > torch.arange(up_to.shape[1], device=labels.device)
            return -torch.where(is_above, beyond, up_to).sum(dim=-1) * (labels != IGNORED)
        nats = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
        # Not 0: below gamma 1 the power has no slope there, and a row predicted with certainty would give NaN.
        wrong = (-torch.expm1(-nats)).clamp(min=torch.finfo(nats.dtype).tiny)
        return wrong.pow(self.gamma) * nats


@dataclass(frozen=True)
class RegressionLoss:
    """Squared, absolute or Huber error of scaled numbers, for the Trainer's `compute_loss_func`.

    Args:
        kind: mse, mae, or huber (1964): half the square of an error up to `delta`, beyond it linear.
        delta: of huber, on the scale of the targets.
    """

    kind: str = "mse"
    delta: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in REGRESSION_LOSSES:
            raise InputError(
                f"--loss {self.kind!r} is not one of {', '.join(REGRESSION_LOSSES)}: squared, absolute or Huber error"
            )
        if not 0 < self.delta < math.inf:
            raise InputError(f"--huber_delta {self.delta}: expected a number above 0; 1.0 is one standard deviation")

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """The mean error of a number, a scalar.

        Args:
            outputs: with `logits` (m, h), or (m, 1) of labels (m,).
            labels: (m, h) or (m,), -100 in a padding example.
            num_items_in_batch: numbers of the effective batch; None counts those of `labels`.
        """
        counted = labels != IGNORED
        predictions, targets = outputs["logits"].float().view_as(labels)[counted], labels[counted].float()
        if self.kind == "huber":
            total = functional.huber_loss(predictions, targets, reduction="sum", delta=self.delta)
        else:
            error = predictions - targets
            total = error.square().sum() if self.kind == "mse" else error.abs().sum()
        return total / (counted.sum() if num_items_in_batch is None else num_items_in_batch)


@dataclass(frozen=True)
class TokenCrossEntropy:
    """Cross entropy of the tokens that a model shall write, for the Trainer's `compute_loss_func`.

    Args:
        next_token: of a decoder, whose output at a token is about the one after it; a sequence-to-sequence model is
            given its labels one place to the right.
        label_smoothing: share of the target spread over the vocabulary (Szegedy et al. 2016).
    """

    next_token: bool
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing <= 1:
            raise InputError(f"--label_smoothing_factor {self.label_smoothing} is not between 0 and 1")

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """The loss in nats a token, a scalar.

        Args:
            outputs: with `logits` of shape (m, t, v), or pending ones.
            labels: (m, t), -100 where nothing is learned (padding, the prompt).
            num_items_in_batch: tokens to learn of the effective batch; None counts those of `labels`.
        """
        logits, wanted = self.learned(outputs, labels)
        if isinstance(logits, PendingLogits):
            total = linear_cross_entropy(logits, wanted, self.label_smoothing)
        else:
            total = functional.cross_entropy(
                logits.float(), wanted, reduction="sum", label_smoothing=self.label_smoothing
            )
        return total / (len(wanted) if num_items_in_batch is None else num_items_in_batch)

    def learned(self, outputs: Any, labels: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """Outputs (k, v) and ids (k,) of the k tokens to learn, row after row: of a long prompt only the answer."""
        logits = outputs["logits"]
        if self.next_token:
            logits, labels = logits[:, :-1], labels[:, 1:]
        kept = labels != IGNORED
        return logits[kept], labels[kept]

    def nats(self, outputs: Any, labels: torch.Tensor) -> torch.Tensor:
        """Summed cross entropy of each row's tokens, unsmoothed, (m,)."""
        logits, wanted = self.learned(outputs, labels)
        step = tokens_at_once(logits.shape[-1], labels.device)
        pieces = [
            functional.cross_entropy(
                logits[begin : begin + step].float(), wanted[begin : begin + step], reduction="none"
            )
            for begin in range(0, max(len(wanted), 1), step)
        ]
        each = torch.cat(pieces)
        rows = torch.nonzero((labels[:, 1:] if self.next_token else labels) != IGNORED)[:, 0]
        return torch.zeros(len(labels), device=each.device).index_add_(0, rows, each)


def read_class_weights(
    text: str, label_ids: Sequence[int] | np.ndarray, label_names: Sequence[str]
) -> tuple[float, ...] | None:
    """`--class_weights` as c factors in label order.

    Args:
        text: none, balanced (rows / (classes x rows of the class), as in scikit-learn; 1 of a class without rows), or
            a,b,… in label order.
        label_ids: the labels of train, shape (n,).
        label_names: the c classes.

    Raises:
        InputError: another word, another number of weights, or a weight that is not above 0.
    """
    if text == "none":
        return None
    if text == "balanced":
        counts = np.bincount(np.asarray(label_ids), minlength=len(label_names))
        present = counts > 0  # of tags, I-X may be absent: infinity would be NaN under label smoothing
        return tuple(np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0).tolist())
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--class_weights {text!r}: expected none, balanced, or one number a class as a,b,…") from None
    if len(weights) != len(label_names) or not all(0 < weight < math.inf for weight in weights):
        raise InputError(
            f"--class_weights {text!r}: expected {len(label_names)} numbers above 0, in the order "
            f"{', '.join(label_names)}"
        )
    return weights


def classification_loss(
    task: Any, training: Any, label_ids: Sequence[int] | np.ndarray, label_names: Sequence[str]
) -> ClassificationLoss:
    """The loss that the arguments ask for: --loss, --focal_gamma, --class_weights, --label_smoothing_factor.

    Raises:
        InputError: one of them, or an ordinal loss of classes that are not said to have an order.
    """
    if task.loss == ORDINAL and not getattr(task, "ordinal", False):
        raise InputError(
            f"--loss {ORDINAL}: counts the borders between classes in an order, and these are not said to have one; "
            "add --ordinal (text classification), or take --loss cross_entropy"
        )
    weights = read_class_weights(task.class_weights, label_ids, label_names)
    return ClassificationLoss(task.loss, weights, task.focal_gamma, training.label_smoothing_factor)
