"""Entity F1 (CoNLL): a predicted entity counts if first word, last word and type are right. Not a score of words.

Strict (the plain names) reads only well-formed spans of the scheme, as seqeval does in strict mode; `…_lenient` is
seqeval's default and conlleval. The gap between them shows broken tags. Letters: n sentences, k types.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, ratio
from llmtune.metrics.core.clusters import cluster_bootstrap_interval
from llmtune.predictions.kinds import TOKEN_CLASSIFICATION
from llmtune.stats import Statistic
from llmtune.text.tag_arrays import Tags, spans

KINDS = (TOKEN_CLASSIFICATION,)


@dataclass(frozen=True)
class EntityCounts:
    """Statistics: right, reference and predicted entities of each sentence and type, shape (n, k, 3)."""

    types: tuple[str, ...]
    scheme: str

    def __call__(self, columns: Columns) -> np.ndarray:
        """One sentence a unit."""
        reference: Tags = columns["reference"]
        n, k, words = len(reference.lengths), len(self.types), len(reference.codes)
        first, last, kind = spans(reference, self.types, self.scheme)
        guessed, guessed_last, guessed_kind = spans(columns["prediction"], self.types, self.scheme)
        # At most one entity starts at a word: it is right if the reference's there ends alike and has the same type.
        end_of, kind_of = np.full(words, -1), np.full(words, -1)
        end_of[first], kind_of[first] = last, kind
        right = (end_of[guessed] == guessed_last) & (kind_of[guessed] == guessed_kind)
        found = ((guessed[right], guessed_kind[right]), (first, kind), (guessed, guessed_kind))
        cells = [np.bincount(reference.sentences[at] * k + of, minlength=n * k).reshape(n, k) for at, of in found]
        return np.stack(cells, axis=2).astype(np.float64)


def entity_f_beta(sums: np.ndarray, beta: float = 1.0) -> np.ndarray:
    """(B, k, 3) → (B,), over all the types of `sums` together (micro average)."""
    right, referenced, predicted = np.moveaxis(sums.sum(axis=1), 1, 0)
    return ratio((1 + beta**2) * right, beta**2 * referenced + predicted)


def precision(sums: np.ndarray) -> np.ndarray:
    """Right over predicted."""
    counts = sums.sum(axis=1)
    return ratio(counts[:, 0], counts[:, 2])


def recall(sums: np.ndarray) -> np.ndarray:
    """Right over reference."""
    counts = sums.sum(axis=1)
    return ratio(counts[:, 0], counts[:, 1])


def of_type(sums: np.ndarray, score: Statistic, types: slice) -> np.ndarray:
    """A score of some types alone."""
    return score(sums[:, types])


def undefined(sums: np.ndarray, name: str, types: slice) -> str | None:
    """0/0: nothing to find, or nothing predicted."""
    _, referenced, predicted = sums[types].sum(axis=0)
    lacks = {"recall": referenced == 0, "precision": predicted == 0}.get(name, referenced + predicted == 0)
    if not lacks:
        return None
    return f"{int(referenced)} entities in the reference, {int(predicted)} predicted: {name} is 0/0, set to 0 (seqeval)"


def successes(sums: np.ndarray, name: str, types: slice) -> tuple[float, float]:
    """What Wilson's interval is given where all or none are right."""
    right, referenced, predicted = sums[types].sum(axis=0)
    return right, {"recall": referenced, "precision": predicted}.get(name, referenced + predicted - right)


def has_entity(statistics: np.ndarray, types: slice) -> np.ndarray:
    """Whether a sentence has an entity of these types in the reference: (n, k, 3) → (n,)."""
    return statistics[:, types, 1].sum(axis=1) > 0


def metric(name: str, score: Statistic, counts: EntityCounts, *, of: str = "", part: str) -> Metric:
    """A metric of all types, or of the one called `of`."""
    types = slice(None) if not of else slice(counts.types.index(of), counts.types.index(of) + 1)
    scored = partial(of_type, score=score, types=types)
    return Metric(
        name=name,
        statistics=counts,
        score=scored,
        interval=cluster_bootstrap_interval(
            scored,
            informative=partial(has_entity, types=types),
            what=f"sentences with {of or 'an'} entity",
            proportion=partial(successes, name=part, types=types),
        ),
        signature=f"average:{'class' if of else 'micro'}|scheme:{counts.scheme}|zero_division:0|units:sentences",
        range=(0.0, 1.0),
        undefined=partial(undefined, name=part, types=types),
    )


def metrics(setting: MetricContext) -> list[Metric]:
    """`entity_f1`, `_precision`, `_recall`, `_f2`, each but the last also `_lenient` and by type, strict."""
    strict = EntityCounts(setting.label_names, setting.options["scheme"])
    lenient = EntityCounts(setting.label_names, "lenient")
    parts: dict[str, Statistic] = {"f1": entity_f_beta, "precision": precision, "recall": recall}
    found = [metric(f"entity_{part}", score, strict, part=part) for part, score in parts.items()]
    found.append(metric("entity_f2", partial(entity_f_beta, beta=2.0), strict, part="f2"))
    found += [metric(f"entity_{part}_lenient", score, lenient, part=part) for part, score in parts.items()]
    return found + [
        metric(f"entity_{part}[{of}]", score, strict, of=of, part=part)
        for part, score in parts.items()
        for of in setting.label_names
    ]
