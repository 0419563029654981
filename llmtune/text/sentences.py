"""Where sentences end."""

import re

# Of Latin, Devanagari and Bengali, Urdu, Arabic, Burmese, Khmer, Armenian, Ethiopic, Tibetan.
_MARKS = ".!?…।॥۔؟။។։።།"
# A sentence ends at . ! ? with closing quotes before a space, at their ideographic kin, and at a line's end.
SENTENCE_END = re.compile(
    rf"(?:(?<=[{_MARKS}])|(?<=[{_MARKS}][\"'”’»)\]]))[ \t]+"
    r"|(?<=[。！？｡])(?![”」』）])|(?<=[。！？｡][”」』）])"
    r"|\s*\n\s*"
)


# A dot behind these ends no sentence: initials, titles and the abbreviations of papers.
NO_END = re.compile(r"(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|cf|Fig|Eq|e\.g|i\.e|al)\.$")


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, without space around them.

    >>> sentences_of('Dr. Who came. "Really?" he asked. 是的。不')
    ['Dr. Who came.', '"Really?"', 'he asked.', '是的。', '不']
    """
    sentences: list[str] = []
    for piece in filter(None, map(str.strip, SENTENCE_END.split(text))):
        if sentences and NO_END.search(sentences[-1]):
            sentences[-1] += f" {piece}"
        else:
            sentences.append(piece)
    return sentences
