"""Text classification as `llmtune evaluate` and `llmtune predict` serve it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
from transformers import PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.data import Fingerprint, load_split
from llmtune.inference import tabulate
from llmtune.predictions import Predictions
from llmtune.tasks.text_classification.task import TextClassification


@dataclass(frozen=True)
class ServedTextClassification:
    """Text → label, with the threshold, max_length and positive label of the model's config."""

    task: TextClassification

    @classmethod
    def from_config(cls, config: Any, model: str) -> "ServedTextClassification":
        """As the model's config says."""
        return cls(TextClassification.from_config(config, model))

    def read(
        self, data: DataArguments, columns: Mapping[str, str], *, labelled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """`text`, and where they are wanted the labels, each one that the model knows."""
        wanted = ("text", "label") if labelled else ("text",)
        return load_split(
            data,
            "test",
            columns={name: columns[name] for name in wanted},
            label_column="label" if labelled else None,
            text_columns=["text"],
            label_names=self.task.label_names if labelled else (),
        )

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> tuple[datasets.Dataset, str]:
        """The model's inputs, and a line on what was cut."""
        tokens, truncated = self.task.tokenize(rows, tokenizer)
        return tokens, f"texts truncated at {self.task.max_length} tokens: {truncated or 'none'}"

    def table(self, outputs: Any, rows: datasets.Dataset, inputs: datasets.Dataset) -> Predictions:
        """The predictions table of labelled rows."""
        return tabulate(self.task, outputs, rows, inputs, "test")

    def answers(
        self, outputs: Any, rows: datasets.Dataset, inputs: datasets.Dataset
    ) -> tuple[dict[str, list[Any]], list[str]]:
        """`text`, `prediction` and `probability[LABEL]` of each label, and lines on them.

        A row whose outputs are not finite has neither.
        """
        said = self.task.columns(outputs, rows.select_columns(["text"]))
        probabilities = np.asarray(said["probabilities"])
        finite = np.isfinite(probabilities).all(axis=1)
        predictions = [label if ok else None for label, ok in zip(said["prediction"], finite, strict=True)]
        columns: dict[str, list[Any]] = {"text": list(rows["text"]), "prediction": predictions}
        for name, of_label in zip(self.task.label_names, probabilities.T.tolist(), strict=True):
            columns[f"probability[{name}]"] = [p if ok else None for p, ok in zip(of_label, finite, strict=True)]
        counts = Counter(predictions)
        lines = [", ".join(f"{name} {counts[name]:,}" for name in self.task.label_names)]
        if len(self.task.label_names) == 2:
            lines.append(f"{self.task.positive_label} from a probability of {self.task.threshold:.3g} on")
        if not finite.all():
            lines.append(f"{counts[None]:,} rows have NaN or infinite outputs and no prediction: do not use this model")
        return columns, lines
