"""Draws those rows of demo data again that copy a row of another split: equal texts, or a word or two changed."""

from collections.abc import Callable
from typing import Any, TypeVar

from llmtune.text.near_duplicates import NearDuplicates

Row = TypeVar("Row")


def replace_copies(splits: dict[str, list[Row]], *texts: Callable[[Row], Any], draw: Callable[[str, int], Row]) -> None:
    """Replaces rows of the later split, in place, until none copies a row of an earlier split.

    Args:
        splits: split → rows, the one that a model learns from first.
        texts: each gives the text of a row, or its words: a row must be no copy by any of them.
        draw: (split, number of the row) → what to put in its place.
    """
    earlier: list[tuple[Callable[[Row], Any], NearDuplicates]] = []
    for split, rows in splits.items():
        unchecked = list(range(len(rows)))
        while unchecked:
            copies: set[int] = set()
            for text, index in earlier:
                equal, near = index.find([text(rows[row]) for row in unchecked])
                copies |= {unchecked[place] for place in [*equal, *(copy.row for copy in near)]}
            unchecked = sorted(copies)
            for row in unchecked:
                rows[row] = draw(split, row)
        earlier += [(text, NearDuplicates(map(text, rows))) for text in texts]
