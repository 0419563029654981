"""What a check of the rows found, and the rows that it reads."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from llmtune.data.rows import Rows
from llmtune.text.text_pairs import join_pairs

ERROR, WARNING, OK = "error", "warning", "ok"
# Error: training refuses it, or the score would not be what it says. Warning: may be intended.


@dataclass(frozen=True)
class Finding:
    """A line of the table.

    Args:
        check: what was looked at.
        severity: one of the three above.
        sentence: what was found, in which split, with counts.
        places: the rows, as `line 12 ~ train line 7: …`; all of them.
        remedy: what to do; empty where nothing is to be done.
    """

    check: str
    severity: str
    sentence: str
    places: Sequence[str] = field(default_factory=tuple)
    remedy: str = ""


@dataclass(frozen=True)
class Split:
    """The rows of one file as they are, good and bad.

    Args:
        name: train, validation or test.
        rows: as read.
        columns: canonical name (text, label, tokens, question …) → cells; a column that the file lacks is absent.
    """

    name: str
    rows: Rows
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def texts(self) -> list[Any]:
        """What duplicates and lengths are judged by: text, words, source, or two of them together; "" where none is."""
        if {"question", "context"} <= self.columns.keys():
            pairs = zip(self.columns["question"], self.columns["context"], strict=True)
            return [" ".join(cell for cell in pair if isinstance(cell, str)) for pair in pairs]
        if {"text", "text_pair"} <= self.columns.keys():
            columns = (self.columns[name] for name in ("text", "text_pair"))
            return join_pairs(*([cell if isinstance(cell, str) else "" for cell in column] for column in columns))
        cells = next((self.columns[name] for name in ("text", "tokens", "source") if name in self.columns), [])
        return [cell if is_text(cell) else "" for cell in cells]

    def place(self, row: int) -> str:
        """`train line 12`."""
        return f"{self.name} {self.rows.place(row)}"


def is_text(cell: Any) -> bool:
    """Whether the cell is a text or a list of words."""
    return isinstance(cell, str) or (isinstance(cell, list) and all(isinstance(item, str) for item in cell))


def of_rows(count: int, split: Split) -> str:
    """`3 of 513 test rows`."""
    return f"{count:,} of {len(split):,} {split.name} rows"


def percentage(count: int, total: int) -> str:
    """`1.2 %`."""
    return f"{count / max(1, total):.1%}".replace("%", " %")


def worse_of(severity: str, other: str) -> str:
    """The worse of two severities."""
    return min(severity, other, key=(ERROR, WARNING, OK).index)
