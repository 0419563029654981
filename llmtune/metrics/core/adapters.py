"""From what a Trainer hands over (logits, label ids, tuples, padded or ragged arrays) to the columns metrics take.

Letters: n rows, t tokens, c classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy import special

from llmtune.metrics.core.base import IGNORED, Columns, MetricContext
from llmtune.metrics.core.columns import number_setting, tag_rows, text_rows
from llmtune.metrics.perplexity import row_likelihoods
from llmtune.predictions.kinds import (
    CLASSIFICATION,
    LANGUAGE_MODELING,
    MULTILABEL_CLASSIFICATION,
    QUESTION_ANSWERING,
    REGRESSION,
    TEXT_GENERATION,
    TOKEN_CLASSIFICATION,
)
from llmtune.predictions.table import THRESHOLDS
from llmtune.stats import softmax
from llmtune.text.tag_arrays import Tags
from llmtune.text.tag_schemes import candidate_schemes


@dataclass(frozen=True)
class Batch:
    """Columns of a batch, the setting they imply, and how many of its rows held NaN or infinity."""

    setting: MetricContext
    columns: Columns
    nonfinite: int = 0


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


def to_numpy(values: Any, fill: int = IGNORED) -> np.ndarray:
    """A numpy array of a tensor (bfloat16 too), an array, or an object array of rows; shorter rows are filled up."""
    if not isinstance(values, np.ndarray):
        import torch

        tensor = torch.as_tensor(values).detach().cpu()
        values = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if values.dtype != object:
        return values
    rows = [np.asarray(row) for row in values]
    widest = max((row.shape[0] for row in rows if row.ndim), default=0)
    padded = [np.pad(row, [(0, widest - len(row)), *[(0, 0)] * (row.ndim - 1)], constant_values=fill) for row in rows]
    return np.stack(padded) if padded else np.zeros((0, 0), dtype=np.int64)


@dataclass
class Adapter:
    """A kind's view of an evaluation: reduces logits on the device, then reads columns from what was gathered."""

    kind: str
    label_names: tuple[str, ...] = ()
    positive_label: str | None = None
    threshold: float = 0.5
    tokenizer: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    # Columns that hold NaN where a row is not finite: the metrics that need them are left out.
    nonfinite_columns: ClassVar[tuple[str, ...]] = ()

    def reduce(self, logits: Any, labels: Any) -> Any:
        """On the device: what of these logits is kept, a tensor whose first dimension is the batch."""
        raise NotImplementedError

    def batch(self, predictions: Any, labels: Any) -> Batch:
        """The columns of what was gathered."""
        raise NotImplementedError


@dataclass
class ClassificationAdapter(Adapter):
    """Logits (n, c), one label a row; rows labeled -100 don't count."""

    nonfinite_columns: ClassVar[tuple[str, ...]] = ("probabilities",)

    def reduce(self, logits: Any, labels: Any) -> Any:
        """Log-probabilities (n, c)."""
        # Rather than probabilities: a softmax of them changes nothing, so `batch` need not know whether this ran.
        return logits.float().log_softmax(dim=-1)

    def batch(self, predictions: Any, labels: Any) -> Batch:
        """`reference`, `prediction`: ids (n,); `probabilities` (n, c)."""
        logits, reference = to_numpy(predictions).astype(np.float64), to_numpy(labels).reshape(-1)
        if logits.ndim != 2 or len(logits) != len(reference):
            raise ValueError(
                f"classification: logits of shape {logits.shape} and {len(reference)} labels; expected (rows, classes) "
                "and one label a row. For tags of words use kind 'token-classification'"
            )
        names = self.label_names or tuple(str(label) for label in range(logits.shape[1]))
        if logits.shape[1] != len(names):
            raise ValueError(
                f"classification: the model scores {logits.shape[1]} classes, label_names has {len(names)}: "
                f"{list(names)}; name each class"
            )
        positive = names.index(self.positive_label or names[-1]) if len(names) == 2 else None
        counted = reference != IGNORED
        logits, reference = logits[counted], reference[counted].astype(np.int64)
        probabilities = softmax(logits)
        prediction = logits.argmax(axis=1)
        if positive is not None and self.threshold != 0.5:
            prediction = np.where(probabilities[:, positive] >= self.threshold, positive, 1 - positive)
        return Batch(
            MetricContext(self.kind, names, positive, self.threshold, self.options),
            {"reference": reference, "prediction": prediction, "probabilities": probabilities},
            int((~np.isfinite(probabilities).all(axis=1)).sum()),
        )


