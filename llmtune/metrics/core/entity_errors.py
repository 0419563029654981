"""Which entity types are confused, what is missed and spurious, and the most frequent errors with their words.

Entities of the reference are paired with predicted ones: first those of the same words, then by most words in common.
What is left of the reference is missed, what is left of the predictions is spurious. Letters: c types.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from llmtune.predictions import Predictions
from llmtune.text.tag_schemes import Entity, entity_spans

MISSED, SPURIOUS = "(missed)", "(spurious)"
BOUNDARY_ERRORS = ("too short", "too long", "shifted")
KEPT_ERRORS, SHOWN_ERRORS, KEPT_SENTENCES = 50, 8, 3
CONTEXT = 8  # words shown on each side of an error


ErrorKey = tuple[str, str, str, str, str]  # the first five fields of `EntityError`


class EntityPair(NamedTuple):
    """An entity of the reference and the predicted one it was paired with; None on the side that has none."""

    reference: Entity | None
    predicted: Entity | None


@dataclass(frozen=True)
class EntityError:
    """One sort of error: what was predicted as what, how often, and in which sentences (id, words around it)."""

    kind: str
    reference: str
    predicted: str
    words: str
    predicted_words: str
    count: int
    sentences: list[tuple[Any, str]]


@dataclass(frozen=True)
class EntityComparison:
    """A predictions table by entities.

    Args:
        types: the c types of reference and predictions, sorted.
        exact: (c + 1, c + 1) pairs of the same words, rows the reference; the last row counts spurious entities, the
            last column missed ones.
        shifted: (c, c) pairs that share words but not all.
        boundaries: of each type the pairs of `shifted` by `BOUNDARY_ERRORS`; the type is the reference's.
        errors: the most frequent first.
    """

    types: tuple[str, ...]
    exact: np.ndarray
    shifted: np.ndarray
    boundaries: dict[str, dict[str, int]]
    errors: list[EntityError]

    @property
    def matrix(self) -> np.ndarray:
        """Exact and shifted pairs: row sums are the entities of the reference, column sums the predicted ones."""
        matrix = self.exact.copy()
        matrix[:-1, :-1] += self.shifted
        return matrix

    def to_json(self) -> dict[str, Any]:
        """For run.json."""
        return {
            "types": list(self.types),
            "confusion_matrix": {
                "rows": [*self.types, SPURIOUS],
                "columns": [*self.types, MISSED],
                "counts": self.matrix.tolist(),
            },
            "same_words_other_type": int(self.exact[:-1, :-1].sum() - np.trace(self.exact[:-1, :-1])),
            "boundary_errors": self.boundaries,
            "errors": [asdict(error) for error in self.errors[:KEPT_ERRORS]],
        }


def pair_entities(reference: Sequence[Entity], predicted: Sequence[Entity]) -> list[EntityPair]:
    """Every entity once: by the same words, then by most words in common (the same type first, then the leftmost)."""
    of_words = {(entity.first, entity.end): entity for entity in predicted}
    pairs = [EntityPair(entity, of_words[entity[1:]]) for entity in reference if entity[1:] in of_words]
    paired = {entity[1:] for entity, _ in pairs if entity}
    left = [entity for entity in reference if entity[1:] not in paired]
    right = [entity for entity in predicted if entity[1:] not in paired]
    overlaps = sorted(
        (-shared, a.type != b.type, i, j)
        for i, a in enumerate(left)
        for j, b in enumerate(right)
        if (shared := min(a.end, b.end) - max(a.first, b.first)) > 0
    )
    used_left: set[int] = set()
    used_right: set[int] = set()
    for _, _, i, j in overlaps:
        if i not in used_left and j not in used_right:
            pairs.append(EntityPair(left[i], right[j]))
            used_left.add(i)
            used_right.add(j)
    pairs += [EntityPair(entity, None) for i, entity in enumerate(left) if i not in used_left]
    pairs += [EntityPair(None, entity) for j, entity in enumerate(right) if j not in used_right]
    return pairs


def compare_entities(predictions: Predictions) -> EntityComparison:
    """Compares the tags of a token-classification table with its references.

    In a table made elsewhere they are read as the lenient mode of seqeval reads them, of whatever scheme.
    """
    references = [entity_spans(tags) for tags in predictions.column("reference")]
    predicted = [entity_spans(tags) for tags in predictions.column("prediction")]
    types = tuple(sorted({entity.type for row in (*references, *predicted) for entity in row}))
    position = {kind: i for i, kind in enumerate(types)}
    c = len(types)
    exact, shifted = np.zeros((c + 1, c + 1), dtype=np.int64), np.zeros((c, c), dtype=np.int64)
    boundaries = {kind: dict.fromkeys(BOUNDARY_ERRORS, 0) for kind in types}
    counts: Counter[ErrorKey] = Counter()
    sentences: dict[ErrorKey, list[tuple[Any, str]]] = {}
    ids = predictions.column("id")
    for row, words in enumerate(predictions.column("tokens")):
        for pair in pair_entities(references[row], predicted[row]):
            a, b = pair
            if a and b and a[1:] != b[1:]:
                shifted[position[a.type], position[b.type]] += 1
                boundaries[a.type][_boundary_error(a, b)] += 1
            else:
                exact[position[a.type] if a else c, position[b.type] if b else c] += 1
            if a != b:
                key = _error_key(pair, words)
                counts[key] += 1
                found = sentences.setdefault(key, [])
                if len(found) < KEPT_SENTENCES:
                    found.append((ids[row], _in_sentence(pair, words)))
    # The most frequent sort of error first, among equals the order of the rows.
    errors = [EntityError(*key, n, sentences[key]) for key, n in counts.most_common()]
    return EntityComparison(types, exact, shifted, boundaries, errors)


def in_words(words: Sequence[str], tags: Sequence[str]) -> str:
    """The entities of a sentence as a person names them.

    >>> in_words(["Ada", "Lovelace", "in", "Rome"], ["B-PER", "I-PER", "O", "B-LOC"])
    'PER Ada Lovelace, LOC Rome'
    """
    spans = entity_spans(tags)
    return ", ".join(f"{span.type} {' '.join(words[span.first : span.end])}" for span in spans) or "none"


def _boundary_error(reference: Entity, predicted: Entity) -> str:
    if reference.first <= predicted.first and predicted.end <= reference.end:
        return "too short"
    if predicted.first <= reference.first and reference.end <= predicted.end:
        return "too long"
    return "shifted"


def _error_key(pair: EntityPair, words: Sequence[str]) -> ErrorKey:
    a, b = pair
    if a and b:
        kind = "type" if a[1:] == b[1:] else "boundary" if a.type == b.type else "type and boundary"
    else:
        kind = "missed" if a else "spurious"
    text_a, text_b = (" ".join(words[entity.first : entity.end]) if entity else "" for entity in pair)
    return kind, a.type if a else SPURIOUS, b.type if b else MISSED, text_a, text_b


SENTENCE_MARKS = "In a sentence [ ] holds an entity of the reference, { } one of the prediction."


def _in_sentence(pair: EntityPair, words: Sequence[str]) -> str:
    """The words around an error: [the reference's entity], {the predicted one}."""
    marked = list(words)
    for entity, opening, closing in zip(pair, "[{", "]}", strict=True):
        if entity:
            marked[entity.first] = opening + marked[entity.first]
            marked[entity.end - 1] += closing
    touched = [entity for entity in pair if entity]
    begin = max(0, min(entity.first for entity in touched) - CONTEXT)
    end = min(len(words), max(entity.end for entity in touched) + CONTEXT)
    return ("… " if begin else "") + " ".join(marked[begin:end]) + (" …" if end < len(words) else "")
