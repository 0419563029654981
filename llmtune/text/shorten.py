"""Texts, counts and lists of names as a person reads them in a line."""

from collections.abc import Sequence
from typing import Any


def truncated(text: str, length: int) -> str:
    """The text, or its first characters and an ellipsis: `length` characters at most.

    >>> truncated("overlong", 5), truncated("short", 5)
    ('over…', 'short')
    """
    return text if len(text) <= length else text[: length - 1] + "…"


def truncated_line(text: str, length: int) -> str:
    """The same on one line, each run of space as one.

    >>> truncated_line("two  words" + chr(10) + "more", 10)
    'two words…'
    """
    return truncated(" ".join(text.split()), length)


def cell_text(value: Any) -> str:
    """A cell of a table as a person reads it: six digits of a number, the items of a list side by side.

    >>> cell_text(["a dog", "the dog"]), cell_text([1 / 3, 2.0]), cell_text(-3.223094574685304)
    ('a dog | the dog', '0.333333 | 2', '-3.22309')
    """
    if isinstance(value, list | tuple):
        return " | ".join(map(cell_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def row_count(count: int) -> str:
    """How many rows, in words.

    >>> row_count(1), row_count(1204)
    ('1 row', '1,204 rows')
    """
    return counted(count, "row")


def counted(count: int, noun: str) -> str:
    """So many of a thing.

    >>> counted(1, "entity"), counted(1204, "entity"), counted(0, "row")
    ('1 entity', '1,204 entities', '0 rows')
    """
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"


def join_names(names: Sequence[str], most: int = 4, what: str = "") -> str:
    """The first `most` of the names and how many are left out; `what` says what they are.

    >>> join_names(["a", "b", "c"], 2), join_names(["a", "b", "c"], 1, "classes"), join_names(["a", "b"])
    ('a, b and 1 more', 'a and 2 more classes', 'a, b')
    """
    left_out = len(names) - most
    more = f" and {left_out} more{f' {what}' if what else ''}" if left_out > 0 else ""
    return ", ".join(names[:most]) + more
