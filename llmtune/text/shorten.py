"""Texts and lists of names, cut to what a person reads in a line."""

from collections.abc import Sequence


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


def join_names(names: Sequence[str], most: int = 4, what: str = "") -> str:
    """The first `most` of the names and how many are left out; `what` says what they are.

    >>> join_names(["a", "b", "c"], 2), join_names(["a", "b", "c"], 1, "classes"), join_names(["a", "b"])
    ('a, b and 1 more', 'a and 2 more classes', 'a, b')
    """
    left_out = len(names) - most
    more = f" and {left_out} more{f' {what}' if what else ''}" if left_out > 0 else ""
    return ", ".join(names[:most]) + more
