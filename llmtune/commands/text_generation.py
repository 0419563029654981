"""Translation and summarization as `llmtune evaluate` and `llmtune predict` serve them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import datasets
from transformers import PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.data import Fingerprint
from llmtune.inference import tabulate_texts
from llmtune.predictions import Predictions
from llmtune.tasks.text_generation.rows import load_text_split
from llmtune.tasks.text_generation.summarization import Summarization
from llmtune.tasks.text_generation.task import TextGeneration
from llmtune.tasks.text_generation.translation import Translation


@dataclass(frozen=True)
class ServedTextGeneration:
    """Source → answer, asked and searched for as in training."""

    task: TextGeneration
    kind: ClassVar[type[TextGeneration]]
    columns: ClassVar[dict[str, str]]
    """Canonical name → the name where none is given."""

    @classmethod
    def from_config(cls, config: Any, model: str) -> "ServedTextGeneration":
        """As the model's config says."""
        return cls(cls.kind.from_config(config, model))

    def read(
        self, data: DataArguments, columns: Mapping[str, str], *, labelled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """`source`, and where they are wanted the targets."""
        return load_text_split(data, {**self.columns, **columns}, labelled=labelled)

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> tuple[datasets.Dataset, str]:
        """The model's inputs, and a line on what was cut."""
        self.task.set_languages(tokenizer)
        tokens, cuts = self.task.tokenize(rows, tokenizer)
        return tokens, f"sources cut at {self.task.max_source_length} tokens: {cuts.sources or 'none'}"

    def table(self, outputs: Any, rows: datasets.Dataset, inputs: datasets.Dataset) -> Predictions:
        """The predictions table of rows with targets."""
        answers, ended = outputs
        return tabulate_texts(self.task, answers, ended, rows, "test")

    def answers(
        self, outputs: Any, rows: datasets.Dataset, inputs: datasets.Dataset
    ) -> tuple[dict[str, list[Any]], list[str]]:
        """`source`, `prediction` and `ended`, and a line on answers that did not end."""
        answers, ended = outputs
        columns = {"source": list(rows["source"]), "prediction": list(answers), "ended": ended.tolist()}
        most = self.task.max_new_tokens
        return columns, [f"answers that did not end within {most} tokens: {int((~ended).sum()) or 'none'}"]


class ServedTranslation(ServedTextGeneration):
    """Of the task translation."""

    kind = Translation
    columns = {"source": "source", "target": "target"}


class ServedSummarization(ServedTextGeneration):
    """Of the task summarization."""

    kind = Summarization
    columns = {"source": "document", "target": "summary"}
