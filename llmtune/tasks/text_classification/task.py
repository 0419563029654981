"""Text classification (sentiment, spam): one text → one of c classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, PreTrainedTokenizerBase

from llmtune.arguments.data import SPLITS
from llmtune.errors import InputError
from llmtune.progress import progress
from llmtune.stats import softmax
from llmtune.tasks.control_tokens import encode_text
from llmtune.tasks.text_classification.arguments import TextClassificationArguments

KIND = "classification"
AT_ONCE = 1_000  # texts given to the tokenizer together, so that a bar can move between


@dataclass(frozen=True)
class TextClassification:
    """What a text classifier does to rows and to logits.

    Args:
        label_names: the c classes, in the order of the logits.
        positive_label: of two classes, the one a threshold is about.
        max_length: tokens that a text is cut at.
        threshold: for two classes, the positive label is predicted from this probability on.
    """

    label_names: tuple[str, ...]
    positive_label: str
    max_length: int
    threshold: float = 0.5

    auto_model = AutoModelForSequenceClassification
    families = ("encoder", "decoder")

    @classmethod
    def from_arguments(cls, arguments: TextClassificationArguments, label_names: Sequence[str]) -> "TextClassification":
        """The task of a recipe.

        Raises:
            InputError: the positive label is not a label, or too few tokens for any text.
        """
        if arguments.max_length < 3:
            raise InputError(f"--max_length {arguments.max_length}: expected 3 or more, [CLS], one token and [SEP]")
        positive = arguments.positive_label or label_names[-1]
        if positive not in label_names:
            raise InputError(f"--positive_label {positive!r} is not one of the labels {', '.join(label_names)}")
        return cls(tuple(label_names), positive, arguments.max_length)

    @classmethod
    def from_config(cls, config: Any, name: str) -> "TextClassification":
        """The task that a trained model's config describes.

        Raises:
            InputError: the config has no classes.
        """
        if not config.id2label or config.num_labels < 2:
            raise InputError(f"{name}: its config names no classes (id2label); is it a text classifier?")
        names = tuple(config.id2label[i] for i in range(config.num_labels))
        kept = config.to_dict().get("llmtune", {})
        limit = min(config.max_position_embeddings, TextClassificationArguments.max_length)
        return cls(
            names, kept.get("positive_label", names[-1]), kept.get("max_length", limit), kept.get("threshold", 0.5)
        )

    @property
    def best_metric(self) -> str:
        """What picks the checkpoint: F1 of the positive label, with more than two classes macro F1."""
        return "f1" if len(self.label_names) == 2 else "f1_macro"

    def head(self) -> dict[str, Any]:
        """Config values that size and name the classification head."""
        return {
            "num_labels": len(self.label_names),
            "id2label": dict(enumerate(self.label_names)),
            "label2id": {name: i for i, name in enumerate(self.label_names)},
            "problem_type": "single_label_classification",
        }

    def settings(self) -> dict[str, Any]:
        """What the model's config keeps, so that prediction does what evaluation did."""
        return {
            "task": "text-classification",
            "max_length": self.max_length,
            "positive_label": self.positive_label,
            "threshold": self.threshold,
        }

    def tokenize(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> tuple[datasets.Dataset, int]:
        """Rows with `text` (and `label`) → `input_ids`, `attention_mask` (and `labels`); and how many were cut."""
        texts = list(rows["text"])
        columns: dict[str, Any] = {"input_ids": [], "attention_mask": []}
        truncated = 0
        for begin in progress(range(0, len(texts), AT_ONCE), "tokenising", unit="batches"):
            encoded = encode_text(
                tokenizer,
                texts[begin : begin + AT_ONCE],
                truncation=True,
                max_length=self.max_length,
                return_token_type_ids=False,
            )
            for name, column in columns.items():
                column += encoded[name]
            truncated += sum(bool(encoding.overflowing) for encoding in encoded.encodings)
        if "label" in rows.column_names:
            columns["labels"] = self.label_ids(rows)
        return datasets.Dataset.from_dict(columns), truncated

    def label_ids(self, rows: datasets.Dataset) -> list[int]:
        """The class of each row, as its place among the logits."""
        ids = {name: i for i, name in enumerate(self.label_names)}
        return [ids[label] for label in rows["label"]]

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> DataCollatorWithPadding:
        """Pads each micro-batch to its longest row."""
        return DataCollatorWithPadding(tokenizer)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Softmax in float64, shape (n, c); NaN where a logit is not finite."""
        return softmax(logits)

    def decide(self, probabilities: np.ndarray) -> list[str]:
        """The predicted label of each row: arg-max, and for two classes the threshold.

        A row of NaN gets the first label, of two the one that is not positive; the metrics count it as not finite.
        """
        if len(self.label_names) == 2:
            positive = self.label_names.index(self.positive_label)
            chosen = np.where(probabilities[:, positive] >= self.threshold, positive, 1 - positive)
        else:
            chosen = np.nan_to_num(probabilities, nan=-1.0).argmax(axis=1)
        return [self.label_names[i] for i in chosen]

    def columns(self, logits: np.ndarray, rows: datasets.Dataset) -> dict[str, Any]:
        """The columns of the predictions table, row for row."""
        probabilities = self.probabilities(logits)
        columns: dict[str, Any] = {"prediction": self.decide(probabilities), "probabilities": list(probabilities)}
        if "label" in rows.column_names:
            columns = {"reference": list(rows["label"]), **columns}
        return columns


def tokenize_splits(
    task: TextClassification, splits: Mapping[str, datasets.Dataset] | Any, tokenizer: PreTrainedTokenizerBase
) -> tuple[dict[str, datasets.Dataset], dict[str, int]]:
    """Train, validation and test as model inputs, and of each how many rows were cut at `max_length`."""
    tokens, truncated = {}, {}
    for split in SPLITS:
        tokens[split], truncated[split] = task.tokenize(splits[split], tokenizer)
    return tokens, truncated
