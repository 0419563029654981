"""Rows whose label is probably wrong: confident learning (Northcutt 2021) on held-out probabilities. Informs only.

A row is suspect if a class other than its label has the largest probability, and at least the mean probability that the
rows of that class give it. Calibrated probabilities say how many such rows chance makes; more than that is label noise,
or a model that is overconfident.
"""

import math
from typing import Any

import numpy as np

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, not_applicable, percent
from llmtune.evidence import ENOUGH, Z_SURE
from llmtune.metrics.core.base import ratio
from llmtune.predictions import Predictions

NAME = "label_noise"
MOST_SUSPECTS = 50
EXCESS = 0.01  # share of rows beyond chance from which on relabeling matters


def label_noise(predictions: Predictions) -> Check:
    """A shortlist of suspect rows, the most confident first, and whether there are more than chance makes.

    Of several labels a row each label is judged apart, as there or not there (Thyagarajan et al. 2022).
    """
    if predictions.kind.multi_label and predictions.has("probabilities"):
        return _of_label_sets(predictions)
    if not predictions.kind.single_label or not predictions.has("probabilities"):
        return not_applicable(NAME, "needs class probabilities of rows that the model did not train on")
    probabilities, reference = predictions.probabilities(), predictions.label_ids("reference")
    finite = np.isfinite(probabilities).all(axis=1)
    ids = np.array(predictions.column("id"))[finite]
    probabilities, reference = probabilities[finite], reference[finite]
    counts = np.bincount(reference, minlength=len(predictions.label_names))
    if len(reference) == 0 or counts[counts > 0].min() < ENOUGH:
        finding = f"fewer than {ENOUGH} rows of a class: too few to estimate the model's confidence"
        return Check(NAME, NOT_ENOUGH_DATA, finding, {"rows": len(reference)}, "")
    suspects, candidate, expected, variance = _suspects(probabilities, reference, counts)
    names = predictions.label_names
    listed = [
        {
            "id": ids[row].item(),
            "label": names[reference[row]],
            "likely": names[candidate[row]],
            "probability": float(probabilities[row, candidate[row]]),
        }
        for row in suspects
    ]
    return _judged(listed, len(reference), expected, variance)


def _of_label_sets(predictions: Predictions) -> Check:
    probabilities, reference = predictions.probabilities(), predictions.label_sets("reference")
    finite = np.isfinite(probabilities).all(axis=1)
    ids = np.array(predictions.column("id"))[finite]
    probabilities, reference = probabilities[finite], reference[finite]
    listed: list[dict[str, Any]] = []
    judged, expected, variance = 0, 0.0, 0.0
    for label, name in enumerate(predictions.label_names):
        truth = reference[:, label].astype(np.int64)
        counts = np.bincount(truth, minlength=2)
        if counts.min() < ENOUGH:
            continue
        judged += 1
        both = np.stack([1 - probabilities[:, label], probabilities[:, label]], axis=1)
        suspects, candidate, mean, spread = _suspects(both, truth, counts)
        expected, variance = expected + mean, variance + spread
        listed += [
            {
                "id": ids[row].item(),
                "label": name if truth[row] else f"not {name}",
                "likely": name if candidate[row] else f"not {name}",
                "probability": float(both[row, candidate[row]]),
            }
            for row in suspects
        ]
    if not judged:
        finding = f"fewer than {ENOUGH} rows with each label, or without: too few to estimate the model's confidence"
        return Check(NAME, NOT_ENOUGH_DATA, finding, {"rows": len(reference)}, "")
    return _judged(listed, len(reference) * judged, expected, variance)


def _judged(listed: list[dict[str, Any]], decisions: int, expected: float, variance: float) -> Check:
    """Of the suspects among all labels of rows."""
    shortlist = sorted(listed, key=lambda row: -row["probability"])[:MOST_SUSPECTS]
    share = len(listed) / decisions
    excess = len(listed) - expected
    numbers = {"suspect": len(listed), "share": share, "expected_by_chance": expected, "shortlist": shortlist}
    first = ", ".join(str(row["id"]) for row in shortlist[:5])
    said = (
        f"{len(listed)} rows ({percent(share)}) have a label that the model confidently contradicts, "
        f"{expected:.0f} expected by chance"
    )
    if excess > EXCESS * decisions and excess > Z_SURE * math.sqrt(variance) + 1:
        remedy = (
            f"read the suspect rows first (ids {first}, all in verdict.json): relabel them or trust the scores less"
        )
        return Check(
            NAME, FAIL, f"Labels look wrong, or the model is overconfident (see calibration): {said}", numbers, remedy
        )
    return Check(NAME, PASS, f"No sign of wrong labels beyond chance: {said}", numbers)


def _suspects(
    probabilities: np.ndarray, reference: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Suspect rows, the likely class of each row, and mean and variance of their number under calibration."""
    rows = np.arange(len(reference))
    own = probabilities[rows, reference]
    thresholds = ratio(np.bincount(reference, own, len(counts)), counts)
    candidate = probabilities.argmax(axis=1)
    top = probabilities[rows, candidate]
    sure = (top >= thresholds[candidate]) & (counts[candidate] > 0)
    suspects = np.flatnonzero(sure & (candidate != reference))
    wrong = np.clip(1 - top[sure], 0, 1)
    return suspects, candidate, float(wrong.sum()), float((wrong * (1 - wrong)).sum())
