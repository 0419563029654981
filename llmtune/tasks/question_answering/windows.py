"""Question and context → windows of model inputs: a long context becomes windows that overlap, each with the question.

Letters: n rows, m windows, t tokens of a window, k tokens of a context.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
from transformers import PreTrainedTokenizerBase

from llmtune.errors import InputError
from llmtune.tasks.control_tokens import encode_text
from llmtune.tasks.question_answering.rows import majority_answer


@dataclass(frozen=True)
class SpanWindows:
    """Model inputs of n rows, and where in the contexts their tokens stand.

    Args:
        inputs: m windows with `input_ids`, `attention_mask`, of an encoder `token_type_ids`, and `labels`: first and
            last token of the answer (the place of "no answer" where the window does not hold it whole), first token of
            the context, number of tokens. Rows without known answers have the labels of rows without an answer.
        row: of each window, (m,), ascending.
        begin: of each window, the first token of the context in it, counted in the row's context, (m,).
        first: of each window, the position of that token, (m,).
        offsets: of each row, its context's tokens as characters from and to, (k, 2).
        cut_rows: rows of more than one window.
        cut_questions: questions that were cut to leave half of the window to the context.
        lost_answers: rows whose answer no window holds whole.
    """

    inputs: datasets.Dataset
    row: np.ndarray
    begin: np.ndarray
    first: np.ndarray
    offsets: list[np.ndarray]
    cut_rows: int
    cut_questions: int
    lost_answers: int

    def to_characters(self, spans: np.ndarray, window: np.ndarray) -> np.ndarray:
        """Token positions (s, 2) in windows (s,), last token included, as characters of the context, end not included.

        Many tokens of byte-level vocabularies begin with the space before a word: it is in.
        """
        tokens = spans + (self.begin - self.first)[window, None]
        rows = self.row[window]
        ends = np.cumsum([len(offsets) for offsets in self.offsets])
        every = np.concatenate(self.offsets) if self.offsets else np.zeros((0, 2), dtype=np.int64)
        starts = (ends - [len(offsets) for offsets in self.offsets])[rows]
        return np.stack([every[starts + tokens[:, 0], 0], every[starts + tokens[:, 1], 1]], axis=1)

    def describe(self) -> dict[str, int]:
        """Rows, windows, rows cut into several, cut questions, answers that no window holds. JSON values."""
        return {
            "rows": len(self.offsets),
            "windows": len(self.inputs),
            "cut_rows": self.cut_rows,
            "cut_questions": self.cut_questions,
            "lost_answers": self.lost_answers,
        }

    def answers_longer_than(self, tokens: int) -> int:
        """Rows whose answer has more tokens, of those that a window holds whole."""
        labels = np.array(self.inputs["labels"], dtype=np.int64).reshape(-1, 4)
        return len(np.unique(self.row[labels[:, 1] - labels[:, 0] >= tokens]))


@dataclass(frozen=True)
class PairLayout:
    """How a model wants question and context in one row: first, question, middle, context, last.

    Args:
        first: token ids before the question.
        middle: between the two.
        last: the one token at the end.
        types: token type of question and of context, which has that of `last`.
        after_question: text that ends a question.
    """

    first: list[int]
    middle: list[int]
    last: int
    types: tuple[int, int]
    after_question: str = ""

    @property
    def extra(self) -> int:
        """Tokens that are neither question nor context."""
        return len(self.first) + len(self.middle) + 1

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, *, is_causal: bool) -> "PairLayout":
        """An encoder's is its tokenizer's own; a decoder's the question, a line break, the context and its end token.

        There it has seen all and says whether there is an answer.

        Raises:
            InputError: the tokenizer is not fast, or ends no row with one token.
        """
        if not tokenizer.is_fast:
            raise InputError(
                f"the tokenizer {type(tokenizer).__name__} is not a fast one: it can't tell which characters a token "
                "comes from; choose a checkpoint that has a tokenizer.json"
            )
        pair = tokenizer("a", "b", return_token_type_ids=True)
        ids, of = pair["input_ids"], pair.sequence_ids(0)
        first = ids[: of.index(0)]
        if is_causal:
            if tokenizer.eos_token_id is None:
                raise InputError(f"the tokenizer {type(tokenizer).__name__} has no end token (eos_token): set one")
            return cls(first, [], tokenizer.eos_token_id, (0, 0), after_question="\n")
        last_of_question = len(of) - 1 - of[::-1].index(0)
        last = ids[len(of) - of[::-1].index(1) :]
        if len(last) != 1 or not first:
            raise InputError(
                f"the tokenizer {type(tokenizer).__name__} sets {len(first)} tokens before and {len(last)} after two "
                "texts, expected one each as BERT's [CLS] and [SEP]; choose another checkpoint"
            )
        types = pair["token_type_ids"]
        return cls(first, ids[last_of_question + 1 : of.index(1)], last[0], (types[0], types[-1]))


def make_span_windows(
    questions: Sequence[str],
    contexts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    doc_stride: int,
    is_causal: bool,
    answers: Sequence[Mapping[str, Sequence[Any]]] | None = None,
) -> SpanWindows:
    """Tokenizes n questions and contexts.

    Args:
        questions: n texts; one longer than half of a window is cut at its end.
        contexts: n texts.
        tokenizer: a fast one.
        max_length: tokens of a window at most.
        doc_stride: tokens of the context that neighboring windows share.
        is_causal: the model sees only what stands left of a token.
        answers: {text, answer_start} of each row; the one that most annotators gave is learned.

    Raises:
        InputError: the tokenizer is not fast, or the stride leaves no room for new tokens.
    """
    layout = PairLayout.of(tokenizer, is_causal=is_causal)
    longest_question = (max_length - layout.extra) // 2
    least = max_length - layout.extra - longest_question  # tokens of context that every window has room for
    if not 0 <= doc_stride < least:
        raise InputError(
            f"--doc_stride {doc_stride}: windows of --max_length {max_length} have room for {max(least, 0)} tokens of "
            f"the context beside a long question, of which neighbors share from 0 to {max(least - 1, 0)}; a third of "
            "the length is a good stride"
        )
    asked = _ids([text.strip() + layout.after_question for text in questions], tokenizer)
    numbers = {context: number for number, context in enumerate(dict.fromkeys(contexts))}  # many questions share one
    read = encode_text(tokenizer, list(numbers), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    offsets = [np.asarray(pairs, dtype=np.int64).reshape(-1, 2) for pairs in read["offset_mapping"]]
    names = ["input_ids", "attention_mask", "labels"]
    if not is_causal:  # GPT-2 would add the embedding of the *word* of that number to each token
        names.append("token_type_ids")
    columns: dict[str, list[list[int]]] = {name: [] for name in names}
    places: list[tuple[int, int, int]] = []
    cut_rows = cut_questions = lost = 0
    for row, (question, context) in enumerate(zip(asked, contexts, strict=True)):
        ids, where = read["input_ids"][numbers[context]], offsets[numbers[context]]
        cut_questions += len(question) > longest_question
        head = [*layout.first, *question[:longest_question], *layout.middle]
        budget = max_length - len(head) - 1
        answer = None if answers is None else answer_tokens(majority_answer(answers[row]), where)
        bounds = context_bounds(len(ids), budget, doc_stride)
        held = False
        for begin, end in bounds:
            tokens = [*head, *ids[begin:end], layout.last]
            nowhere = len(tokens) - 1 if is_causal else 0
            first = last = nowhere
            if answer is not None and begin <= answer[0] and answer[1] < end:
                first, last = (place - begin + len(head) for place in answer)
                held = True
            columns["input_ids"].append(tokens)
            columns["attention_mask"].append([1] * len(tokens))
            if not is_causal:
                types = [layout.types[0]] * len(head) + [layout.types[1]] * (end - begin + 1)
                columns["token_type_ids"].append(types)
            columns["labels"].append([first, last, len(head), len(tokens)])
            places.append((row, begin, len(head)))
        cut_rows += len(bounds) > 1
        lost += answer is not None and not held
    placed = np.array(places, dtype=np.int64).reshape(-1, 3)
    return SpanWindows(
        datasets.Dataset.from_dict(columns),
        placed[:, 0],
        placed[:, 1],
        placed[:, 2],
        [offsets[numbers[context]] for context in contexts],
        cut_rows,
        cut_questions,
        lost,
    )


def context_bounds(k: int, budget: int, stride: int) -> list[tuple[int, int]]:
    """First token and end of each window of a context of k tokens; neighbors share `stride`.

    >>> context_bounds(10, 6, 2), context_bounds(6, 6, 2)
    ([(0, 6), (4, 10)], [(0, 6)])
    """
    begins = range(0, max(1, k - stride), budget - stride)
    return [(begin, min(begin + budget, k)) for begin in begins]


def answer_tokens(answer: tuple[str, int] | None, offsets: np.ndarray) -> tuple[int, int] | None:
    """The first and the last token of a context that hold characters of the answer; None without an answer."""
    if answer is None:
        return None
    text, start = answer
    first = int(np.searchsorted(offsets[:, 1], start, side="right"))
    last = int(np.searchsorted(offsets[:, 0], start + len(text), side="left")) - 1
    return (first, last) if first <= last else None


def _ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    encoded = encode_text(tokenizer, list(texts), add_special_tokens=False, verbose=False)
    return list(encoded["input_ids"])