@dataclass
class MultilabelAdapter(Adapter):
    """Logits (n, c) and as many labels, 0 or 1 each; rows labeled -100 don't count."""

    nonfinite_columns: ClassVar[tuple[str, ...]] = ("probabilities",)

    def reduce(self, logits: Any, labels: Any) -> Any:
        """Logits (n, c) in float32."""
        return logits.float()

    def batch(self, predictions: Any, labels: Any) -> Batch:
        """`reference`, `prediction`: bool (n, c); `probabilities` (n, c), independent."""
        logits, reference = to_numpy(predictions).astype(np.float64), to_numpy(labels)
        if logits.ndim != 2 or logits.shape != reference.shape:
            raise ValueError(
                f"{self.kind}: logits of shape {logits.shape}, labels {reference.shape}; expected (rows, labels) of "
                "both, a label 0 or 1. For one class id a row use kind 'classification'"
            )
        names = self.label_names or tuple(str(label) for label in range(logits.shape[1]))
        if logits.shape[1] != len(names):
            raise ValueError(
                f"{self.kind}: the model scores {logits.shape[1]} labels, label_names has {len(names)}: {list(names)}; "
                "name each label"
            )
        counted = (reference != IGNORED).all(axis=1)
        logits, reference = logits[counted], reference[counted]
        if not np.isin(reference, (0, 1)).all():
            wrong = reference[~np.isin(reference, (0, 1))][0]
            raise ValueError(f"{self.kind}: a label is {wrong:g}; give 0 or 1 for each label of each row")
        probabilities = np.where(np.isfinite(logits), special.expit(logits), np.nan)
        prediction = probabilities >= (self.options.get(THRESHOLDS) or self.threshold)
        return Batch(
            MetricContext(self.kind, names, None, self.threshold, self.options),
            {"reference": reference == 1, "prediction": prediction, "probabilities": probabilities},
            int((~np.isfinite(probabilities).all(axis=1)).sum()),
        )


@dataclass
class TokenClassificationAdapter(Adapter):
    """Logits (n, t, c) or tag ids (n, t); a label of -100 (padding, pieces of a word after its first) doesn't count."""

    def reduce(self, logits: Any, labels: Any) -> Any:
        """Tag ids (n, t), -1 where a logit is not finite."""
        return logits.argmax(dim=-1).masked_fill(~logits.isfinite().all(dim=-1), -1)

    def batch(self, predictions: Any, labels: Any) -> Batch:
        """`reference`, `prediction`: tags of the words that count."""
        ids, reference = to_numpy(predictions), to_numpy(labels)
        if ids.ndim == 3:
            ids = np.where(np.isfinite(ids).all(axis=-1), ids.argmax(axis=-1), -1)
        if ids.shape != reference.shape:
            raise ValueError(
                f"token-classification: predictions {ids.shape}, labels {reference.shape}; give one tag a label"
            )
        if not self.label_names:
            raise ValueError(
                "token-classification: label_names is empty; give the tags by id, as in ['O', 'B-PER', 'I-PER']"
            )
        counted = reference != IGNORED
        lengths = counted.sum(axis=1)
        wanted, found = reference[counted].astype(np.int64), ids[counted].astype(np.int64)
        nonfinite = int(((ids == -1) & counted).any(axis=1).sum())
        # A word without a finite score gets no entity.
        outside = self.label_names.index("O") if "O" in self.label_names else 0
        found = np.where(found == -1, outside, found)
        if wanted.size and (wanted.min() < 0 or max(wanted.max(), found.max()) >= len(self.label_names)):
            worst = int(min(wanted.min(), 0) or max(wanted.max(), found.max()))
            raise ValueError(
                f"token-classification: tag id {worst} has no name; label_names names {len(self.label_names)} tags"
            )
        setting, columns = tag_rows(
            self.kind,
            Tags(self.label_names, wanted, lengths),
            Tags(self.label_names, found, lengths),
            # Of a batch the scheme can't be told; of all tags that can occur it can: of IOB1 and IOB2 the usual one.
            {"scheme": candidate_schemes({name[:1] for name in self.label_names})[0]} | self.options,
        )
        return Batch(setting, columns, nonfinite)


