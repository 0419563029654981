"""Rows with one tag a word: the scheme that they follow, and where they break it."""

from collections.abc import Sequence

from llmtune.data.rows import RowErrors, Rows
from llmtune.text.tag_schemes import describe_scheme, detect_scheme


def detect_tag_scheme(rows: Rows, sentences: Sequence[Sequence[str]], tags_column: str) -> str:
    """The scheme that every row obeys; IOB2 where there is no entity.

    Args:
        rows: where the sentences come from, for messages.
        sentences: tags that `parse_tag` reads.
        tags_column: the user's name of the column, for messages.

    Raises:
        InputError: the rows obey no one scheme: the first that break the nearest one are named.
    """
    scheme, broken = detect_scheme(dict(enumerate(sentences)))
    problems = RowErrors(rows.source)
    remedy = "write one scheme throughout, best IOB2 (B-X on the first word of an entity, I-X on others)"
    remedy += f"; {describe_scheme(scheme)}"
    for row, word in broken.items():
        tags = sentences[row]
        before = f" after {tags[word - 1]}" if word else " at the beginning"
        finding = (
            f"{tags[word]}{before} (word {word + 1}) in column {tags_column!r} is not {scheme}, nearest to the whole"
        )
        problems.add(row, rows.place(row), finding, remedy=remedy)
    problems.stop()
    return scheme
