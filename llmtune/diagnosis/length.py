"""Whether long or short inputs fare worse: recall of each class by quintile of length."""

import numpy as np

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, not_applicable
from llmtune.diagnosis.groups import compare_groups
from llmtune.diagnosis.proportions import KINDS, outcomes
from llmtune.evidence import ENOUGH
from llmtune.predictions import Predictions

NAME = "length"
PARTS = 5


def length(predictions: Predictions) -> Check:
    """By the column `length` (tokens), else by the characters of `text`, else by the number of words."""
    if predictions.kind not in KINDS:
        return not_applicable(NAME, f"{predictions.kind} tables have no classes whose recall could depend on length")
    found = _lengths(predictions)
    if found is None:
        return not_applicable(NAME, "the table has no column 'length' or 'text'")
    lengths, unit = found
    edges = np.unique(np.quantile(lengths, np.arange(1, PARTS) / PARTS))
    part = np.searchsorted(edges, lengths, side="left")
    names = [_name(lengths[part == i], unit) if (part == i).any() else "" for i in range(len(edges) + 1)]
    seen = outcomes(predictions)
    compared = compare_groups(
        {"length": [names[i] for i in part]}, {f"recall[{label}]": seen.recall[label] for label in seen.labels}
    )
    numbers = {"unit": unit, "quintiles": [one.to_json() for one in compared]}
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
        if all(isinstance(value, (int, float)) for value in column):
            return np.array(column, dtype=np.float64), "words" if predictions.has("tokens") else "tokens"
    if predictions.has("text"):
        return np.array([len(str(text)) for text in predictions.column("text")], dtype=np.float64), "characters"
    if predictions.kind == "token-classification":
        return np.array([len(tags) for tags in predictions.column("reference")], dtype=np.float64), "words"
    return None


def _name(lengths: np.ndarray, unit: str) -> str:
    return f"{int(lengths.min())} to {int(lengths.max())} {unit}"
