"""Tasks whose answers are written: translation, summarization, answers to questions on a context."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import datasets

from llmtune.arguments import DataArguments
from llmtune.baselines import table_baselines
from llmtune.benchmark.language_models import LanguageModel
from llmtune.benchmark.task import BenchmarkTask
from llmtune.data import Fingerprint
from llmtune.predictions import Predictions, make_predictions
from llmtune.predictions.kinds import DECIDING_METRIC, first_reference
from llmtune.tasks.question_answering.generative import GenerativeQuestionAnswering
from llmtune.tasks.question_answering.rows import majority_answer
from llmtune.tasks.summarization import Summarization
from llmtune.tasks.text_generation.task import TextGeneration
from llmtune.tasks.translation import Translation


def first_line(answer: str) -> str:
    r"""What a model without training on the task is taken to answer: it goes on with a next row of the prompt.

    >>> first_line(" a cat\nText: the dog")
    'a cat'
    """
    return answer.strip().partition("\n")[0].strip()


class WritingBenchmark(BenchmarkTask):
    """A text from a text; subclasses say which task's rows, prompt and metric."""

    kind = "text-generation"
    fields: ClassVar[tuple[str, ...]] = ("source",)

    reads: ClassVar[type[TextGeneration]]
    """The task whose rows these are."""

    @property
    def template(self) -> str:  # type: ignore[override]
        """A decoder's, as in training."""
        return self.reads.decoder_template

    def read(self, data: DataArguments) -> tuple[datasets.Dataset, Fingerprint]:
        """`source` and `target`."""
        usual = self.reads.arguments_type()
        columns = {name: getattr(usual, f"{name}_column") for name in ("source", "target")}
        given = {name: self.options.columns[name] for name in columns if name in self.options.columns}
        return self.reads(9, 9, 9).read_split(data, {**columns, **given}, labeled=True)

    def row_fields(self, row: Mapping[str, Any]) -> dict[str, str]:
        """The source."""
        return {"source": row["source"]}

    def answer(self, row: Mapping[str, Any]) -> str:
        """The target, of several the first."""
        return str(first_reference(row["target"]))

    def predicted_by(self, model: LanguageModel) -> Predictions:
        """The first line of each answer; in a chat the whole."""
        answers = model.write(self.prompts(), self.answer_tokens)
        return self.table(answers if self.prompt.is_chat else [first_line(answer) for answer in answers])

    def table(self, answers: Sequence[str]) -> Predictions:
        """The predictions table of the rows."""
        rows = self.test[0]
        columns = {"source": list(rows["source"]), "reference": list(rows["target"]), "prediction": list(answers)}
        carried = {name: list(rows[name]) for name in rows.column_names if name not in ("source", "target")}
        settings = {DECIDING_METRIC: self.reads.deciding_metric}
        return make_predictions(self.kind, columns, carried=carried, settings=settings)

    def baselines(self) -> dict[str, Predictions]:
        """What the rows themselves offer: the source copied, its first sentences, the nearest sentence."""
        return table_baselines(self.table([""] * len(self.test[0])))


class TranslationBenchmark(WritingBenchmark):
    """Translations, by BLEU."""

    name = "translation"
    reads = Translation
    max_new_tokens = 128


class SummarizationBenchmark(WritingBenchmark):
    """Summaries, by ROUGE-L."""

    name = "summarization"
    reads = Summarization
    max_new_tokens = 128


class QuestionsBenchmark(WritingBenchmark):
    """Questions on a context, by F1 of the answer's words; marked or written."""

    name = "question-answering"
    kind = "question-answering"
    reads = GenerativeQuestionAnswering
    fields = ("question", "context")
    template = "Context: {context}\nQuestion: {question}\nAnswer:"
    max_new_tokens = 32

    def read(self, data: DataArguments) -> tuple[datasets.Dataset, Fingerprint]:
        """`question`, `context` and `answers`."""
        columns = {name: self.column(name) for name in ("question", "context", "answers")}
        return self.reads(9, 9, 9).read_split(data, columns, labeled=True)

    def row_fields(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Question and context."""
        return {"question": row["question"].strip(), "context": row["context"]}

    def answer(self, row: Mapping[str, Any]) -> str:
        """The answer that most people gave; nothing where there is none."""
        answers = majority_answer(row["answers"])
        return str(answers[0]) if answers else ""

    def table(self, answers: Sequence[str]) -> Predictions:
        """The predictions table of the rows."""
        rows = self.test[0]
        columns = {
            "question": list(rows["question"]),
            "reference": [list(answer["text"]) for answer in rows["answers"]],
            "prediction": list(answers),
        }
        carried = {name: list(rows[name]) for name in rows.column_names if name not in ("question", "answers")}
        return make_predictions(self.kind, columns, carried=carried, settings={DECIDING_METRIC: "f1"})
