"""Rows with a question, a context and answers, each answer found where its row says it stands.

Read before anything is held out, so that a message names the row of the file. Questions on one context stay together.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets

from llmtune.arguments import DataArguments
from llmtune.arguments.data import SPLITS
from llmtune.data import Fingerprint, Splits, load_split, load_splits
from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import InputError, truncated_repr
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.text.json_objects import RepeatedKeyError, parse_json
from llmtune.text.offsets import find_offset

TEXTS = ("question", "context")
# What a source may hold beside the columns of the task, and its name in the predictions, where `id` is the row number.
CARRIED = {"title": "title", "id": "question_id"}
OWN_COLUMNS = ("score", "start", "end", "question_id")
IMPOSSIBLE = "is_impossible"  # SQuAD 2.0 says twice that a question has no answer
LAYOUT = (
    'write {"text": ["…"], "answer_start": [0]} as in SQuAD (in csv this JSON text), characters of the context counted '
    "from 0; no answer is two empty lists"
)


@dataclass(frozen=True)
class AnsweredSplits:
    """Train, validation and test with `question`, `context` and `answers` ({text, answer_start}, lists)."""

    splits: Splits

    def __getitem__(self, split: str) -> datasets.Dataset:
        return self.splits[split]

    def train_texts(self) -> list[str]:
        """Contexts, each once, and questions of train, to train a tokenizer on."""
        return [*dict.fromkeys(self.splits.train["context"]), *self.splits.train["question"]]

    def unanswerable(self) -> dict[str, int]:
        """By split, the questions without an answer."""
        return {split: sum(not answers["text"] for answers in self.splits[split]["answers"]) for split in SPLITS}

    def describe(self) -> dict[str, dict[str, Any]]:
        """As `Splits.describe`, with contexts and questions without an answer in the place of classes. JSON values."""
        described, unanswerable = self.splits.describe(), self.unanswerable()
        for split, said in described.items():
            del said["classes"]
            said["contexts"] = len(set(self.splits[split]["context"]))
            said["unanswerable"] = unanswerable[split]
        return described


def load_answered_splits(
    data: DataArguments, task: QuestionAnsweringArguments, *, seed: int, located: bool = True
) -> AnsweredSplits:
    """Reads the splits; what is missing is held out of train by whole contexts.

    Args:
        data: where the rows are.
        task: their columns.
        seed: of the hold-out.
        located: whether answers must stand at their answer_start, as extraction needs; writing does not.

    Raises:
        InputError: anything wrong in the rows, or no answer in a split.
    """
    reader = AnswerReader(task, located=located)
    splits = load_splits(
        data,
        columns=reader.columns,
        label_column=None,
        text_columns=TEXTS,
        seed=seed,
        convert=reader.convert,
        together=("context",),
    )
    for split in SPLITS:
        if not any(answers["text"] for answers in splits[split]["answers"]):
            raise InputError(
                f"{splits.fingerprints[split].source}: {split} has no answer in {len(splits[split]):,} rows, and who "
                f"answers nothing would be right on each; check column {task.answers_column!r}, name another with "
                f"--answers_column, or add answerable questions to {split}"
            )
    return AnsweredSplits(splits)


def load_answered_split(
    data: DataArguments, split: str, task: QuestionAnsweringArguments, *, labeled: bool, located: bool = True
) -> tuple[datasets.Dataset, Fingerprint]:
    """One given split; `answers` only where it is `labeled`.

    Raises:
        InputError: `data` has no such split, or something is wrong in it.
    """
    reader = AnswerReader(task, located=located)
    columns = dict(reader.columns)
    if not labeled:
        del columns["answers"]
    return load_split(data, split, columns=columns, label_column=None, text_columns=TEXTS, convert=reader.convert)


def majority_answer(answers: Mapping[str, Sequence[Any]]) -> tuple[str, int] | None:
    """The text and start that most annotators gave, the first of equals; None without an answer."""
    given = Counter(zip(answers["text"], answers["answer_start"], strict=True))
    return given.most_common(1)[0][0] if given else None


class AnswerReader:
    """Brings the answers of each source to one layout.

    Args:
        task: names the columns.
        located: whether answers must stand at their answer_start.
    """

    def __init__(self, task: QuestionAnsweringArguments, *, located: bool) -> None:
        self.columns = {
            "question": task.question_column, "context": task.context_column, "answers": task.answers_column
        }  # fmt: skip
        self.located = located

    def convert(self, rows: Rows, cells: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """The cells with `answers` as {text, answer_start}, and the source's title and id where it has them.

        Raises:
            InputError: answers of another layout, or that don't stand where they should.
        """
        taken = next((name for name in OWN_COLUMNS if name in cells), None)
        if taken:
            raise InputError(
                f"{rows.source}: the predictions table has a column {taken!r} of its own; rename the column to carry it"
            )
        self._check_texts(rows, cells)
        converted = dict(cells)
        for name, own in CARRIED.items():
            if name in rows.columns and own not in cells:
                converted[own] = rows.cells(name)
        if "answers" in cells:
            converted["answers"] = self._answers(rows, cells)
        return converted

    def _check_texts(self, rows: Rows, cells: Mapping[str, list[Any]]) -> None:
        problems = RowErrors(rows.source)
        for name in TEXTS:
            for row, cell in enumerate(cells[name]):
                if not isinstance(cell, str):
                    finding = f"found {truncated_repr(cell)}, expected one text, in column {self.columns[name]!r}"
                    problems.add(row, rows.place(row), finding, remedy="write one text, not a list")
        problems.stop()

    def _answers(self, rows: Rows, cells: Mapping[str, list[Any]]) -> list[dict[str, list[Any]]]:
        problems = RowErrors(rows.source)
        column = self.columns["answers"]
        found, faults = find_answer_faults(rows, cells["context"], cells["answers"], column, located=self.located)
        for row, (finding, remedy) in faults.items():
            problems.add(row, rows.place(row), finding, remedy=remedy)
        problems.stop()
        return found


def find_answer_faults(
    rows: Rows, contexts: Sequence[Any], cells: Sequence[Any], column: str, *, located: bool = True
) -> tuple[list[dict[str, list[Any]]], dict[int, tuple[str, str]]]:
    """The answers as {text, answer_start}, and by row what is wrong with them and what to do about it.

    Args:
        rows: of the source, for its `is_impossible`.
        contexts: a text a row; where it is none the answers' places are not looked at.
        cells: the answers as they are.
        column: the user's name of theirs.
        located: whether answers must stand at their answer_start.
    """
    given = rows.cells(IMPOSSIBLE) if IMPOSSIBLE in rows.columns else [None] * len(cells)
    impossible = [{"true": True, "false": False}.get(str(cell).lower()) for cell in given]  # a text in csv
    found, faults = [], {}
    for row, (context, cell) in enumerate(zip(contexts, cells, strict=True)):
        answers, finding = read_answers(cell)
        if not finding and located and isinstance(context, str):
            finding = answer_offset_error(context, answers)
        if finding:
            faults[row] = f"{finding} in column {column!r}", LAYOUT
        elif impossible[row] is not None and impossible[row] == bool(answers["text"]):
            count = len(answers["text"])
            finding = f"{IMPOSSIBLE} is {str(impossible[row]).lower()}, but column {column!r} has {count or 'no'} "
            finding += "answer" if count == 1 else "answers"
            faults[row] = finding, f"correct the answers or {IMPOSSIBLE}"
        found.append(answers)
    return found, faults


def read_answers(cell: Any) -> tuple[dict[str, list[Any]], str]:
    """A cell as {text, answer_start}, and what is wrong with it ("" where nothing is).

    Taken are the layouts of the Hub ({text: […], answer_start: […]}) and of SQuAD's json ([{text, answer_start}, …]),
    as values or, in csv, as JSON text; null and empty mean no answer. A missing answer_start is -1.
    """
    none: dict[str, list[Any]] = {"text": [], "answer_start": []}
    given = cell
    if isinstance(cell, str):
        try:
            given = parse_json(cell) if cell.strip() else None
        except RepeatedKeyError as error:
            return none, f"found {truncated_repr(cell)}, where {error},"
        except ValueError:
            return none, f"found {truncated_repr(cell)}, expected answers"
    if given is None:
        return none, ""
    if isinstance(given, list) and all(isinstance(one, dict) for one in given):
        given = {name: [one.get(name, -1) for one in given] for name in none}
    if not isinstance(given, dict) or "text" not in given:
        return none, f"found {truncated_repr(cell)}, expected answers"
    texts, starts = (
        value if isinstance(value, list) else [value] for value in (given["text"], given.get("answer_start"))
    )
    starts = [-1] * len(texts) if starts == [None] else starts
    if not all(isinstance(text, str) and text.strip() for text in texts):
        wrong = next(text for text in texts if not isinstance(text, str) or not text.strip())
        return none, f"an answer without text ({truncated_repr(wrong)})"
    if len(texts) != len(starts):
        return none, f"{len(texts)} texts and {len(starts)} values of answer_start"
    if not all(isinstance(start, int) for start in starts):
        return none, f"found {truncated_repr(starts)} as answer_start, expected whole numbers"
    return {"text": texts, "answer_start": starts}, ""


def answer_offset_error(context: str, answers: Mapping[str, Sequence[Any]]) -> str:
    """What is wrong with where the answers stand; "" where each is found at its answer_start."""
    for text, start in zip(answers["text"], answers["answer_start"], strict=True):
        there = context[start : start + len(text)] if start >= 0 else ""
        if there == text:
            continue
        hint = find_offset(context, start, text)
        if start < 0:
            return f"the answer {truncated_repr(text)} has no answer_start ({hint})"
        return (
            f"the answer {truncated_repr(text)} does not stand at answer_start {start} "
            f"(there: {truncated_repr(there)}; {hint})"
        )
    return ""


def read_questions(
    data: DataArguments, columns: Mapping[str, str], *, labeled: bool, located: bool
) -> tuple[datasets.Dataset, Fingerprint]:
    """The test split; `columns`: canonical name → the user's name."""
    options = QuestionAnsweringArguments(
        question_column=columns["question"], context_column=columns["context"], answers_column=columns["answers"]
    )
    return load_answered_split(data, "test", options, labeled=labeled, located=located)
