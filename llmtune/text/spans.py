"""Texts as words, and character spans as tags of words and back.

A word, where spans are given, is a run of letters, digits and underscores or one other character: small enough that
spans seldom end inside one. A text for a model that was trained on words of a corpus is cut nearly as corpora cut it.
Letters carry their marks; scripts without spaces, and Korean, whose particles follow a name without a space, are cut
into characters where spans are given and where the training words were characters.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import regex

from llmtune.errors import truncated_repr
from llmtune.text.offsets import find_offset, fitting_unit
from llmtune.text.tag_schemes import entity_spans
from llmtune.text.words import CLUSTER, LETTER, UNSPACED, character, is_character, run

_BY_CHARACTER = rf"{UNSPACED}\p{{Hangul}}"
# `\b` of `regex` takes ² and ½ for signs: "'S²" would be cut into "'S" and "²".
_ABBREVIATION = rf"(?:\p{{L}}\p{{M}}*\.){{2,}}|['’](?:s|re|ve|ll|d|m|t)(?!{LETTER})"
# Between letters these make one word of two; the last two of Hebrew's abbreviations alone.
_INNER = r"(?:[-.,:/@&+_·\u2010\u2011]|(?<=[\p{Hebrew}\p{M}])[\x22'\u05f3\u05f4](?=\p{Hebrew}))"

# By the input that a model was trained on. "tokens": newswire's habits; "U.S.", "1996-08-30" and "all-rounder" are one
# word, "'s" is one of its own, other punctuation is a word each. "characters": likewise, but unspaced scripts by
# character, as Chinese corpora have them.
WORDS = {
    "spans": regex.compile(rf"{character(_BY_CHARACTER)}|{run(_BY_CHARACTER)}|{CLUSTER}"),
    "tokens": regex.compile(rf"{_ABBREVIATION}|{run()}(?:{_INNER}{run()})*|{CLUSTER}", regex.IGNORECASE),
    "characters": regex.compile(
        rf"{_ABBREVIATION}|{character(_BY_CHARACTER)}|{run(_BY_CHARACTER)}(?:{_INNER}{run(_BY_CHARACTER)})*|{CLUSTER}",
        regex.IGNORECASE,
    ),
}
MOST_CHARACTERS = 0.8  # share of words of one character: from here on a corpus is cut by character (MSRA, KLUE: all)
LONGEST_WORD = 20  # characters; a longer run of an unspaced script is a sentence, not a word of a dictionary

Bounds = tuple[int, int]


def word_format(input_format: str, sentences: Iterable[Sequence[str]]) -> str:
    """The key of `WORDS` that cuts a text as these training words were cut.

    >>> word_format("tokens", [["北", "京"]]), word_format("tokens", [["北京"]]), word_format("tokens", [["Ada"]])
    ('characters', 'tokens', 'tokens')
    """
    if input_format != "tokens":
        return input_format
    single = [answer for words in sentences for word in words if (answer := is_character(word)) is not None]
    return "characters" if single and sum(single) >= MOST_CHARACTERS * len(single) else "tokens"


def unsegmented(text: str) -> bool:
    """Whether a text holds a run of an unspaced script too long for a word: it was not cut into words."""
    return bool(not text.isascii() and _LONG_RUN.search(text))


_LONG_RUN = regex.compile(rf"[{UNSPACED}]{{{LONGEST_WORD + 1}}}")


def split_words(text: str, input_format: str) -> list[Bounds]:
    """First character and end of each word; `input_format`: a key of `WORDS`.

    >>> [("It's U.S. law".__getitem__(slice(*word))) for word in split_words("It's U.S. law", "tokens")]
    ['It', "'s", 'U.S.', 'law']
    """
    return [match.span() for match in WORDS[input_format].finditer(text)]


def span_findings(text: str, spans: Any) -> list[str]:
    """What is wrong with the spans of a text, in words; nothing where they can be read."""
    if not isinstance(spans, list):
        return [f"found {truncated_repr(spans)}, expected a list of spans (an empty one where there are none),"]
    findings, taken = [], []
    for span in spans:
        if not isinstance(span, dict) or not {"start", "end", "label"} <= span.keys():
            findings.append(f"span {truncated_repr(span)} has not the keys start, end and label")
            continue
        start, end, label = span["start"], span["end"], span["label"]
        wrong_text = _text_finding(text, span)
        if not isinstance(label, str) or not label.strip():
            findings.append(f"span {truncated_repr(span)} has no label")
        elif wrong_text:
            findings.append(wrong_text)
        elif not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text)):
            unit = fitting_unit(text, end) if isinstance(start, int) and isinstance(end, int) and start < end else ""
            hint = f" (it would in {unit})" if unit and start >= 0 else ""
            findings.append(f"span {start}:{end} {label} does not lie within the text's {len(text):,} characters{hint}")
        elif not text[start:end].strip():
            findings.append(f"span {start}:{end} {label} covers only space")
        else:
            taken.append((start, end, label))
    taken.sort()
    for (start, end, label), (next_start, next_end, next_label) in zip(taken, taken[1:], strict=False):
        if next_start < end:
            findings.append(f"spans {start}:{end} {label} and {next_start}:{next_end} {next_label} overlap")
    return findings


def _text_finding(text: str, span: dict[str, Any]) -> str:
    """What is wrong with the text that a span gives beside its offsets, as exports do; "" where it stands there."""
    own, start, end = span.get("text"), span["start"], span["end"]
    if not isinstance(own, str) or not isinstance(start, int) or not isinstance(end, int) or start < 0:
        return ""
    there = text[start:end]
    if there.strip() == own.strip():
        return ""
    return (
        f"span {start}:{end} {span['label']} has the text {truncated_repr(own)}, but {truncated_repr(there)} stands "
        f"there ({find_offset(text, start, own)})"
    )


def tags_of_spans(
    text: str, words: Sequence[Bounds], spans: Sequence[dict[str, Any]]
) -> tuple[list[str], int, list[str]]:
    """IOB2 tags of the words, how many spans were widened to whole words, and what could not be written as tags.

    Args:
        text: the spans' text.
        words: its words.
        spans: without findings of `span_findings`.
    """
    tags, widened, findings = ["O"] * len(words), 0, []
    word = 0
    for span in sorted(spans, key=lambda span: span["start"]):
        start, end = strip_span(text, span["start"], span["end"])
        while word < len(words) and words[word][1] <= start:
            word += 1
        last = word
        while last < len(words) and words[last][0] < end:
            last += 1
        covered = range(word, last)
        if not covered:
            findings.append(f"span {start}:{end} {span['label']} covers no word")
            continue
        if tags[covered[0]] != "O":
            shared = text[slice(*words[covered[0]])]
            findings.append(
                f"span {start}:{end} {span['label']} begins inside {truncated_repr(shared)}, where another ends"
            )
            continue
        widened += (words[covered[0]][0], words[covered[-1]][1]) != (start, end)
        tags[covered[0]] = f"B-{span['label']}"
        for inside in covered[1:]:
            tags[inside] = f"I-{span['label']}"
    return tags, widened, findings


def spans_of_tags(
    text: str, words: Sequence[Bounds], tags: Sequence[str], probabilities: Sequence[float]
) -> list[dict[str, Any]]:
    """Character spans of the entities of valid IOB2 tags: start, end, label, text and score.

    The score is the least probability of its words' tags: an entity is as sure as its least sure word.
    """
    return [
        {
            "start": words[entity.first][0],
            "end": words[entity.end - 1][1],
            "label": entity.type,
            "text": text[words[entity.first][0] : words[entity.end - 1][1]],
            "score": min(probabilities[entity.first : entity.end]),
        }
        for entity in entity_spans(tags)
    ]


def strip_span(text: str, start: int, end: int) -> Bounds:
    """The span without space at its ends; one of nothing but space is empty, at its end.

    People mark the space along, and a token of a byte-level vocabulary begins with it.

    >>> strip_span("of Rome ", 2, 8), strip_span("a  b", 1, 3)
    ((3, 7), (3, 3))
    """
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return start, start + len(part.strip())
