"""Texts made alike: case, space, punctuation and invisible characters folded."""

import unicodedata
from typing import Any

# Characters that show nothing and that str.strip leaves: zero-width space and joiners, word joiner, byte order mark.
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"


def normalize(text: Any) -> str:
    """The text up to Unicode form (NFKC), case, punctuation and space; equal results are duplicates.

    Symbols stay: in "I got it 😀" they are content. A text of nothing but punctuation stays as it is.

    >>> normalize("Call  NOW!!"), normalize("call now"), normalize("?!")
    ('call now', 'call now', '?!')
    """
    if not isinstance(text, str):
        return " ".join(normalize(item) for item in text)
    folded = unicodedata.normalize("NFKC", text.casefold())
    return " ".join(folded.translate(_PUNCTUATION).split()) or " ".join(folded.split())


class _Punctuation(dict[int, str]):
    """str.translate table, filled as characters are met: punctuation, also ASCII's of class S, becomes space."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        folds = unicodedata.category(character).startswith("P") or character in "$+<=>^`|~"
        self[code] = " " if folds else character
        return self[code]


_PUNCTUATION = _Punctuation()
