"""Extractive question answering as `llmtune evaluate` and `llmtune predict` serve it: question and context → answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import datasets
from transformers import PreTrainedTokenizerBase

from llmtune.arguments import DataArguments, QuestionAnsweringArguments
from llmtune.data import Fingerprint
from llmtune.inference import tabulate_answers
from llmtune.predictions import Predictions
from llmtune.tasks.answers import load_answered_split
from llmtune.tasks.question_answering import QuestionAnswering
from llmtune.tasks.span_windows import SpanWindows


@dataclass(frozen=True)
class ServedQuestionAnswering:
    """Answers as text with score and characters; windows, and when none is given, as the model's config says."""

    task: QuestionAnswering

    @classmethod
    def from_config(cls, config: Any, model: str) -> "ServedQuestionAnswering":
        """As the model's config says."""
        return cls(QuestionAnswering.from_config(config))

    def read(
        self, data: DataArguments, columns: Mapping[str, str], *, labelled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """`question` and `context`, and `answers` where they are wanted."""
        options = QuestionAnsweringArguments(
            question_column=columns["question"], context_column=columns["context"], answers_column=columns["answers"]
        )
        return load_answered_split(data, "test", options, labelled=labelled)

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> tuple[SpanWindows, str]:
        """The model's inputs, and a line on what was cut."""
        windows = self.task.tokenize(rows, tokenizer)
        cut = f"contexts cut into windows of {self.task.max_length} tokens: {windows.cut_rows or 'none'}"
        if windows.cut_questions:
            cut += f"; questions cut at half a window: {windows.cut_questions}"
        return windows, cut

    def table(self, outputs: Any, rows: datasets.Dataset, inputs: SpanWindows) -> Predictions:
        """The predictions table of labelled rows."""
        return tabulate_answers(self.task, outputs, rows, inputs, "test")

    def answers(
        self, outputs: Any, rows: datasets.Dataset, inputs: SpanWindows
    ) -> tuple[dict[str, list[Any]], list[str]]:
        """`question`, `context`, `prediction`, `score`, `start` and `end`, and lines on them."""
        found = self.task.decode(outputs, inputs, list(rows["context"]))
        columns = {
            **{name: list(rows[name]) for name in rows.column_names},
            "prediction": found.text,
            "score": found.score,
            "start": found.start,
            "end": found.end,
        }
        empty = sum(not text for text in found.text) - found.nonfinite
        lines = [f"left unanswered: {empty:,}"] if self.task.null_threshold is not None else []
        if found.nonfinite:
            lines.append(f"{found.nonfinite:,} questions have NaN or infinite outputs: do not use this model")
        return columns, lines
