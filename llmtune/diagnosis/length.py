"""Whether long or short inputs fare worse: recall of each class by quintile of length."""

import math
from dataclasses import dataclass

import numpy as np

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, not_applicable
from llmtune.diagnosis.groups import compare_groups
from llmtune.diagnosis.proportions import OUTCOMES, outcomes
from llmtune.evidence import ENOUGH
from llmtune.predictions import Predictions

NAME = "length"
PARTS = 5


@dataclass(frozen=True)
class LengthGroups:
    """Up to five groups of rows of like length.

    Args:
        names: as "4 to 6 tokens", the shortest first; each has rows.
        group: of each row its position in `names`, (n,).
        unit: tokens, words or characters.
    """

    names: list[str]
    group: np.ndarray
    unit: str


def length_groups(predictions: Predictions) -> LengthGroups | None:
    """Rows by fifths of their length, for this check and for the report's table; None where no length is known."""
    found = _lengths(predictions)
    if found is None:
        return None
    lengths, unit = found
    edges = np.unique(np.quantile(lengths, np.arange(1, PARTS) / PARTS))
    # Many rows of one length (texts cut at max_length) leave fifths without rows: these are no group.
    _, group = np.unique(np.searchsorted(edges, lengths, side="left"), return_inverse=True)
    ends = [(lengths[group == place].min(), lengths[group == place].max()) for place in range(group.max() + 1)]
    return LengthGroups([f"{int(low)} to {int(high)} {unit}" for low, high in ends], group, unit)


def length(predictions: Predictions) -> Check:
    """By the column `length` (tokens), else by the characters of `text`, else by the number of words."""
    if predictions.kind not in OUTCOMES:
        return not_applicable(NAME, f"{predictions.kind} tables have no classes whose recall could depend on length")
    found = length_groups(predictions)
    if found is None:
        return not_applicable(NAME, "the table has no column 'length' or 'text'")
    names = found.names
    seen = outcomes(predictions)
    compared = compare_groups(
        {"length": [names[i] for i in found.group]}, {f"recall[{label}]": seen.recall[label] for label in seen.labels}
    )
    numbers = {"unit": found.unit, "quintiles": [one.to_json() for one in compared]}
    if not compared:
        finding = f"no two length groups have {ENOUGH} examples of one class"
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, "label more test rows")
    # In the middle alone it is not length that decides.
    worse = [one for one in compared if {names[0], names[-1]} & set(one.worse)]
    if worse:
        worst = max(worse, key=lambda one: one.difference()[0])
        remedy = "raise --max_length if long texts are truncated; else add training rows of this length"
        return Check(NAME, FAIL, f"Recall depends on length: {worst.sentence()}", numbers, remedy)
    least = min(compared, key=lambda one: one.p)
    finding = f"No length group is significantly and largely worse (lowest p {least.adjusted:.2g}, {least.rate})"
    return Check(NAME, PASS, finding, numbers)


def _lengths(predictions: Predictions) -> tuple[np.ndarray, str] | None:
    if predictions.has("length"):
        column = predictions.column("length")
        if all(isinstance(value, (int, float)) and math.isfinite(value) for value in column):
            return np.array(column, dtype=np.float64), "words" if predictions.kind.tagged else "tokens"
    if predictions.has("text"):
        return np.array([len(str(text)) for text in predictions.column("text")], dtype=np.float64), "characters"
    if predictions.kind.tagged:
        return np.array([len(tags) for tags in predictions.column("reference")], dtype=np.float64), "words"
    return None
