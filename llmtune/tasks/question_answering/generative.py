"""Generative question answering: question and context in the prompt, the answer written after it; nothing is no answer.

The question stands first: where a context is too long its end is cut, not the question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import datasets
from transformers import PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.data import Fingerprint
from llmtune.errors import InputError
from llmtune.metrics import Score
from llmtune.predictions import Predictions
from llmtune.tasks.question_answering.answers import Answering, answerability_lines
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.rows import majority_answer, read_questions
from llmtune.tasks.task import Encoded, count_splits
from llmtune.tasks.text_generation.arguments import GenerationArguments
from llmtune.tasks.text_generation.prompts import language_codes
from llmtune.tasks.text_generation.task import TextGeneration

METHODS = ("extractive", "generative")


def is_generative(method: str | None, family: str) -> bool:
    """Whether a model of this family writes its answers: as --method says, else where the family can.

    Raises:
        InputError: no such method, or a family that can't mark answers.
    """
    if method not in (None, *METHODS):
        raise InputError(f"--method {method!r} is not one of {', '.join(METHODS)}")
    if method == "extractive" and family == "encoder_decoder":
        raise InputError("--method extractive: sequence-to-sequence models write; leave it out, or take an encoder")
    return family in TextGeneration.families if method is None else method == "generative"


@dataclass(frozen=True)
class GenerativeQuestionAnswering(Answering, TextGeneration):
    """What a model that writes answers reads and learns."""

    name = "generative-question-answering"
    decoder_template = "{source}\nanswer:"
    length_flags = "--max_answer_length"

    @classmethod
    def from_options(cls, options: QuestionAnsweringArguments) -> Self:
        """The task of some lengths, search and prompt.

        Raises:
            InputError: a length or a number of beams that is too small, a template without {source}, or a threshold,
                which only marked answers have.
        """
        for name in ("max_length", "max_answer_length"):
            if getattr(options, name) < 2:
                raise InputError(f"--{name} {getattr(options, name)}: expected 2 or more, a token and the end token")
        if options.null_score_diff_threshold is not None:
            raise InputError(
                f"--null_score_diff_threshold {options.null_score_diff_threshold}: a model that writes gives no answer "
                "by writing none; leave it out, or give --method extractive"
            )
        return super().from_options(
            GenerationArguments(
                max_source_length=options.max_length,
                max_target_length=options.max_answer_length,
                num_beams=options.num_beams,
                prompt_template=options.prompt_template,
                use_chat_template=options.use_chat_template,
            )
        )

    def input_columns(self, columns: Mapping[str, str]) -> dict[str, str]:
        """The question and the text that holds its answer."""
        return {name: columns[name] for name in ("question", "context")}

    def read_split(
        self, data: DataArguments, columns: Mapping[str, str], *, labeled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """`question` and `context`, and `answers` where they are wanted, which need not stand in the context."""
        return read_questions(data, columns, labeled=labeled, located=False)

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, split: str = "test") -> Encoded:
        """Rows with `question` and `context` (and `answers`) → model inputs."""
        asked = [question.strip() for question in rows["question"]]
        contexts = list(rows["context"])
        whole = [f"question: {question} context: {text}" for question, text in zip(asked, contexts, strict=True)]
        sources, cut_sources = self.fit_sources(whole, tokenizer)
        targets, lost = None, 0
        if "answers" in rows.column_names:
            given = list(rows["answers"])
            learned = [majority_answer(answers) for answers in given]
            targets = [answer[0] if answer else "" for answer in learned]
            for source, before, context, answers in zip(sources, whole, contexts, given, strict=True):
                if source != before:
                    left = source[len(before) - len(context) :]
                    held = [text for text in answers["text"] if text in context]
                    lost += bool(held) and not any(text in left for text in held)
        inputs, cut_targets = self.tokenize_fitting(sources, targets, tokenizer)
        notes = [f"contexts truncated at their end, to {self.max_source_length} tokens: {cut_sources or 'none'}"]
        if lost:
            notes.append(f"questions whose answer was truncated away: {lost}")
        facts = {"cuts": {"sources": cut_sources, "targets": cut_targets, "lost_answers": lost}}
        return Encoded(rows, inputs, split, tokenizer, facts, notes)

    def set_languages(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Nothing: a tokenizer of many languages (mBART, NLLB) is refused.

        Raises:
            InputError: it is one, and no argument tells it the language of the answers.
        """
        if language_codes(tokenizer):
            raise InputError(
                f"the tokenizer {type(tokenizer).__name__} wants to be told two languages (mBART, NLLB), which this "
                "recipe can't; choose a checkpoint without language codes, as T5 or BART"
            )

    def places(self, answers: Sequence[str], contexts: Sequence[str]) -> dict[str, list[int | None]]:
        """`start` and `end` of each answer where it first stands in its context, None where it does not.

        >>> GenerativeQuestionAnswering(9, 9, 9).places(["Oslo", "Rome", ""], ["In Oslo.", "In Oslo.", "In Oslo."])
        {'start': [3, None, None], 'end': [7, None, None]}
        """
        found = [
            (context.find(answer) if answer else -1, len(answer))
            for answer, context in zip(answers, contexts, strict=True)
        ]
        return {
            "start": [None if start < 0 else start for start, _ in found],
            "end": [None if start < 0 else start + length for start, length in found],
        }

    def tabulate(self, outputs: Any, encoded: Encoded) -> Predictions:
        """The predictions table of answers that a model wrote; every other column of the rows is carried.

        Besides: `start` and `end` (where the answer first stands in `context`, null where it does not), `ended`
        (whether it came to its end within max_new_tokens) and `nll` (nats of the answer that was expected).
        """
        answers, ended = self.written(outputs, encoded)
        places = self.places(answers, list(encoded.rows["context"]))
        carried = {**places, "ended": ended.tolist(), **self.nats(outputs)}
        settings = {"task": self.name, "unfinished": int((~ended).sum()), "nonfinite_rows": 0}
        return self.table_of(answers, encoded, carried, settings)

    def predicted_columns(self, outputs: Any, encoded: Encoded) -> tuple[dict[str, list[Any]], list[str]]:
        """`question`, `context`, `prediction`, `start`, `end` and `ended`, and a line on answers that did not end."""
        rows = encoded.rows
        answers, ended = self.written(outputs, encoded)
        columns = {
            **{name: list(rows[name]) for name in rows.column_names},
            "prediction": answers,
            **self.places(answers, list(rows["context"])),
            "ended": ended.tolist(),
        }
        most = self.max_new_tokens
        return columns, [f"answers that did not end within {most} tokens: {int((~ended).sum()) or 'none'}"]

    def fit_lines(self, encoded: Mapping[str, Encoded]) -> list[str]:
        """What was truncated, and what the model is asked."""

        def counts(name: str) -> str:
            return count_splits({split: of_split.facts["cuts"][name] for split, of_split in encoded.items()})

        most, lost, asked = self.max_new_tokens, counts("lost_answers"), self.prompt_of("question: … context: …")
        return [
            f"contexts truncated at their end, to {self.max_source_length} tokens with the question: "
            f"{counts('sources')}",
            *([f"questions whose answer was truncated away (raise --max_length): {lost}"] if lost != "none" else []),
            f"answers of train truncated at {self.max_target_length} tokens: {counts('targets')}",
            f"the model reads {asked!r} and writes at most {most} tokens",
        ]

    def notes(self, test: Predictions, scores: Mapping[str, Score], facts: Mapping[str, Any]) -> list[str]:
        """Answers that are not in their context."""
        outside, empty = test.column("start").count(None), sum(not text for text in test.column("prediction"))
        return [
            *answerability_lines(facts),
            f"{outside - empty:,} answers do not stand in their context word for word",
        ]

    def cautions(self, test: Predictions, facts: Mapping[str, Any]) -> list[str]:
        """Answers that did not end."""
        unfinished, most = test.settings["unfinished"], self.max_new_tokens
        if not unfinished:
            return []
        return [f"{unfinished:,} answers did not end in {most} tokens: raise --max_answer_length"]

    def samples(self, table: Predictions) -> list[dict[str, str]]:
        """None: a question without its context says little."""
        return []
