"""Tags of words as integer codes, and the entity spans they spell: strict (by a scheme) or lenient (conlleval).

Strict and lenient equal seqeval's two modes. Strict takes a span only if it is well formed in the scheme; lenient, the
default of seqeval and conlleval, also takes `I-PER` after `O` as a start. Letters: n sentences, w words in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from llmtune.errors import InputError
from llmtune.text import tag_schemes as schemes

PREFIXES = "OBIES"


@dataclass(frozen=True)
class Tags:
    """The tags of a corpus.

    Args:
        names: the tags that occur.
        codes: (w,), the position in `names` of each word's tag, sentence after sentence.
        lengths: (n,), words of each sentence.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def sentences(self) -> np.ndarray:
        """Each word's sentence, (w,)."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def to_lists(self) -> list[list[str]]:
        """A list of tags for each sentence."""
        names = np.array(self.names, dtype=object)[self.codes] if len(self.codes) else np.zeros(0, dtype=object)
        return [list(part) for part in np.split(names, np.cumsum(self.lengths)[:-1])] if len(self.lengths) else []


def tags_of_lists(sentences: Sequence[Sequence[str]]) -> Tags:
    """Codes from lists of tags."""
    flat = list(chain.from_iterable(sentences))
    names = tuple(dict.fromkeys(flat))
    position = {name: code for code, name in enumerate(names)}
    codes = np.fromiter(map(position.__getitem__, flat), dtype=np.int64, count=len(flat))
    return Tags(names, codes, np.fromiter(map(len, sentences), dtype=np.int64, count=len(sentences)))


def parse_name(tag: str) -> tuple[str, str]:
    """Prefix, with the letters of BIOES, and entity type; a bare `B` has the type "_", as in seqeval.

    Raises:
        InputError: it is no tag of any scheme.
    """
    parsed = schemes.parse_tag(tag if tag == "O" or len(tag) != 1 else f"{tag}-_")
    if parsed is None:
        raise InputError(
            f"tag {tag!r} is not O, B-TYPE or I-TYPE (nor E-, S- of BIOES); write tags as IOB2, one for each word, and "
            "leave pieces of words (-100) out"
        )
    return schemes.BIOES_LETTERS.get(parsed[0], parsed[0]), parsed[1]


def types_of(names: Sequence[str]) -> tuple[str, ...]:
    """The entity types of these tags, sorted."""
    return tuple(sorted({parse_name(name)[1] for name in names} - {""}))


def corpus_scheme(tags: Tags) -> str:
    """The scheme that most sentences of the reference follow."""
    types_of(tags.names)  # of a tag that is none the message should say so
    return schemes.detect_scheme(dict(enumerate(tags.to_lists())))[0]


def _decoded(tags: Tags, types: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Prefix (position in `PREFIXES`) and type (position in `types`, -1 for O) of each word, both (w,)."""
    parsed = [parse_name(name) for name in tags.names]
    prefix = np.array([PREFIXES.index(prefix) for prefix, _ in parsed], dtype=np.int64)
    kind = np.array([types.index(kind) if kind else -1 for _, kind in parsed], dtype=np.int64)
    return prefix[tags.codes], kind[tags.codes]


def _previous(tags: Tags, prefix: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prefix and type of the word before; O before the first word of a sentence."""
    before, before_kind = np.roll(prefix, 1), np.roll(kind, 1)
    first = (np.cumsum(tags.lengths) - tags.lengths)[tags.lengths > 0]
    before[first], before_kind[first] = 0, -1
    return before, before_kind


def spans(tags: Tags, types: Sequence[str], scheme: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First word, last word (positions in the corpus) and type of each entity, three arrays of equal length.

    Args:
        tags: the corpus.
        types: every type that occurs, in the order of the numbers returned.
        scheme: "lenient", or one of `tag_schemes.LETTERS`.
    """
    if scheme in schemes.MIRRORED:
        first, last, kinds = spans(_mirrored(tags), types, schemes.MIRRORED[scheme])
        words = len(tags.codes)
        return words - 1 - last[::-1], words - 1 - first[::-1], kinds[::-1]
    scheme = "BIOES" if scheme in schemes.LAST else scheme
    prefix, kind = _decoded(tags, types)
    before, before_kind = _previous(tags, prefix, kind)
    begins = {"lenient": _lenient_begins, "IOB2": _iob2_begins, "IOB1": _iob1_begins, "BIOES": _bioes_begins}[scheme]
    start, inside = begins(prefix, before, (before_kind == kind) & (before != 0))
    # An entity runs from a start over the words inside it to the word before the next that is not.
    outside = np.append(~inside, True)
    ends = np.flatnonzero(outside)
    first = np.flatnonzero(start)
    last = ends[np.searchsorted(ends, first + 1)] - 1
    whole = np.ones(len(first), dtype=bool)
    if scheme == "BIOES":
        closing, single = prefix[last] == PREFIXES.index("E"), prefix[first] == PREFIXES.index("S")
        whole = np.where(single, first == last, closing & (last > first))
    elif scheme == "IOB1" and len(prefix):
        # seqeval's IOB1 drops an entity that ends in B right before a B of another type.
        following = np.minimum(last + 1, len(prefix) - 1)
        same_sentence = (last + 1 < len(prefix)) & (tags.sentences[following] == tags.sentences[last])
        other_b = (prefix[following] == PREFIXES.index("B")) & (kind[following] != kind[last]) & same_sentence
        whole = ~((prefix[last] == PREFIXES.index("B")) & other_b)
    return first[whole], last[whole], kind[first][whole]


def _mirrored(tags: Tags) -> Tags:
    """The corpus from its end to its beginning: what ends an entity begins one."""
    names = tuple({"E": "B", "B": "E"}.get(name[0], name[0]) + name[1:] for name in tags.names)
    return Tags(names, tags.codes[::-1], tags.lengths[::-1])


Begins = tuple[np.ndarray, np.ndarray]  # whether each word starts an entity; whether it goes on with the one before


def _lenient_begins(prefix: np.ndarray, before: np.ndarray, same: np.ndarray) -> Begins:
    o, b, _, e, s = range(5)
    closed = np.isin(before, [o, e, s])
    start = (prefix != o) & ((prefix == b) | (prefix == s) | closed | ~same)
    return start, (prefix != o) & ~start


def _iob2_begins(prefix: np.ndarray, before: np.ndarray, same: np.ndarray) -> Begins:
    start = prefix == PREFIXES.index("B")
    # An I after I of its type is inside only if that one is: the run must reach back to a B. `ends` cut elsewhere, so a
    # run without B is no entity for want of a start.
    return start, (prefix == PREFIXES.index("I")) & same


def _iob1_begins(prefix: np.ndarray, before: np.ndarray, same: np.ndarray) -> Begins:
    b, i = PREFIXES.index("B"), PREFIXES.index("I")
    b_start = (prefix == b) & same
    lone_b = np.append(False, (prefix == b) & ~same)[:-1]  # the word before is a B that starts nothing
    i_start = (prefix == i) & (~same | ((before == b) & lone_b))
    return b_start | i_start, (prefix == i) & ~i_start


def _bioes_begins(prefix: np.ndarray, before: np.ndarray, same: np.ndarray) -> Begins:
    b, i, e, s = (PREFIXES.index(letter) for letter in "BIES")
    inside = np.isin(prefix, [i, e]) & np.isin(before, [b, i]) & same
    return (prefix == b) | (prefix == s), inside
