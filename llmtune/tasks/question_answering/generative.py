"""Generative question answering: question and context in the prompt, the answer written after it; nothing is no answer.

The question stands first: where a context is too long its end is cut, not the question.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import datasets
from transformers import PreTrainedTokenizerBase

from llmtune.errors import InputError
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.rows import majority_answer
from llmtune.tasks.text_generation.arguments import GenerationArguments
from llmtune.tasks.text_generation.task import TextGeneration, Truncation, language_codes

METHODS = ("extractive", "generative")
FAMILIES = ("encoder", "decoder", "encoder_decoder")


def is_generative(method: str | None, family: str) -> bool:
    """Whether a model of this family writes its answers: as --method says, else unless it is an encoder.

    Raises:
        InputError: no such method, or a family that can't mark answers.
    """
    if method not in (None, *METHODS):
        raise InputError(f"--method {method!r} is not one of {', '.join(METHODS)}")
    if method == "extractive" and family == "encoder_decoder":
        raise InputError("--method extractive: sequence-to-sequence models write; leave it out, or take an encoder")
    return family != "encoder" if method is None else method == "generative"


@dataclass(frozen=True)
class GenerativeInputs:
    """Model inputs of n rows.

    Args:
        inputs: n rows.
        cuts: contexts and answers that did not fit.
        lost_answers: rows whose context holds an answer, but not what was left of it.
    """

    inputs: datasets.Dataset
    cuts: Truncation
    lost_answers: int = 0


@dataclass(frozen=True)
class GenerativeQuestionAnswering(TextGeneration):
    """What a model that writes answers reads and learns."""

    name = "generative-question-answering"
    decoder_template = "{source}\nanswer:"
    best_metric = "f1"
    length_flags = "--max_answer_length"
    scored = ("exact_match", "f1")

    @classmethod
    def from_options(cls, options: QuestionAnsweringArguments) -> "GenerativeQuestionAnswering":
        """The task of a recipe.

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
        return cls.from_arguments(
            GenerationArguments(
                max_source_length=options.max_length,
                max_target_length=options.max_answer_length,
                num_beams=options.num_beams,
                prompt_template=options.prompt_template,
                use_chat_template=options.use_chat_template,
            )
        )

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> GenerativeInputs:
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
        return GenerativeInputs(inputs, Truncation(cut_sources, cut_targets), lost)

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
