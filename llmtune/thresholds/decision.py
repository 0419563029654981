"""The decision threshold of a two-class model: chosen on validation, reported on test, 0.5 unless the gain is real.

Plain arg-max of F1 over the thresholds of a small validation split chases noise: on 63 positives it picked 0.95, 0.04
and 0.99 over three seeds, and lost on test each time. So 0.5 stays unless the paired interval of the gain excludes 0,
and of the thresholds that are as good as the best, the one nearest 0.5 is taken.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llmtune.errors import InputError
from llmtune.evidence import ENOUGH
from llmtune.predictions import Predictions
from llmtune.stats import ConfidenceInterval, paired_cluster_bootstrap, paired_multinomial_interval, wilson_interval

# An objective reads confusion counts (…, 2, 2) with the positive class at position 1, and returns (…,) to be maximized.
Objective = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ThresholdChoice:
    """The outcome of a search.

    Args:
        threshold: the positive label is predicted from this probability on.
        objective: as asked for.
        candidate: the best threshold on validation, which is `threshold` where it was taken.
        at_default: the objective's value at 0.5 on validation.
        at_candidate: the objective's value at the candidate.
        gain: 95 % interval of the difference, None where none was needed.
        reason: why this threshold, in one sentence.
    """

    threshold: float
    objective: str
    candidate: float
    at_default: float
    at_candidate: float
    gain: ConfidenceInterval | None
    reason: str


def choose_threshold(predictions: Predictions, objective: str, *, seed: int = 0) -> ThresholdChoice:
    """Chooses the threshold on a validation table of two classes.

    Args:
        predictions: validation, with probabilities; rows whose probabilities are not finite take no part.
        objective: f1, fbeta:B, recall>=R, precision>=P or none.
        seed: of the bootstrap.

    Raises:
        InputError: an unknown objective.
    """
    positive = predictions.positive_id
    probability = predictions.probabilities()[:, positive]
    finite = np.isfinite(probability)  # a row that is not finite fails the run elsewhere; it can't be placed here
    is_positive = (predictions.label_ids("reference") == positive)[finite]
    label = repr(predictions.label_names[positive])
    return search_threshold(is_positive, probability[finite], objective, label, seed=seed)


def search_threshold(
    is_positive: np.ndarray,
    probability: np.ndarray,
    objective: str,
    label: str,
    *,
    default: float = 0.5,
    rows: np.ndarray | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> ThresholdChoice:
    """Chooses one threshold for n decisions.

    Args:
        is_positive: whether each is to be yes, bool (n,).
        probability: of yes, (n,).
        objective: as `choose_threshold` takes it.
        label: what the decisions are about, in the reason.
        default: the threshold that stays unless the gain is real.
        rows: of each decision, the row that it belongs to, where a row has several: rows are drawn as a whole.
        level: of the interval of the gain.
        seed: of the bootstrap.

    Raises:
        InputError: an unknown objective.
    """
    score, floor = read_objective(objective)
    stays = f"{default:.3g}"
    if objective == "none":
        return ThresholdChoice(default, objective, default, np.nan, np.nan, None, f"{stays}, as asked")
    thresholds, counts = counts_at_thresholds(is_positive, probability)
    values = score(counts)
    at_default = float(score(counts_at(is_positive, probability, default)[None])[0])
    if floor is not None:
        return _reach_floor(objective, floor, thresholds, counts, values, default, at_default)
    if is_positive.sum() < ENOUGH:
        reason = f"{stays}: {int(is_positive.sum())} rows of {label} on validation are too few to tune the threshold"
        return ThresholdChoice(default, objective, default, at_default, at_default, None, reason)
    best = values.max()
    # A plateau: what differs from the best by less than one row's worth is as good.
    good = thresholds[values >= best - 1 / max(1, is_positive.sum())]
    candidate = float(good[np.abs(good - default).argmin()])
    at_candidate = float(score(counts_at(is_positive, probability, candidate)[None])[0])
    gain = _gain(is_positive, probability >= default, probability >= candidate, score, rows, level, seed)
    # Without an interval every resample gained the same: nothing, or the whole.
    if gain.low > 0 if gain.low is not None else at_candidate > at_default:
        ends = "in every resample"
        if gain.low is not None:
            ends = f"{100 * level:.3g} % interval of the gain [{gain.low:.3f}, {gain.high:.3f}]"
        reason = f"{candidate:.3g}: on validation {objective} rises from {at_default:.3f} to {at_candidate:.3f}, {ends}"
        return ThresholdChoice(candidate, objective, candidate, at_default, at_candidate, gain, reason)
    if at_candidate <= at_default:
        reason = f"{stays}: no threshold is better on validation ({objective} {at_default:.3f})"
        return ThresholdChoice(default, objective, default, at_default, at_default, gain, reason)
    gained = f"{at_candidate - at_default:+.3f} {objective}"
    reason = f"{stays}: the best on validation ({candidate:.3g}) gains {gained}, which may be due to chance"
    return ThresholdChoice(default, objective, candidate, at_default, at_candidate, gain, reason)


def _gain(
    is_positive: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    score: Objective,
    rows: np.ndarray | None,
    level: float,
    seed: int,
) -> ConfidenceInterval:
    """The paired interval of what other decisions gain, (n,) each."""
    if rows is None:
        cells = np.zeros((2, 2, 2), dtype=np.int64)
        np.add.at(cells, tuple(side.astype(int) for side in (is_positive, before, after)), 1)
        return paired_multinomial_interval(cells, score, seed=seed, level=level)[1]
    counts = np.zeros((2, int(rows.max()) + 1, 4))
    for of_side, predicted in zip(counts, (before, after), strict=True):
        np.add.at(of_side, (rows, 2 * is_positive.astype(int) + predicted), 1)

    def of_flat(sums: np.ndarray) -> np.ndarray:
        return score(sums.reshape(-1, 2, 2))

    return paired_cluster_bootstrap(counts[0], counts[1], of_flat, seed=seed, level=level)[1]


def read_objective(text: str) -> tuple[Objective, tuple[str, float] | None]:
    """An objective's text as a function to maximize, and for recall>=R and precision>=P the (name, floor) to reach."""
    if text in ("f1", "none"):
        return f_beta(1.0), None
    if (match := re.fullmatch(r"fbeta:(\d+(?:\.\d+)?)", text)) and float(match[1]) > 0:
        return f_beta(float(match[1])), None
    if match := re.fullmatch(r"(recall|precision)>=(0?\.\d+|1(?:\.0*)?|0)", text):
        return f_beta(1.0), (match[1], float(match[2]))
    raise InputError(
        f"--threshold_objective {text!r}: expected f1, fbeta:2, recall>=0.95, precision>=0.9 or none "
        "(quote it: > is the shell's)"
    )


