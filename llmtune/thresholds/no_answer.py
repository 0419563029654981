"""The threshold from which a question is left unanswered (SQuAD 2.0), chosen on validation."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from llmtune.metrics import token_f1
from llmtune.predictions import Predictions
from llmtune.stats import paired_cluster_bootstrap

STANDARD = 0.0  # no answer and the best span are compared as they are


@dataclass(frozen=True)
class NullThreshold:
    """What was chosen, and why.

    Args:
        threshold: of the difference between the logits of no answer and of the best span.
        reason: in words.
        f1: on validation at the threshold.
        f1_at_standard: on validation at 0.
    """

    threshold: float
    reason: str
    f1: float
    f1_at_standard: float


def choose_null_threshold(validation: Predictions, *, seed: int) -> NullThreshold:
    """The threshold of the best F1 on validation, where its gain over 0 is sure (95 % interval); else 0.

    Args:
        validation: with `null_difference` and `best_span`, as `tabulate_answers` leaves them.
        seed: of the bootstrap.
    """
    difference = np.array(validation.column("null_difference"), dtype=np.float64)
    references = validation.column("reference")
    given = _f1(validation.column("best_span"), references)
    withheld = _f1([""] * len(validation), references)
    standard = np.where(difference > STANDARD, withheld, given)
    if not any(not of for of in references):
        return NullThreshold(STANDARD, "0: validation has no question without an answer", *_means(standard, standard))
    # In the order of the difference, F1 of answering the first i questions and leaving out the rest. A question with
    # broken outputs has no difference, and no answer at any threshold.
    order = np.argsort(difference, kind="stable")
    order = order[np.isfinite(difference[order])]
    if not len(order):
        return NullThreshold(STANDARD, "0: no question of validation has a finite output", *_means(standard, standard))
    totals = np.append(0.0, np.cumsum((given - withheld)[order])) + withheld.sum()
    edges = np.concatenate([[difference[order[0]] - 1], difference[order]])  # answered are those at or below
    places = np.flatnonzero(np.append(np.diff(edges) > 0, True))  # equal differences are not parted
    between = np.append((edges[places[:-1]] + edges[places[1:]]) / 2, edges[-1])
    best = between[totals[places] >= totals[places].max() - 1e-9]
    chosen = float(best[np.abs(best).argmin()])
    rows = np.where(difference > chosen, withheld, given)
    gain, interval = paired_cluster_bootstrap(_columns(standard), _columns(rows), token_f1.score, seed=seed)
    if interval.low is None or interval.low <= 0:
        reason = (
            f"0 stays: the best on validation, {chosen:.2f}, gains {gain:.2f} points of F1 there, not "
            "significantly above 0"
        )
        return NullThreshold(STANDARD, reason, *_means(standard, standard))
    ends = f"[{interval.low:.2f}, {interval.high:.2f}]"
    reason = f"{chosen:.2f}, chosen on validation: F1 {gain:.2f} points {ends} above that at 0"
    return NullThreshold(chosen, reason, *_means(rows, standard))


def _f1(texts: list[str], references: list[list[str]]) -> np.ndarray:
    found: np.ndarray = token_f1.statistics({"prediction": texts, "reference": references})[:, 0]
    return found


def _columns(rows: np.ndarray) -> np.ndarray:
    return np.stack([rows, np.ones(len(rows))], axis=1)


def _means(rows: np.ndarray, standard: np.ndarray) -> tuple[Any, Any]:
    return float(100 * rows.mean()), float(100 * standard.mean())
