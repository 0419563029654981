"""How far two tables of the same rows and one model are apart: in what it computed, and in what it decided.

Letters: n rows, c labels. A distance of 1 is a whole tolerance: relative to the larger of 1 and the largest logit of a
row, to the square root of a row's nats (the roundings of its tokens add up as chance does), to the spread of numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmtune.predictions import Predictions
from llmtune.predictions.kinds import (
    CLASSIFICATION,
    LANGUAGE_MODELING,
    MULTILABEL_CLASSIFICATION,
    QUESTION_ANSWERING,
    REGRESSION,
    TEXT_GENERATION,
    TOKEN_CLASSIFICATION,
    Kind,
)

LEAST_PROBABILITY = 1e-12  # below it a logarithm is noise of the softmax
TIES = 0.01  # of words or answers, that rounding may turn where two are equally probable; one of them always
TEXTS_APART = (0.05, 0.5)  # of texts that may differ: computed in float32, and in half precision


@dataclass(frozen=True)
class Distances:
    """Of n rows.

    Args:
        computed: distance of a row's numbers, (n,); 0 of texts that come without numbers.
        decided: rows that are decided otherwise although it was no near tie, (n,).
        largest: the largest difference, with its unit.
        allowed: how many of `decided` may be.
        permuted: whether the numbers are the same under other labels.
    """

    computed: np.ndarray
    decided: np.ndarray
    largest: str
    allowed: int = 0
    permuted: bool = False

    @property
    def rows(self) -> np.ndarray:
        """The places of rows that are too far apart."""
        decided = self.decided if self.decided.sum() > self.allowed else np.zeros_like(self.decided)
        return np.flatnonzero(~(self.computed <= 1) | decided)


def distances(expected: Predictions, again: Predictions, relative: float) -> Distances:
    """How far `again` is from `expected`, in tolerances of `relative`."""
    return MEASURES[expected.kind](expected, again, relative)


def _labels(expected: Predictions, again: Predictions, relative: float) -> Distances:
    """Of rows with one label: logits less the row's largest, by the labels' names."""
    before, after = expected.probabilities(), _by_name(again, expected.label_names)
    logits = [np.log(np.clip(values, LEAST_PROBABILITY, None)) for values in (before, after)]
    logits = [values - values.max(axis=1, keepdims=True) for values in logits]
    bound = relative * np.maximum(1, np.abs(logits[0]).max(axis=1))
    computed = _gap(*logits).max(axis=1) / bound
    changed = np.array(expected.column("prediction")) != np.array(again.column("prediction"))
    if expected.has_positive:
        margin = np.abs(_logit(before[:, expected.positive_id]) - _logit(np.array(expected.threshold)))
        decided = changed & (margin > 2 * bound)
    else:
        ranked = np.sort(logits[0], axis=1)
        tied = ranked[:, -1] - ranked[:, -2] <= 2 * bound
        # The median of ordered classes turns where the sums of probabilities do, not where the largest two are tied.
        decided = changed & ~(computed <= 1 if expected.settings.get("ordinal") else tied)
    return Distances(computed, decided, _probability_words(before, after), permuted=_are_permuted(before, after))


def _label_sets(expected: Predictions, again: Predictions, relative: float) -> Distances:
    """Of rows with several labels: the logit of each."""
    before, after = expected.probabilities(), _by_name(again, expected.label_names)
    logits = _logit(before), _logit(after)
    bound = relative * np.maximum(1, np.abs(logits[0]))
    names = expected.column("prediction"), again.column("prediction")
    near = np.abs(logits[0] - _logit(expected.thresholds)) <= 2 * bound
    firm = [{name for name, tied in zip(expected.label_names, row, strict=True) if not tied} for row in near]
    decided = [bool((set(a) ^ set(b)) & labels) for a, b, labels in zip(*names, firm, strict=True)]
    computed = (_gap(*logits) / bound).max(axis=1)
    return Distances(
        computed, np.array(decided), _probability_words(before, after), permuted=_are_permuted(before, after)
    )


def _tags(expected: Predictions, again: Predictions, relative: float) -> Distances:
    """Of rows of words: the likeliest tag of each word by itself, and its probability."""
    lengths = [len(row) for row in expected.column("probability")]
    before, after = (np.concatenate([[], *map(np.array, table.column("probability"))]) for table in (expected, again))
    tags = [np.array([tag for row in table.column("raw_prediction") for tag in row]) for table in (expected, again)]
    row = np.repeat(np.arange(len(lengths)), lengths)
    gap, changed = _gap(before, after), tags[0] != tags[1]
    # A tag of less than one half may have had another beside it; its probability is then that of the other.
    tied = before <= 0.5 + relative
    decided, ties = np.zeros(len(lengths), dtype=bool), np.zeros(len(lengths), dtype=bool)
    decided[row[changed & ~tied]] = True
    ties[row[changed & tied]] = True
    if ties.sum() > max(1, TIES * len(before)):
        decided |= ties
    computed = np.zeros(len(lengths))
    np.maximum.at(computed, row, gap / relative)
    permuted = bool(changed.any() and (gap <= relative).all())
    return Distances(computed, decided, _probability_words(before, after), permuted=permuted)


def _answers(expected: Predictions, again: Predictions, relative: float) -> Distances:
    """Of answers: the probability of the span and the logits of no answer; of written ones the text."""
    if not expected.has("score"):
        return _texts(expected, again, relative)
    before, after = (np.array(table.column("score"), dtype=np.float64) for table in (expected, again))
    computed = _gap(before, after) / relative
    threshold = expected.settings.get("null_threshold")
    near = before <= 0.5 + relative
    if expected.has("null_difference"):
        nulls = [np.array(table.column("null_difference"), dtype=np.float64) for table in (expected, again)]
        bound = relative * np.maximum(1, np.abs(nulls[0]))
        computed = np.maximum(computed, _gap(*nulls) / bound)
        near |= np.abs(nulls[0] - (threshold or 0.0)) <= 2 * bound
    changed = np.array(expected.column("prediction")) != np.array(again.column("prediction"))
    firm = changed & ~near
    decided = changed if (changed & near).sum() > max(1, TIES * len(before)) else firm
    return Distances(computed, decided, _probability_words(before, after))


def _texts(expected: Predictions, again: Predictions, relative: float) -> Distances:
    """Of texts that a model wrote: the nats of their references, and the texts, of which rounding turns some."""
    decided = np.array(expected.column("prediction")) != np.array(again.column("prediction"))
    share = TEXTS_APART[relative > 2e-3]
    words = f"{int(decided.sum()):,} of {len(decided):,} texts are written otherwise"
    allowed = max(1, int(share * len(decided)))
    if not expected.has("nll"):
        return Distances(np.zeros(len(decided)), decided, words, allowed)
    nats = _nats(expected, again, relative)
    return Distances(nats.computed, decided, f"{words}, {nats.largest}", allowed)


def _nats(expected: Predictions, again: Predictions, relative: float) -> Distances:
    """Of language models: the nats of each row."""
    before, after = (np.array(table.column("nll"), dtype=np.float64) for table in (expected, again))
    computed = _gap(before, after) / (relative * np.sqrt(np.maximum(1, np.abs(before))))
    words = f"{after.sum():,.1f} nats of {len(before):,} rows, {before.sum():,.1f} in the run"
    return Distances(computed, np.zeros(len(before), dtype=bool), words)


def _numbers(expected: Predictions, again: Predictions, relative: float) -> Distances:
    """Of numbers: the prediction, and the bounds of its interval."""
    spread = max(float(np.std(_matrix(expected.column("reference")))), 1e-12)
    computed, largest = np.zeros(len(expected)), 0.0
    for name in ("prediction", "lower", "upper"):
        if not expected.has(name):
            continue
        if not again.has(name):
            return Distances(np.full(len(expected), np.inf), computed > 0, f"there is no {name} bound")
        before, after = _matrix(expected.column(name)), _matrix(again.column(name))
        center = np.abs(before - np.mean(before))
        computed = np.maximum(computed, (_gap(before, after) / (relative * np.maximum(spread, center))).max(axis=1))
        largest = max(largest, float(_gap(before, after).max()))
    return Distances(computed, np.zeros(len(expected), dtype=bool), f"predictions differ by up to {largest:.2g}")


MEASURES: dict[Kind, Callable[[Predictions, Predictions, float], Distances]] = {
    CLASSIFICATION: _labels,
    MULTILABEL_CLASSIFICATION: _label_sets,
    TOKEN_CLASSIFICATION: _tags,
    QUESTION_ANSWERING: _answers,
    TEXT_GENERATION: _texts,
    LANGUAGE_MODELING: _nats,
    REGRESSION: _numbers,
}


def _by_name(table: Predictions, names: Sequence[str]) -> np.ndarray:
    """The probabilities (n, c), their columns in the order of `names`."""
    return table.probabilities()[:, [table.label_names.index(name) for name in names]]


def _logit(probabilities: np.ndarray) -> np.ndarray:
    inside = np.clip(probabilities, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    logits: np.ndarray = np.log(inside) - np.log1p(-inside)
    return logits


def _gap(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Absolute differences; 0 where both are the same, be it NaN or infinity."""
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0.0, np.nan_to_num(np.abs(before - after), nan=np.inf))


def _are_permuted(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether each row has the same probabilities in another order."""
    is_same = np.allclose(before, after, atol=1e-3)
    return not is_same and np.allclose(np.sort(before, axis=1), np.sort(after, axis=1), atol=1e-3)


def _probability_words(before: np.ndarray, after: np.ndarray) -> str:
    return f"probabilities differ by up to {float(_gap(before, after).max(initial=0)):.2g}"


def _matrix(cells: Sequence[Any]) -> np.ndarray:
    return np.array(cells, dtype=np.float64).reshape(len(cells), -1)