def f_beta(beta: float) -> Objective:
    """F-beta (van Rijsbergen 1979) of the positive class; 0 where nothing is predicted or to be found."""

    def score(counts: np.ndarray) -> np.ndarray:
        hits = counts[..., 1, 1].astype(float)
        denominator = hits * (1 + beta**2) + beta**2 * counts[..., 1, 0] + counts[..., 0, 1]
        return np.divide(hits * (1 + beta**2), denominator, out=np.zeros_like(hits), where=denominator > 0)

    return score


def counts_at(is_positive: np.ndarray, probability: np.ndarray, threshold: float) -> np.ndarray:
    """Confusion counts (2, 2) at one threshold: rows reference, columns prediction, positive last."""
    predicted = probability >= threshold
    return np.bincount(2 * is_positive.astype(int) + predicted, minlength=4).reshape(2, 2)


def counts_at_thresholds(is_positive: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds below and half-way between the distinct probabilities, and the counts (t, 2, 2) at each.

    Half-way, because a threshold that equals a validation row's probability would hang on that row's last digit.
    """
    distinct = np.unique(probability)
    below = np.concatenate([[0.0], distinct[:-1]])
    thresholds = (below + distinct) / 2 if len(distinct) else np.array([0.5])
    order = np.sort(probability[is_positive]), np.sort(probability[~is_positive])
    hits, alarms = (len(side) - np.searchsorted(side, thresholds, side="left") for side in order)
    counts = np.empty((len(thresholds), 2, 2), dtype=np.int64)
    counts[:, 1, 1], counts[:, 1, 0] = hits, len(order[0]) - hits
    counts[:, 0, 1], counts[:, 0, 0] = alarms, len(order[1]) - alarms
    return thresholds, counts


def _reach_floor(
    objective: str,
    floor: tuple[str, float],
    thresholds: np.ndarray,
    counts: np.ndarray,
    values: np.ndarray,
    default: float,
    at_default: float,
) -> ThresholdChoice:
    """The threshold with the best F1 among those whose recall (or precision) reaches the floor on validation."""
    name, wanted = floor
    hits = counts[:, 1, 1]
    of = hits + (counts[:, 1, 0] if name == "recall" else counts[:, 0, 1])
    reached = np.divide(hits, of, out=np.zeros(len(hits)), where=of > 0) >= wanted
    if not reached.any():
        reason = f"{default:.3g}: no threshold reaches {objective} on validation"
        return ThresholdChoice(default, objective, default, at_default, at_default, None, reason)
    best = values[reached].max()
    good = np.flatnonzero(reached & (values >= best - 1e-12))
    at = good[np.abs(thresholds[good] - default).argmin()]
    low, high, _ = wilson_interval(int(hits[at]), int(of[at]))
    reason = (
        f"{thresholds[at]:.3g}: {name} {hits[at] / of[at]:.3f} on validation (95 % interval {low:.3f} to {high:.3f}), "
        f"the best F1 that reaches {objective}"
    )
    chosen = float(thresholds[at])
    return ThresholdChoice(chosen, objective, chosen, at_default, float(values[at]), None, reason)