@dataclass
class LanguageModelingAdapter(Adapter):
    """Logits (n, t, vocabulary) of a causal model: nats and tokens of each row, never more."""

    nonfinite_columns: ClassVar[tuple[str, ...]] = ("nll",)

    def reduce(self, logits: Any, labels: Any) -> Any:
        """Nats, tokens and right tokens of each row, (n, 3)."""
        return row_likelihoods(logits, labels)

    def batch(self, predictions: Any, labels: Any) -> Batch:
        """`nll`, `tokens`, `correct`, each (n,)."""
        found = predictions
        if np.ndim(found) == 3:
            import torch

            found = row_likelihoods(torch.as_tensor(found), torch.as_tensor(labels))
        rows = to_numpy(found).astype(np.float64)
        columns = {"nll": rows[:, 0], "tokens": rows[:, 1], "correct": rows[:, 2]}
        return Batch(MetricContext(self.kind, options=self.options), columns, int((~np.isfinite(rows[:, 0])).sum()))


@dataclass
class TextGenerationAdapter(Adapter):
    """Generated ids (n, t), padded with -100 or the pad id; labels likewise."""

    def reduce(self, logits: Any, labels: Any) -> Any:
        """Generated ids as they are."""
        if logits.is_floating_point():
            raise ValueError(
                f"{self.kind}: logits of shape {tuple(logits.shape)} are no generated ids; use Seq2SeqTrainer with "
                "predict_with_generate=True"
            )
        return logits

    def batch(self, predictions: Any, labels: Any) -> Batch:
        """`reference`, `prediction`: texts."""
        ids = to_numpy(predictions)
        if not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(
                f"{self.kind}: predictions of {ids.dtype}, shape {ids.shape}, are no generated ids; use Seq2SeqTrainer "
                "with predict_with_generate=True"
            )
        texts, references = self._decode(ids), self._decode(to_numpy(labels))
        setting, columns = text_rows(self.kind, [[reference] for reference in references], texts, self.options)
        return Batch(setting, columns)

    def _decode(self, ids: np.ndarray) -> list[str]:
        """Texts of id rows: without the ids below 0, and without special tokens and space at the ends."""
        if self.tokenizer is None:
            raise ValueError(
                f"{self.kind}: generated ids need a tokenizer; give compute_metrics(..., tokenizer=tokenizer)"
            )
        rows = [row[row >= 0].tolist() for row in ids]
        if _is_tokenizer(self.tokenizer):
            return [text.strip() for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True)]
        return [text.strip() for text in self.tokenizer(rows)]


def _is_tokenizer(candidate: Any) -> bool:
    """Whether it is a tokenizer of transformers rather than a plain function."""
    from transformers import PreTrainedTokenizerBase

    return isinstance(candidate, PreTrainedTokenizerBase)


@dataclass
class RegressionAdapter(Adapter):
    """Predicted numbers (n,), (n, 1) or (n, h)."""

    nonfinite_columns: ClassVar[tuple[str, ...]] = ("prediction",)

    def reduce(self, logits: Any, labels: Any) -> Any:
        """The numbers, float32."""
        return logits.float()

    def batch(self, predictions: Any, labels: Any) -> Batch:
        """`reference`, `prediction`: (n, h)."""
        reference = to_numpy(labels).astype(np.float64)
        reference = reference.reshape(len(reference), -1)
        prediction = to_numpy(predictions).astype(np.float64).reshape(len(reference), -1)
        if reference.shape != prediction.shape:
            raise ValueError(
                f"regression: predictions of shape {prediction.shape}, labels {reference.shape}; give as many of each"
            )
        nonfinite = int((~np.isfinite(prediction).all(axis=1)).sum())
        setting = number_setting(self.kind, reference, dict(self.options))
        # The first batch fixes from where R² counts: sums of later ones must count from there too.
        self.options = self.options | {"center": setting.options["center"]}
        return Batch(setting, {"reference": reference, "prediction": prediction}, nonfinite)


ADAPTERS: dict[str, type[Adapter]] = {
    CLASSIFICATION: ClassificationAdapter,
    MULTILABEL_CLASSIFICATION: MultilabelAdapter,
    TOKEN_CLASSIFICATION: TokenClassificationAdapter,
    TEXT_GENERATION: TextGenerationAdapter,
    QUESTION_ANSWERING: TextGenerationAdapter,
    LANGUAGE_MODELING: LanguageModelingAdapter,
    REGRESSION: RegressionAdapter,
}
