"""From what a Trainer hands over (logits, label ids, tuples, padded or ragged arrays) to the columns metrics take."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from llmtune.metrics.parts.base import Columns, Setting

IGNORED = -100  # CrossEntropyLoss's ignore_index, and what the Trainer pads with


def first_output(outputs: Any) -> Any:
    """The logits of a model that also returns hidden states, caches or encoder outputs: a tuple's first element."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def batches_of(predictions: Any, labels: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs of predictions and labels: one, or one a batch where the Trainer did not concatenate them."""
    predictions, labels = first_output(predictions), first_output(labels)
    if isinstance(predictions, list):
        for batch, batch_labels in zip(predictions, labels, strict=True):
            yield first_output(batch), first_output(batch_labels)
    else:
        yield predictions, labels


def to_numpy(values: Any) -> np.ndarray:
    """A numpy array of a tensor (bfloat16 too), an array, or an object array of equally long rows."""
    if not isinstance(values, np.ndarray):
        import torch

        tensor = torch.as_tensor(values).detach().cpu()
        values = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if values.dtype == object and len({np.shape(row) for row in values}) == 1:
        return np.stack([np.asarray(row) for row in values])
    return np.asarray(values)


@dataclass
class Adapter:
    """One evaluation's view of a kind: reduces logits on the device, then reads columns from what was gathered."""

    kind: str
    label_names: tuple[str, ...] = ()
    positive_label: str | None = None
    threshold: float = 0.5
    tokenizer: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    flawed_columns: ClassVar[tuple[str, ...]] = ()

    def setting(self) -> Setting:
        """Of the table that these rows would make."""
        return Setting(self.kind, self.label_names, self.positive_id(), self.threshold, self.options)

    def positive_id(self) -> int | None:
        """Of two classes, the one that precision, recall and F1 are about."""
        return None

    def reduce(self, logits: Any, labels: Any) -> Any:
        """On the device: what of these logits is kept, a tensor whose first dimension is the batch."""
        return logits

    def columns(self, predictions: Any, labels: Any) -> tuple[Columns, int]:
        """The columns of a batch and how many of its rows held NaN or infinity."""
        raise NotImplementedError


@dataclass
class Classification(Adapter):
    """Logits (n, c), one label a row; rows labelled -100 don't count."""

    flawed_columns: ClassVar[tuple[str, ...]] = ("probabilities",)

    def positive_id(self) -> int | None:
        """The position of `positive_label`, by default the last, where there are two."""
        if len(self.label_names) != 2:
            return None
        return self.label_names.index(self.positive_label or self.label_names[-1])

    def reduce(self, logits: Any, labels: Any) -> Any:
        """Log-probabilities (n, c)."""
        # Log-probabilities rather than probabilities: a softmax of them changes nothing, so that `columns` need not
        # know whether this ran.
        return logits.float().log_softmax(dim=-1)

    def columns(self, predictions: Any, labels: Any) -> tuple[Columns, int]:
        """`reference`, `prediction`: ids (n,); `probabilities` (n, c)."""
        logits, reference = to_numpy(predictions).astype(np.float64), to_numpy(labels)
        reference = reference.reshape(-1)
        if logits.ndim != 2 or len(logits) != len(reference):
            raise ValueError(
                f"classification: logits of shape {logits.shape} and {len(reference)} labels; expected (rows, classes) "
                "and one label a row. For tags of words use kind 'token-classification'"
            )
        self.label_names = self.label_names or tuple(str(label) for label in range(logits.shape[1]))
        if logits.shape[1] != len(self.label_names):
            raise ValueError(
                f"classification: the model scores {logits.shape[1]} classes, label_names has {len(self.label_names)}: "
                f"{list(self.label_names)}; name each class"
            )
        counted = reference != IGNORED
        logits, reference = logits[counted], reference[counted]
        with np.errstate(invalid="ignore"):
            shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
            likelihood = np.exp(shifted)
            probabilities = likelihood / likelihood.sum(axis=1, keepdims=True)
        prediction = logits.argmax(axis=1) if len(logits) else np.zeros(0, dtype=np.int64)
        positive = self.positive_id()
        if positive is not None and self.threshold != 0.5:
            prediction = np.where(probabilities[:, positive] >= self.threshold, positive, 1 - positive)
        flawed = int((~np.isfinite(probabilities).all(axis=1)).sum())
        return {
            "reference": reference.astype(np.int64),
            "prediction": prediction,
            "probabilities": probabilities,
        }, flawed


ADAPTERS: dict[str, type[Adapter]] = {"classification": Classification}
