"""Texts that were copied and edited by a word or two: an inverted index of word pairs, then an alignment of words.

A changed word touches two word pairs at most, so a copy with k changed words misses 2k pairs of its original at most
(q-gram lemma, Ukkonen 1992). The rarest pairs of a text are looked up; what shares enough of them is aligned. A pair of
texts counts only when the words they share would not agree by chance: their surprisal under a model of word pairs
(each text left out of its own model) must exceed log2 of the number of text pairs times the ways to choose the changed
words. So a template or a disclaimer, which train holds many times, tells nothing, however long it is.

Letters: n different texts of the corpus, w words of a text, k changed words.
"""

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from llmtune.text.normalize import normalize
from llmtune.text.words import split_at_spaces

MOST_WORD_BITS = 10  # a word that train has once is not more surprising than one in a thousand
SEEN_OFTEN = 10  # weight of the word's own frequency: a phrase in more rows than this is on its way to boilerplate
MOST_CANDIDATES = 10  # rows of the corpus aligned with one query; reached only by templates
PROBES = 33  # of the 2k + 1 pairs: 16 changed words are always found, more of them nearly always
POSTINGS = 300  # rows of the corpus looked at for the rarest pairs of a query, however many pairs these are
MOST_POSTINGS = 3_000  # likewise for the 2k + 1 pairs that must be looked up; reached only by templates
CHUNK = 2**17  # words of queries looked up at once: memory stays flat

Changes = list[tuple[int, int, int, int]]  # (begin, end) in one sequence and (begin, end) in the other


@dataclass(frozen=True)
class NearDuplicate:
    """A row and the row of the corpus that it is most like.

    Args:
        row: of the queries, from 0.
        original: row of the corpus, from 0.
        changed: words replaced, added or left out.
        words: of the longer of the two.
        bits: surprisal of the words they share.
        edits: (words of the original, words of the row) at each place that differs.
    """

    row: int
    original: int
    changed: int
    words: int
    bits: float
    edits: tuple[tuple[str, str], ...]


def most_changed(words: int) -> int:
    """Words that may differ in a near duplicate of this length: one in four, then one more in each further five.

    >>> [most_changed(words) for words in (3, 4, 5, 10, 100)]
    [0, 1, 2, 3, 21]
    """
    return 1 + words // 5 if words >= 4 else 0


