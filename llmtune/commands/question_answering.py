"""Question answering as `llmtune evaluate` and `llmtune predict` serve it: question and context → answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import datasets
from transformers import PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.data import Fingerprint
from llmtune.inference import tabulate_answers, tabulate_written_answers
from llmtune.predictions import Predictions
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.extractive import QuestionAnswering
from llmtune.tasks.question_answering.generative import GenerativeQuestionAnswering
from llmtune.tasks.question_answering.rows import load_answered_split
from llmtune.tasks.question_answering.windows import SpanWindows


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
        return read_questions(data, columns, labelled=labelled, located=True)

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> tuple[SpanWindows, str]:
        """The model's inputs, and a line on what was cut."""
        windows = self.task.encode(rows, tokenizer)
        cut = f"contexts cut into windows of {self.task.max_length} tokens: {windows.cut_rows or 'none'}"
        if windows.cut_questions:
            cut += f"; questions cut at half a window: {windows.cut_questions}"
        answers = rows["answers"] if self.task.null_threshold is None and "answers" in rows.column_names else []
        unanswerable = sum(not of["text"] for of in answers)
        if unanswerable:
            cut += f"; every question gets an answer, so {unanswerable} without one count as wrong"
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


@dataclass(frozen=True)
class ServedWrittenAnswers:
    """Answers that a model writes, asked and searched for as in training."""

    task: GenerativeQuestionAnswering

    @classmethod
    def from_config(cls, config: Any, model: str) -> "ServedWrittenAnswers":
        """As the model's config says."""
        return cls(GenerativeQuestionAnswering.from_config(config, model))

    def read(
        self, data: DataArguments, columns: Mapping[str, str], *, labelled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """`question` and `context`, and `answers` where they are wanted."""
        return read_questions(data, columns, labelled=labelled, located=False)

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> tuple[datasets.Dataset, str]:
        """The model's inputs, and a line on what was cut."""
        encoded = self.task.encode(rows, tokenizer)
        cut = (
            f"contexts truncated at their end, to {self.task.max_source_length} tokens: "
            f"{encoded.cuts.sources or 'none'}"
        )
        if encoded.lost_answers:
            cut += f"; questions whose answer was truncated away: {encoded.lost_answers}"
        return encoded.inputs, cut

    def table(self, outputs: Any, rows: datasets.Dataset, inputs: datasets.Dataset) -> Predictions:
        """The predictions table of labelled rows."""
        return tabulate_written_answers(self.task, outputs, rows, "test")

    def answers(
        self, outputs: Any, rows: datasets.Dataset, inputs: datasets.Dataset
    ) -> tuple[dict[str, list[Any]], list[str]]:
        """`question`, `context`, `prediction`, `start`, `end` and `ended`, and lines on them."""
        answers, ended = outputs
        columns = {
            **{name: list(rows[name]) for name in rows.column_names},
            "prediction": list(answers),
            **self.task.places(answers, list(rows["context"])),
            "ended": ended.tolist(),
        }
        most = self.task.max_new_tokens
        return columns, [f"answers that did not end within {most} tokens: {int((~ended).sum()) or 'none'}"]


def read_questions(
    data: DataArguments, columns: Mapping[str, str], *, labelled: bool, located: bool
) -> tuple[datasets.Dataset, Fingerprint]:
    """The test split; `columns`: canonical name → the user's name."""
    options = QuestionAnsweringArguments(
        question_column=columns["question"], context_column=columns["context"], answers_column=columns["answers"]
    )
    return load_answered_split(data, "test", options, labelled=labelled, located=located)
