"""Rows of language modeling: documents, prompts with completions, or chats; each must be text.

A txt file is cut into documents: at blank lines, or at lines that --document_start matches. Its line breaks stay.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets

from llmtune.arguments import DataArguments
from llmtune.data import Fingerprint, Splits, load_split, load_splits
from llmtune.data.files import ending
from llmtune.data.rows import RowErrors, Rows
from llmtune.errors import InputError, truncated_repr
from llmtune.tasks.causal_lm.sequences import FORMATS, PROMPT_COMPLETION, TEXT

ROLES = ("system", "user", "assistant", "tool")
TRANSCRIPT = "transcript"  # a chat as one text, by which equal chats are found


class RowReader:
    """Reads the rows of one format.

    Args:
        input_format: one of `FORMATS`.
        columns: canonical name → the user's, of every format.
        document_start: of txt files; None or empty for blank lines.

    Raises:
        InputError: no such format, or a regular expression that is none.
    """

    def __init__(self, input_format: str, columns: Mapping[str, str], document_start: str | None = None) -> None:
        if input_format not in FORMATS:
            raise InputError(f"--input_format {input_format!r}: expected one of {', '.join(FORMATS)}")
        self.format, self.user = input_format, dict(columns)
        try:
            self.start = re.compile(document_start) if document_start else None
        except re.error as error:
            raise InputError(f"--document_start {document_start!r}: no regular expression: {error}") from error

    def options(self, *, labeled: bool = True) -> dict[str, Any]:
        """What `load_splits` and `load_split` are told."""
        if self.format == TEXT:
            return self._options({"text": self.user["text"]}, "text", regroup=self._documents)
        if self.format == PROMPT_COMPLETION:
            names = ("prompt", "completion") if labeled else ("prompt",)
            return self._options({name: self.user[name] for name in names}, "prompt", convert=self._check_texts)
        columns = {"messages": self.user["messages"], TRANSCRIPT: TRANSCRIPT}
        return self._options(columns, TRANSCRIPT, regroup=lambda rows: self._chats(rows, labeled=labeled))

    @staticmethod
    def _options(columns: Mapping[str, str], text: str, **hooks: Any) -> dict[str, Any]:
        return {"columns": dict(columns), "label_column": None, "text_columns": [text], **hooks}

    def splits(self, data: DataArguments, *, seed: int) -> Splits:
        """Train, validation and test.

        Raises:
            InputError: anything in the data that would make a result wrong, by file, row and column.
        """
        return load_splits(data, seed=seed, **self.options())

    def split(self, data: DataArguments, *, labeled: bool) -> tuple[datasets.Dataset, Fingerprint]:
        """The given test split; without completions and last answers where `labeled` is false."""
        return load_split(data, "test", **self.options(labeled=labeled))

    def _documents(self, rows: Rows) -> Rows:
        """Lines of a txt file joined to documents; rows of other files stay."""
        if ending(Path(rows.source)) != ".txt":
            return rows
        documents: list[list[str]] = []
        begins: list[int] = []
        is_between = True
        for number, line in enumerate(rows.cells("text"), start=1):
            is_blank = not line.strip()
            if (self.start.search(line) is not None) if self.start else (is_between and not is_blank):
                documents.append([])
                begins.append(number)
            is_between = is_blank
            if documents and not (is_blank and self.start is None):
                documents[-1].append(line)
            elif not documents and not is_blank:  # what stands before the first start
                documents.append([line])
                begins.append(number)
        texts = ["\n".join(lines).rstrip() for lines in documents]
        return Rows(rows.source, {"text": texts}, unit="document", lines=begins)

    def _check_texts(self, rows: Rows, cells: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Prompts and completions must be texts."""
        problems = RowErrors(rows.source)
        for name in ("prompt", "completion"):
            for row, cell in enumerate(cells.get(name, ())):
                if not isinstance(cell, str) or not cell.strip():
                    finding = f"found {truncated_repr(cell)} in column {self.user[name]!r}, expected a text"
                    remedy = "write it, or delete the row; chats are read with --input_format messages"
                    problems.add(row, rows.place(row), finding, remedy=remedy)
        problems.stop()
        return dict(cells)

    def _chats(self, rows: Rows, *, labeled: bool) -> Rows:
        """Chats, checked, and each as one text beside."""
        column = self.user["messages"]
        if not rows.has(column):
            return rows  # the message that lists the columns follows
        cells = rows.cells(column)
        problems = RowErrors(rows.source)
        for row, chat in enumerate(cells):
            if (finding := _chat_finding(chat, labeled=labeled)) is not None:
                remedy = 'write a list of {"role": …, "content": …}, or delete the row'
                problems.add(row, rows.place(row), f"{finding} in column {column!r}", remedy=remedy)
        problems.stop()
        texts = ["\n".join(f"{turn['role']}: {turn['content']}" for turn in chat) for chat in cells]
        return Rows(rows.source, {**rows.columns, TRANSCRIPT: texts}, rows.unit, rows.lines, rows.class_names)


def _chat_finding(chat: Any, *, labeled: bool) -> str | None:
    """What is wrong with a chat, in words."""
    if not isinstance(chat, list) or not chat or not all(isinstance(turn, dict) for turn in chat):
        return f"found {truncated_repr(chat)}, expected a list of messages,"
    for place, turn in enumerate(chat):
        if turn.get("role") not in ROLES:
            return f"message {place} has the role {turn.get('role')!r}, expected one of {', '.join(ROLES)},"
        if not isinstance(turn.get("content"), str):
            return f"message {place} has the content {truncated_repr(turn.get('content'))}, expected a text,"
    if labeled and not any(turn["role"] == "assistant" for turn in chat):
        return "no turn of the assistant, so nothing to learn,"
    if not labeled and chat[-1]["role"] == "assistant":
        return "the last message is the assistant's, so nothing to answer,"
    return None