class NearDuplicates:
    """An index of the texts of a corpus, by which copies of them are found, equal or edited.

    Args:
        texts: a text, or its words, a row.
    """

    def __init__(self, texts: Iterable[Any]) -> None:
        # 0 is the border of every text; a word of a query that the corpus lacks gets a number too.
        self._numbers: defaultdict[str, int] = defaultdict()
        self._numbers.default_factory = lambda: len(self._numbers) + 1
        # Equal rows are one text here: a row that stands in train ten times is no boilerplate.
        self._texts = self._encode(texts)
        self._n = len(self._texts)
        pairs, rows = _rows_of_keys(self._texts.pairs(), self._texts.row_of_place())
        self._rows = rows
        first = np.flatnonzero(np.diff(pairs, prepend=pairs[:1] + 1))  # they are sorted; np.unique would sort again
        self._pairs, self._starts = pairs[first], np.append(first, len(pairs))
        words, _ = _rows_of_keys(self._texts.flat[1:].astype(np.uint32), self._texts.row_of_place())
        self._texts_with_word = np.bincount(words, minlength=1)
        self._bits: dict[int, np.ndarray] = {}

    @property
    def repeats(self) -> dict[int, list[int]]:
        """First row of the corpus with a text → the later rows with the same one; rows without text are left out."""
        return self._texts.repeats

    def find(self, texts: Iterable[Any]) -> tuple[dict[int, int], list[NearDuplicate]]:
        """Of each text the row of the corpus that it copies.

        Returns:
            texts equal up to case, punctuation and space: row → first such row of the corpus; and the edited ones.
        """
        queries = self._encode(texts, first_rows=dict(zip(self._texts.hashes, self._texts.rows.tolist(), strict=True)))
        near = self._best(queries, self._candidates(queries), pairs_of_texts=self._n * len(queries))
        every = [replace(one, row=row) for one in near for row in (one.row, *queries.repeats.get(one.row, ()))]
        return queries.equal, sorted(every, key=lambda one: one.row)

    def find_within(self) -> list[NearDuplicate]:
        """For each row that is an edited copy of an earlier row, and equal to none, the nearest such row."""
        candidates = self._candidates(self._texts, within=True)
        return self._best(self._texts, candidates, pairs_of_texts=self._n * (self._n - 1) // 2)

    def _encode(self, texts: Iterable[Any], first_rows: Mapping[int, int] | None = None) -> "_Words":
        """The different texts by number of their words; by hash, a text of `first_rows` is only noted as equal."""
        flat, first, equal = array("i", [0]), dict[int, int](), dict[int, int]()
        repeats: dict[int, list[int]] = {}
        number = self._numbers.__getitem__
        for row, text in enumerate(texts):
            words = normalized_words(text)
            numbers = array("i", map(number, words))  # of a few words, sooner made than numpy's
            key = hash(numbers.tobytes())
            if not words:
                continue  # rows without text copy nothing
            if first_rows and key in first_rows:
                equal[row] = first_rows[key]
            elif first.setdefault(key, row) == row:
                flat.extend(numbers)
                flat.append(0)
            else:
                repeats.setdefault(first[key], []).append(row)
        rows = np.fromiter(first.values(), np.int64, len(first))
        return _Words(np.frombuffer(flat, dtype=np.int32), rows, hashes=list(first), equal=equal, repeats=repeats)

    def _candidates(self, queries: "_Words", *, within: bool = False) -> np.ndarray:
        """Pairs (query, text of the corpus) that share enough word pairs, shape (p, 2), by query, the likest first."""
        found, begin = [np.zeros((0, 2), dtype=np.int64)], 0
        ends = np.cumsum(queries.lengths)
        while begin < len(queries) and self._n:
            done = int(ends[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, done + CHUNK)))
            found.append(self._candidates_of(queries, range(begin, end), within=within))
            begin = end
        return np.concatenate(found)

    def _candidates_of(self, queries: "_Words", chunk: range, *, within: bool) -> np.ndarray:
        query, place, needed = self._probes(queries.part(chunk), within=within)
        counts = self._starts[place + 1] - self._starts[place]
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        originals = self._rows[np.repeat(self._starts[place], counts) + offsets]
        packed, shared = np.unique(_packed(np.repeat(query, counts), originals), return_counts=True)
        query, original = _unpacked(packed)
        longer = np.maximum(queries.lengths[query + chunk.start], self._texts.lengths[original])
        apart = np.abs(queries.lengths[query + chunk.start] - self._texts.lengths[original])
        enough = (shared >= needed[query]) & (apart <= _most_changed(longer))
        if within:
            enough &= original < query + chunk.start
        query, original, shared = query[enough], original[enough], shared[enough]
        order = np.lexsort((original, -shared, query))
        query, original = query[order], original[order]
        rank = np.arange(len(query)) - np.searchsorted(query, query)
        return np.stack([query + chunk.start, original], axis=1)[rank < MOST_CANDIDATES]

    def _probes(self, queries: "_Words", *, within: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rarest word pairs of the queries.

        Returns:
            (query, place in the index) of each pair to look up, and by query how many of them its original shares.
        """
        query, keys = _unpacked(np.unique(_packed(queries.row_of_place(), queries.pairs())))
        place = np.minimum(np.searchsorted(self._pairs, keys), len(self._pairs) - 1)
        others = np.where(self._pairs[place] == keys, self._starts[place + 1] - self._starts[place] - within, 0)
        # 2k pairs may be missing: those that no other text has are the first of them.
        may_miss = 2 * _most_changed(np.ceil(queries.lengths / 0.8).astype(np.int64))
        may_miss -= np.bincount(query[others == 0], minlength=len(queries))
        kept = (others > 0) & (may_miss[query] >= 0)
        query, place, others = query[kept], place[kept], others[kept]
        order = np.lexsort((others, query))
        query, place, others = query[order], place[order], others[order]
        first = np.searchsorted(query, query)
        total = np.cumsum(others)
        postings = total - total[first] + others[first]
        least = np.minimum(may_miss[query] + 1, PROBES)
        rare = (postings <= POSTINGS) | ((np.arange(len(query)) - first < least) & (postings <= MOST_POSTINGS))
        query, place = query[rare], place[rare]
        needed = np.bincount(query, minlength=len(queries)) - may_miss
        return query, place, np.maximum(needed, 1)

    def _best(self, queries: "_Words", candidates: np.ndarray, *, pairs_of_texts: int) -> list[NearDuplicate]:
        """Of each query, the candidate with the fewest changed words; none where chance could have made it."""
        found: dict[int, tuple[int, int, float, Changes]] = {}
        last, ours, our_words = -1, list[int](), set[int]()
        for query, original in candidates.tolist():
            if query != last:
                last, ours = query, queries[query].tolist()
                our_words = set(ours)
            theirs = self._texts[original].tolist()
            words = max(len(theirs), len(ours))
            nearest = found[query][0] if query in found else most_changed(words) + 1
            if len(our_words.symmetric_difference(theirs)) >= 2 * nearest:
                continue  # a replaced word is two that only one of them has
            changes = changes_between(theirs, ours)
            changed = count_changed(changes)
            if changed < nearest:
                bits = self._shared_bits(original, changes)
                # Which of the words differ was not known beforehand either.
                if bits >= math.log2(pairs_of_texts) + math.log2(math.comb(words, changed)):
                    found[query] = changed, original, bits, changes
        names = ["", *self._numbers] if found else []
        return [
            NearDuplicate(
                row=int(queries.rows[query]),
                original=int(self._texts.rows[original]),
                changed=changed,
                words=int(max(queries.lengths[query], self._texts.lengths[original])),
                bits=bits,
                edits=tuple(
                    (
                        " ".join(names[word] for word in self._texts[original][a:b]),
                        " ".join(names[word] for word in queries[query][c:d]),
                    )
                    for a, b, c, d in changes
                ),
            )
            for query, (changed, original, bits, changes) in found.items()
        ]

    def _shared_bits(self, original: int, changes: Changes) -> float:
        """Surprisal of the unchanged words of a text of the corpus, each after its left neighbour."""
        bits = self._bits.get(original)
        if bits is None:
            bits = self._bits[original] = self._surprisal(original)
        return float(bits.sum() - sum(bits[begin:end].sum() for begin, end, _, _ in changes))

    def _surprisal(self, number: int) -> np.ndarray:
        """p(b | a) = (texts with a b + SEEN_OFTEN p(b)) / (texts with a + SEEN_OFTEN), the text itself not counted."""
        before, words = self._texts.pair(number)
        place = np.searchsorted(self._pairs, _pair_keys(before, words))
        with_pair = self._starts[place + 1] - self._starts[place] - 1
        share = (self._texts_with_word[words] - 1) / max(1, self._n - 1)
        likely = (with_pair + SEEN_OFTEN * share) / (self._texts_with_word[before] - 1 + SEEN_OFTEN)
        return -np.log2(np.clip(likely, 2.0**-MOST_WORD_BITS, 1.0))


def normalized_words(text: Any) -> list[str]:
    """The words of a text up to case, punctuation and space; characters where a script has no spaces.

    >>> normalized_words("Call  NOW!!"), normalized_words("東京 tower")
    (['call', 'now'], ['東', '京', 'tower'])
    """
    return split_at_spaces(normalize(text))


def changes_between(a: Sequence[Any], b: Sequence[Any]) -> Changes:
    """Where two sequences differ: (begin, end) in `a` and (begin, end) in `b`.

    >>> changes_between("call me at home".split(), "call me later at work".split())
    [(2, 2, 2, 3), (3, 4, 4, 5)]
    """
    head = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    a_rest, b_rest = a[head:], b[head:]
    pairs = zip(reversed(a_rest), reversed(b_rest), strict=False)
    tail = next((i for i, (x, y) in enumerate(pairs) if x != y), min(len(a_rest), len(b_rest)))
    a_rest, b_rest = a_rest[: len(a_rest) - tail], b_rest[: len(b_rest) - tail]
    if not a_rest or not b_rest:
        codes = [("", 0, len(a_rest), 0, len(b_rest))] if a_rest or b_rest else []
    else:
        codes = [code for code in SequenceMatcher(None, a_rest, b_rest, False).get_opcodes() if code[0] != "equal"]
    return [(head + i, head + j, head + k, head + m) for _, i, j, k, m in codes]


def count_changed(changes: Changes) -> int:
    """Words replaced, added or left out."""
    return sum(max(end - begin, their_end - their_begin) for begin, end, their_begin, their_end in changes)


class _Words:
    """Different texts by number of their words, with a 0 before, between and after them.

    Args:
        flat: the numbers, int32.
        rows: of each text, where it first stood.
        hashes: of each text.
        repeats: that row → the rows after it with this text.
        equal: rows left out → the row of the corpus with this text.
    """

    def __init__(
        self,
        flat: np.ndarray,
        rows: np.ndarray,
        *,
        hashes: Sequence[int] = (),
        repeats: dict[int, list[int]] | None = None,
        equal: dict[int, int] | None = None,
    ) -> None:
        self.flat, self.rows, self.hashes = flat, rows, hashes
        self.repeats, self.equal = repeats or {}, equal or {}
        self._borders = np.flatnonzero(flat == 0)
        self.lengths = np.diff(self._borders) - 1

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> np.ndarray:
        return self.flat[self._borders[number] + 1 : self._borders[number + 1]]

    def part(self, chunk: range) -> "_Words":
        """The texts of these numbers."""
        flat = self.flat[self._borders[chunk.start] : self._borders[chunk.stop] + 1]
        return _Words(flat, self.rows[chunk.start : chunk.stop])

    def pair(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The left neighbour of each word, and the word."""
        begin, end = self._borders[number], self._borders[number + 1]
        return self.flat[begin : end - 1], self.flat[begin + 1 : end]

    def pairs(self) -> np.ndarray:
        """Keys of the word pairs of all texts, w + 1 of a text of w words."""
        return _pair_keys(self.flat[:-1], self.flat[1:])

    def row_of_place(self) -> np.ndarray:
        """The text of each pair."""
        return np.repeat(np.arange(len(self)), self.lengths + 1)


def _pair_keys(before: np.ndarray, words: np.ndarray) -> np.ndarray:
    """A 32-bit hash of each pair of words: two pairs that share one only cost an alignment."""
    mixed = before.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + words.astype(np.uint64)
    return (mixed * np.uint64(0xC2B2AE3D27D4EB4F) >> np.uint64(32)).astype(np.uint32)


def _packed(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Two numbers below 2³² as one, which sorts as the two do."""
    return high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)


def _unpacked(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (packed >> np.uint64(32)).astype(np.int64), (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _rows_of_keys(keys: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each key with each row that has it, once, sorted: uint32 and int32."""
    packed = _packed(keys, rows)
    packed.sort()
    packed = packed[np.concatenate([[True], packed[1:] != packed[:-1]])] if len(packed) else packed
    return (packed >> np.uint64(32)).astype(np.uint32), (packed & np.uint64(0xFFFFFFFF)).astype(np.int32)


def _most_changed(words: np.ndarray) -> np.ndarray:
    """`most_changed` of an array."""
    return np.where(words >= 4, 1 + words // 5, 0)
