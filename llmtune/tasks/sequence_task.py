"""What the tasks share that read one text a row and answer the row: classes, several labels, scores."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import datasets
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.data import Splits
from llmtune.diagnosis.leakage import Examples
from llmtune.errors import InputError
from llmtune.models.families import families_serving
from llmtune.models.loaded import LoadedModel
from llmtune.progress import progress
from llmtune.tasks.control_tokens import encode_text
from llmtune.tasks.task import Encoded, Task
from llmtune.terminal.console import split_lines

AT_ONCE = 1_000  # texts given to the tokenizer together, so that a bar can move between


@dataclass(frozen=True)
class SequenceTask(Task):
    """Rows of a text → model inputs of a sequence classification head; its subclasses say what the outputs mean.

    Args:
        max_length: tokens that a text is cut at.
    """

    max_length: int = field(kw_only=True)

    auto_model = AutoModelForSequenceClassification
    families = families_serving("classification")
    reads_labels = False

    answer_column: ClassVar[str] = "label"
    """The canonical column of the references."""

    problem_type: ClassVar[str]
    """Of the model's config, in transformers' words."""

    def __post_init__(self) -> None:
        if self.max_length < 3:
            raise InputError(f"--max_length {self.max_length}: expected 3 or more, [CLS], one token and [SEP]")

    def for_model(self, loaded: LoadedModel) -> Self:
        """The task with texts as long as the model reads."""
        return replace(self, max_length=loaded.max_length)

    def train_texts(self, splits: Splits) -> list[str]:
        """The texts of train."""
        return list(splits.train["text"])

    @abstractmethod
    def label_values(self, rows: datasets.Dataset) -> list[Any]:
        """The references of rows as the loss reads them, one a row."""

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, split: str = "test") -> Encoded:
        """Rows with `text` (and references) → `input_ids`, `attention_mask` (and `labels`)."""
        texts = list(rows["text"])
        columns: dict[str, Any] = {"input_ids": [], "attention_mask": []}
        truncated = 0
        for begin in progress(range(0, len(texts), AT_ONCE), "tokenizing", unit="batches"):
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
        if self.answer_column in rows.column_names:
            columns["labels"] = self.label_values(rows)
        notes = [f"texts truncated at {self.max_length} tokens: {truncated or 'none'}"]
        inputs = datasets.Dataset.from_dict(columns)
        return Encoded(rows, inputs, split, tokenizer, {"truncated": truncated}, notes)

    def data_collator(self, tokenizer: PreTrainedTokenizerBase, model: Any = None) -> DataCollatorWithPadding:
        """Pads each micro-batch to its longest row."""
        return DataCollatorWithPadding(tokenizer)

    def leakage_examples(self, rows: datasets.Dataset, data: DataArguments) -> Examples:
        """Texts, references, and the groups that must stay on one side of a split."""
        group = data.split_group_column
        ids = {} if group is None or group not in rows.column_names else {group: list(rows[group])}
        return Examples(list(rows["text"]), list(rows[self.answer_column]), ids=ids)

    def summary(self, splits: Splits, encoded: Mapping[str, Encoded]) -> list[str]:
        """Rows of each split, repeated texts, how many were truncated, and columns of text that are not read."""
        truncated = {split: of_split.facts["truncated"] for split, of_split in encoded.items()}
        unread = [
            f"column {name!r} holds texts too, and is not read: the class is told without it"
            for name in splits.unread_texts
        ]
        return split_lines(splits.describe(), truncated, self.max_length) + unread
