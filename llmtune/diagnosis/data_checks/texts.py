"""Texts that are missing, garbled or too long."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from llmtune.diagnosis.data_checks.finding import ERROR, OK, WARNING, Finding, Split, is_text, of_rows, percentage
from llmtune.errors import truncated_repr
from llmtune.text.normalize import INVISIBLE
from llmtune.text.text_pairs import SEPARATOR
from llmtune.text.words import split_at_spaces

MANY_CUT = 0.05  # share of texts cut at max_length that is worth a longer one

# UTF-8 read as Windows-1252 or Latin-1 and written again: the first byte of a letter becomes Â, Ã, â …, its others
# become a sign that no word has after them ("cafÃ©", "donâ€™t", "Â£5").
_MOJIBAKE = re.compile(
    "[ÂÃ][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
    "|â(?:€|\u0080)[\u0080-\u00bf\u0152\u0153\u0161\u0178\u017e\u02dc\u2013-\u203a\u20ac\u2122]|ð(?:Ÿ|\u009f)"
)
ODDITIES: dict[str, tuple[re.Pattern[str], str]] = {
    "garbled letters (mojibake)": (
        _MOJIBAKE,
        "it is UTF-8 that was read as Windows-1252; read the source again as UTF-8",
    ),
    "replacement characters (U+FFFD)": (
        re.compile("\ufffd"),
        "letters were lost when the source was decoded; read it again in its own encoding",
    ),
    "Windows-1252 punctuation read as Latin-1 (U+0080 to U+009F)": (
        re.compile("[\x80-\x84\x86-\x9f]"),
        "read the source again as Windows-1252",
    ),
    "control characters": (re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"), "delete them"),
    "invisible characters": (re.compile("[\u200b\u2060\ufeff\u202a-\u202e]"), "delete them: they become tokens"),
    "HTML entities": (
        re.compile(r"&(?:[a-z]{2,6}|#\d{2,5}|#x[0-9a-f]{2,5});", re.IGNORECASE),
        "unescape them (html.unescape), unless the texts in use have them too",
    ),
}


def missing_texts(split: Split) -> list[Finding]:
    """Rows without text, or with something else in its place."""
    findings = []
    for name in ("text", "text_pair", "tokens", "source", "target", "question", "context"):
        cells = split.columns.get(name, [])
        empty = [row for row, cell in enumerate(cells) if _is_empty(cell)]
        other = [row for row, cell in enumerate(cells) if not is_text(cell) and not _is_empty(cell)]
        for rows, what, remedy in (
            (empty, f"no {name}", f"write the {name} or delete the rows"),
            (other, f"{name} that is not a text", "write a text, or a list of words"),
        ):
            if rows:
                places = [f"{split.place(row)}: {truncated_repr(cells[row])}" for row in rows]
                findings.append(Finding("empty", ERROR, f"{what} in {of_rows(len(rows), split)}", places, remedy))
    return findings


def odd_characters(splits: Sequence[Split]) -> list[Finding]:
    """Signs of a wrong encoding; markup."""
    findings = []
    for what, (pattern, remedy) in ODDITIES.items():
        counts, places = [], []
        for split in splits:
            texts = [text if isinstance(text, str) else " ".join(text) for text in split.texts]
            if "text_pair" in split.columns:
                texts = [text.replace(SEPARATOR, " ", 1) for text in texts]
            hits = [(row, found) for row, text in enumerate(texts) if (found := pattern.search(text))]
            counts += [f"{of_rows(len(hits), split)} ({percentage(len(hits), len(split))})"] * bool(hits)
            places += [f"{split.place(row)}: {truncated_repr(_around(texts[row], found))}" for row, found in hits]
        if places:
            findings.append(Finding("characters", WARNING, f"{what} in {', '.join(counts)}", places, remedy))
    return findings or [Finding("characters", OK, "no sign of a wrong encoding")]


def lengths(
    splits: Sequence[Split], max_length: int, count: Callable[[Sequence[str | list[str]]], np.ndarray], unit: str
) -> Finding:
    """Percentiles, and the share that would be cut.

    Args:
        splits: to measure.
        max_length: in tokens, those that a model adds included.
        count: texts → length of each.
        unit: of the lengths, "tokens" or "words"; a text has at least as many tokens as words.
    """
    lines, places, enough = [f"in {unit}; texts are cut at {max_length:,} tokens"], [], 0
    many = False
    for split in splits:
        found = count(split.texts)
        median, most, nearly_all = (int(value) for value in np.percentile(found, [50, 90, 99]))
        cut = np.flatnonzero(found > max_length)
        at_least = "" if unit == "tokens" else "at least "
        lines.append(
            f"{split.name}: median {median:,}, 90 % up to {most:,}, 99 % up to {nearly_all:,}, longest "
            f"{int(found.max()):,}; {at_least}{len(cut):,} rows cut ({percentage(len(cut), len(found))})"
        )
        places += [f"{split.place(row)}: {found[row]:,} {unit}" for row in cut.tolist()]
        many |= len(cut) > MANY_CUT * len(found)
        enough = max(enough, nearly_all)
    remedy = f"--max_length {enough} keeps 99 % whole, if the model takes that" if many else ""
    return Finding("length", WARNING if many else OK, "\n".join(lines), places if many else (), remedy)


def count_words(texts: Sequence[str | list[str]]) -> np.ndarray:
    """Words between spaces; of scripts without spaces, characters."""
    return np.array([len(split_at_spaces(text) if isinstance(text, str) else text) for text in texts], dtype=np.int64)


def _is_empty(cell: object) -> bool:
    return cell is None or cell == [] or (isinstance(cell, str) and not cell.strip().strip(INVISIBLE))


def _around(text: str, found: re.Match[str]) -> str:
    """The piece of text with 15 characters on either side."""
    return text[max(0, found.start() - 15) : found.end() + 15]
