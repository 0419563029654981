"""Extractive question answering: where in the context the answer begins and ends, or that it is not there.

Each window gives its best spans; a row's answer is the best of all its windows. Letters: n rows, m windows, t tokens,
b spans kept of a window.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import datasets
import numpy as np
import torch
from torch.nn import functional
from transformers import AutoModelForQuestionAnswering, PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.arguments.parser import Arguments
from llmtune.data import Fingerprint
from llmtune.data.padding import PaddingCollator
from llmtune.errors import InputError
from llmtune.metrics import Score
from llmtune.models.families import families_serving
from llmtune.models.loaded import LoadedModel
from llmtune.models.loading import requested_family
from llmtune.predictions import Predictions
from llmtune.tasks.question_answering.answers import Answering, answerability_lines
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.generative import GenerativeQuestionAnswering, is_generative
from llmtune.tasks.question_answering.loss import SpanLoss
from llmtune.tasks.question_answering.rows import AnsweredSplits, load_answered_splits, read_questions
from llmtune.tasks.question_answering.windows import SpanWindows, make_span_windows
from llmtune.tasks.task import Encoded, count_splits
from llmtune.text.shorten import counted
from llmtune.text.spans import strip_span
from llmtune.thresholds.no_answer import NullThreshold, choose_null_threshold


@dataclass(frozen=True)
class Answers:
    """What a model says of n questions.

    Args:
        text: the answers, "" where none is given.
        start: its first character in the context, None where none is given.
        end: the character after its last.
        score: its probability among the best spans of all windows and, where the model may leave a question
            unanswered, no answer.
        null_difference: logits of no answer minus those of the best span, (n,); minus infinity where one must be given.
        best: the best span's text, whatever the threshold.
        nonfinite: questions whose outputs held NaN or infinity; they get no answer.
    """

    text: list[str]
    start: list[int | None]
    end: list[int | None]
    score: list[float]
    null_difference: np.ndarray
    best: list[str]
    nonfinite: int


@dataclass(frozen=True)
class QuestionAnswering(Answering):
    """What a model of spans does to questions and to logits.

    Args:
        max_length: tokens of a window.
        doc_stride: tokens of the context that neighboring windows share.
        n_best_size: spans kept of a window, and compared over the windows of a row.
        max_answer_length: tokens of a span.
        null_threshold: no answer is given where its logits are above the best span's by more; None: one always is.
        is_causal: whether the model sees only what stands left of a token.
        choice: of `null_threshold`, what `tune` chose and why.
        tunes: whether `tune` chooses it: not where --null_score_diff_threshold gives it.
    """

    max_length: int
    doc_stride: int
    n_best_size: int = 20
    max_answer_length: int = 30
    null_threshold: float | None = None
    is_causal: bool = False
    choice: NullThreshold | None = None
    tunes: bool = False

    name = "question-answering"
    auto_model = AutoModelForQuestionAnswering
    architecture = "ForQuestionAnswering"
    families = families_serving("classification")
    counted = ("nonfinite_rows",)
    index_type = SpanWindows
    onnx_outputs = ("start_logits", "end_logits")

    @classmethod
    def read(cls, args: Arguments) -> AnsweredSplits:
        """Questions, contexts and answers; questions on one context stay on one side of a split."""
        located = not _writes(args)
        return load_answered_splits(args.data, args.task, seed=args.training.seed, located=located)

    @classmethod
    def _make(cls, args: Arguments, splits: AnsweredSplits) -> Any:
        """Encoders mark the answer in the context; decoders and sequence-to-sequence models write it."""
        if _writes(args):
            return GenerativeQuestionAnswering.from_options(args.task)
        return cls.from_options(args.task, may_abstain=splits.unanswerable()["train"] > 0)

    @classmethod
    def from_options(cls, arguments: QuestionAnsweringArguments, may_abstain: bool) -> Self:
        """The task of a model of spans; `may_abstain`: train has questions without an answer.

        Raises:
            InputError: what only a model that writes has, or a threshold where no question goes without an answer.
        """
        for name in ("num_beams", "prompt_template", "use_chat_template"):
            if getattr(arguments, name) != getattr(QuestionAnsweringArguments(), name):
                raise InputError(
                    f"--{name} {getattr(arguments, name)}: this model marks its answers and writes none; leave it out, "
                    "or take a model that writes, with --method generative"
                )
        threshold = arguments.null_score_diff_threshold
        if threshold is not None and not may_abstain:
            raise InputError(
                f"--null_score_diff_threshold {threshold}: every question of train has an answer, so the model can't "
                "learn to give none; leave it out, or add questions without an answer"
            )
        return cls(
            arguments.max_length,
            arguments.doc_stride,
            arguments.n_best_size,
            arguments.max_answer_length,
            (threshold or 0.0) if may_abstain else None,
            tunes=may_abstain and threshold is None,
        )

    @classmethod
    def from_config(cls, config: Any, name: str) -> Self:
        """The task that a trained model's config describes; one of another toolkit always gives an answer."""
        kept, standard = config.to_dict().get("llmtune", {}), QuestionAnsweringArguments()
        length = kept.get("max_length", min(config.max_position_embeddings, standard.max_length))
        return cls(
            length,
            kept.get("doc_stride", min(standard.doc_stride, length // 3)),
            kept.get("n_best_size", standard.n_best_size),
            kept.get("max_answer_length", standard.max_answer_length),
            kept.get("null_threshold"),
            kept.get("left_context_only", False),
        )

    def head_config(self) -> dict[str, Any]:
        """Config values that size the head: one logit for a start, one for an end."""
        return {"num_labels": 2}

    def to_config(self) -> dict[str, Any]:
        """What the model's config keeps, so that prediction does what evaluation did."""
        return {
            "task": self.name,
            "max_length": self.max_length,
            "doc_stride": self.doc_stride,
            "n_best_size": self.n_best_size,
            "max_answer_length": self.max_answer_length,
            "null_threshold": self.null_threshold,
            "left_context_only": self.is_causal,
        }

    def for_model(self, loaded: LoadedModel) -> Self:
        """The task with windows as long as the model reads."""
        return replace(self, max_length=loaded.max_length, is_causal=loaded.facts.is_causal)

    def input_columns(self, columns: Mapping[str, str]) -> dict[str, str]:
        """The question and the text that holds its answer."""
        return {name: columns[name] for name in ("question", "context")}

    def read_split(
        self, data: DataArguments, columns: Mapping[str, str], *, labeled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """`question` and `context`, and `answers` where they are wanted, each found at its answer_start."""
        return read_questions(data, columns, labeled=labeled, located=True)

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, split: str = "test") -> Encoded:
        """Rows with `question` and `context` (and `answers`) → windows of model inputs."""
        answers = list(rows["answers"]) if "answers" in rows.column_names else None
        windows = make_span_windows(
            list(rows["question"]),
            list(rows["context"]),
            tokenizer,
            max_length=self.max_length,
            doc_stride=self.doc_stride,
            is_causal=self.is_causal,
            answers=answers,
        )
        notes = [f"contexts cut into windows of {self.max_length} tokens: {windows.cut_rows or 'none'}"]
        if windows.cut_questions:
            notes.append(f"questions cut at half a window: {windows.cut_questions}")
        unanswerable = sum(not answer["text"] for answer in answers or ())
        if unanswerable and self.null_threshold is None:
            notes.append(f"every question gets an answer, so {unanswerable} without one count as wrong")
        return Encoded(rows, windows.inputs, split, tokenizer, {"windows": windows.describe()}, notes, windows)

    def data_collator(self, tokenizer: PreTrainedTokenizerBase, model: Any = None) -> PaddingCollator:
        """Pads each micro-batch to its longest window."""
        return PaddingCollator(tokenizer)

    def loss(self, args: Arguments, splits: Any) -> SpanLoss:
        """Cross entropy of the answer's first and last token.

        Raises:
            InputError: label smoothing was asked for.
        """
        if args.training.label_smoothing_factor:
            raise InputError("--label_smoothing_factor: the loss of extractive answers has none; leave it out")
        return SpanLoss()

    def reduce_logits(self, logits: Any, labels: Any) -> tuple[torch.Tensor, ...]:
        """On the device, for `preprocess_logits_for_metrics`: the best spans of each window, never its logits.

        Args:
            logits: start and end, (m, t) each.
            labels: (m, 4), of which the first token of the context and the number of tokens are read.

        Returns:
            sums of start and end logit of the best spans, best first, (m, b), minus infinity where there are fewer;
            their first and last tokens, (m, b) each; the sum at the place of no answer, (m,).
        """
        start, end = (part.float() for part in logits[:2])
        t = start.shape[1]
        length = min(self.max_answer_length, t)
        position = torch.arange(t, device=start.device)
        outside = (position < labels[:, 2:3]) | (position >= labels[:, 3:4] - 1)
        nowhere = labels[:, 3:4] - 1 if self.is_causal else torch.zeros_like(labels[:, 3:4])
        null = (start.gather(1, nowhere) + end.gather(1, nowhere))[:, 0]
        start, end = (part.masked_fill(outside, -torch.inf) for part in (start, end))
        ends = functional.pad(end, (0, length - 1), value=-torch.inf).unfold(1, length, 1)
        sums = (start[:, :, None] + ends).flatten(1)
        sums = functional.pad(sums, (0, max(0, self.n_best_size - sums.shape[1])), value=-torch.inf)
        best, where = sums.topk(self.n_best_size)
        first = where // length
        return best, first, first + where % length, null

    def decode(self, outputs: Any, windows: SpanWindows, contexts: list[str]) -> Answers:
        """The answers of all rows, from what `reduce_logits` kept of the windows in their order."""
        best, first, last, null = (np.asarray(part) for part in outputs)
        best, null = best.astype(np.float64), null.astype(np.float64)
        n = len(contexts)
        broken = np.isnan(best).any(axis=1) | np.isposinf(best).any(axis=1) | ~np.isfinite(null)
        nonfinite = np.bincount(windows.row[broken], minlength=n) > 0
        nulls = np.full(n, np.inf)  # of the window that is surest of an answer
        np.minimum.at(nulls, windows.row, np.where(broken, np.inf, null))
        rows, characters, sums = _distinct_spans(best, first, last, windows, contexts)
        bounds = np.searchsorted(rows, np.arange(n + 1))
        found = []
        for row, context in enumerate(contexts):
            spans = slice(bounds[row], min(bounds[row + 1], bounds[row] + self.n_best_size))
            if nonfinite[row] or not len(sums[spans]):
                found.append(("", None, None, 0.0, -np.inf, ""))
            else:
                found.append(self._answer(context, characters[spans][0], sums[spans], float(nulls[row])))
        text, start, end, score, difference, every = (list(column) for column in zip(*found, strict=True))
        return Answers(text, start, end, score, np.array(difference), every, int(nonfinite.sum()))

    def _answer(self, context: str, span: np.ndarray, sums: np.ndarray, null: float) -> tuple[Any, ...]:
        """Text, start, end, score, null_difference and best of a row, from its best span and the sums of all spans."""
        begin, end = int(span[0]), int(span[1])
        best, top = context[begin:end], float(sums[0])
        if self.null_threshold is None:
            return best, begin, end, float(1 / np.exp(sums - top).sum()), -np.inf, best
        weights = np.exp(np.append(sums, null) - max(top, null))
        score = weights / weights.sum()
        if null - top > self.null_threshold:
            return "", None, None, float(score[-1]), null - top, best
        return best, begin, end, float(score[0]), null - top, best

    def tabulate(self, outputs: Any, encoded: Encoded) -> Predictions:
        """The predictions table of a split whose answers are known; every other column of the rows is carried.

        Besides: `score` (probability of what is given), `start` and `end` (its characters in `context`, null without)
        and, where questions may go unanswered, `null_difference` (logits, no answer minus best span) and `best_span`.
        """
        answers = self.decode(outputs, encoded.index, list(encoded.rows["context"]))
        carried: dict[str, Any] = {"score": answers.score, "start": answers.start, "end": answers.end}
        settings: dict[str, Any] = {"nonfinite_rows": answers.nonfinite}
        if self.null_threshold is not None:
            settings["null_threshold"] = self.null_threshold
            carried |= {"null_difference": answers.null_difference, "best_span": answers.best}
        return self.table_of(answers.text, encoded, carried, settings)

    def predicted_columns(self, outputs: Any, encoded: Encoded) -> tuple[dict[str, list[Any]], list[str]]:
        """`question`, `context`, `prediction`, `score`, `start` and `end`, and lines on them."""
        rows = encoded.rows
        answers = self.decode(outputs, encoded.index, list(rows["context"]))
        columns = {
            **{name: list(rows[name]) for name in rows.column_names},
            "prediction": answers.text,
            "score": answers.score,
            "start": answers.start,
            "end": answers.end,
        }
        empty = sum(not text for text in answers.text) - answers.nonfinite
        lines = [f"left unanswered: {empty:,}"] if self.null_threshold is not None else []
        if answers.nonfinite:
            count = counted(answers.nonfinite, "question")
            lines.append(f"outputs of {count} are NaN or infinite: do not use this model")
        return columns, lines

    def tune(self, validation: Predictions, *, seed: int) -> Self:
        """The task with the threshold of no answer that is best on validation, unless one was given."""
        if not self.tunes:
            return self
        choice = choose_null_threshold(validation, seed=seed)
        return replace(self, null_threshold=choice.threshold, choice=choice)

    def fit_lines(self, encoded: Mapping[str, Encoded]) -> list[str]:
        """The windows, and what none of them holds."""
        windows: dict[str, SpanWindows] = {split: of_split.index for split, of_split in encoded.items()}

        def counts(name: str) -> str:
            return count_splits({split: getattr(of_split, name) for split, of_split in windows.items()})

        lines = [
            f"contexts cut into windows of {self.max_length} tokens that share {self.doc_stride}: {counts('cut_rows')}"
        ]
        if any(of_split.cut_questions for of_split in windows.values()):
            lines.append(f"questions cut at half a window: {counts('cut_questions')}")
        if any(of_split.lost_answers for of_split in windows.values()):
            lines.append(f"answers that no window holds whole (raise --doc_stride): {counts('lost_answers')}")
        most = self.max_answer_length
        long = count_splits({split: of_split.answers_longer_than(most) for split, of_split in windows.items()})
        if long != "none":
            lines.append(f"answers of more than --max_answer_length {most} tokens, never found: {long}")
        return lines

    def run_facts(self, predictions: Mapping[str, Predictions], *, seed: int) -> dict[str, Any]:
        """The choice of the threshold, and the scores of the questions with and without an answer."""
        choice = None if self.choice is None else asdict(self.choice)
        return {"null_threshold": choice, **super().run_facts(predictions, seed=seed)}

    def notes(self, test: Predictions, scores: Mapping[str, Score], facts: Mapping[str, Any]) -> list[str]:
        """No answers and their threshold."""
        notes = []
        if self.null_threshold is not None:
            given = f"{self.null_threshold:.2f}, as --null_score_diff_threshold says"
            notes.append(f"threshold of no answer: {self.choice.reason if self.choice else given}")
        return [*notes, *answerability_lines(facts)]

    def cautions(self, test: Predictions, facts: Mapping[str, Any]) -> list[str]:
        """What the model can't see, outputs that are no numbers."""
        cautions = []
        if self.is_causal:
            cautions.append(
                "the model reads the question before the context, but of the context only what stands to the left: an "
                "encoder of the same size usually finds more"
            )
        if lost := test.settings["nonfinite_rows"]:
            cautions.append(
                f"outputs of {counted(lost, 'question')} were NaN or infinite, no answer: do not use these weights"
            )
        return cautions


def _writes(args: Arguments) -> bool:
    """Whether the model of a recipe writes its answers."""
    # An encoder alone, not one of a pair that generates: its families come first.
    families = (*QuestionAnswering.families, *GenerativeQuestionAnswering.families)
    return is_generative(args.task.method, requested_family(args.model, tuple(dict.fromkeys(families))))


def _distinct_spans(
    best: np.ndarray, first: np.ndarray, last: np.ndarray, windows: SpanWindows, contexts: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (s,), characters (s, 2) and sums (s,) of the finite spans, by row, best first, of equals the earlier.

    Without space at their ends; spans of nothing but space, which is a token of its own in some vocabularies, are none.
    Overlapping windows find the same span twice: its best sum counts.
    """
    window, place = np.nonzero(np.isfinite(best))
    tokens = np.stack([first[window, place], last[window, place]], axis=1).astype(np.int64)
    sums, characters, rows = best[window, place], windows.to_characters(tokens, window), windows.row[window]
    places = zip(rows.tolist(), characters.tolist(), strict=True)
    characters = np.array([strip_span(contexts[row], *span) for row, span in places], dtype=np.int64).reshape(-1, 2)
    has_text = characters[:, 0] < characters[:, 1]
    sums, characters, rows = sums[has_text], characters[has_text], rows[has_text]
    order = np.lexsort((-sums, characters[:, 1], characters[:, 0], rows))
    spans = np.column_stack([rows, characters])[order]
    is_new = np.append([True], (np.diff(spans, axis=0) != 0).any(axis=1))[: len(spans)]
    kept = order[is_new]
    kept = kept[np.lexsort((characters[kept, 1], characters[kept, 0], -sums[kept], rows[kept]))]
    return rows[kept], characters[kept], sums[kept]
