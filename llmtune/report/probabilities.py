"""What a page draws of the probabilities of a table: the threshold slider and the calibration bins.

Letters: n rows, t thresholds.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from llmtune.diagnosis.calibration import label_decisions
from llmtune.metrics.ece import reliability_curve
from llmtune.predictions import Predictions
from llmtune.thresholds.decision import counts_at, counts_at_thresholds

# Of the slider. A model's probabilities crowd at both ends, so it has more steps there.
ENDS = (1e-5, 3e-5, 1e-4, 3e-4, 6e-4)
STEPS = 500
MOST_RANKED = 4  # classes whose curves are told apart in one plot


@dataclass(frozen=True)
class Slider:
    """What every position of the threshold slider shows.

    Args:
        thresholds: (t,) ascending; the run's own is among them.
        hits: (t,) true positives.
        alarms: (t,) false positives.
        positives: rows of the positive label.
        negatives: all other rows.
        chosen: position of the run's own threshold.
        curve: (recall, precision) of the distinct thresholds, for the plot.
    """

    thresholds: np.ndarray
    hits: np.ndarray
    alarms: np.ndarray
    positives: int
    negatives: int
    chosen: int
    curve: tuple[np.ndarray, np.ndarray]


def build_slider(test: Predictions) -> Slider | None:
    """Counts at each threshold, of two classes with finite probabilities; None otherwise."""
    positives = positive_probabilities(test)
    if positives is None:
        return None
    is_positive, probability = positives
    ends = np.array([*ENDS, *(1 - np.array(ENDS))])
    grid = np.unique(np.concatenate([np.arange(STEPS + 1) / STEPS, ends, [test.threshold]]))
    counts = np.array([counts_at(is_positive, probability, threshold) for threshold in grid])
    _, fine = counts_at_thresholds(is_positive, probability)
    if len(fine) > STEPS:
        fine = fine[np.linspace(0, len(fine) - 1, STEPS).round().astype(int)]
    hits, alarms = fine[:, 1, 1], fine[:, 0, 1]
    recall = hits / max(1, int(is_positive.sum()))
    return Slider(
        grid,
        counts[:, 1, 1],
        counts[:, 0, 1],
        int(is_positive.sum()),
        int((~is_positive).sum()),
        int(np.searchsorted(grid, test.threshold)),
        (recall, hits / np.maximum(1, hits + alarms)),
    )


class RankedClass(NamedTuple):
    """How a class is ranked against the others.

    Args:
        name: of the class.
        roc: (false positive rate, recall), (t,) each, ascending.
        precision_recall: (recall, precision), (t,) each.
    """

    name: str
    roc: tuple[np.ndarray, np.ndarray]
    precision_recall: tuple[np.ndarray, np.ndarray]


def ranked_classes(test: Predictions) -> list[RankedClass]:
    """ROC and precision-recall curves by scikit-learn: of the positive label, or of each of the most frequent classes.

    Of more than two classes each stands against the rest. Empty where a probability is not finite or missing.
    """
    classes = test.kind.single_label or test.kind.multi_label
    if not classes or not test.has("probabilities") or not np.isfinite(test.probabilities()).all():
        return []
    from sklearn.metrics import precision_recall_curve, roc_curve

    probabilities = test.probabilities()
    truth = indicators(test)
    counts = truth.sum(axis=0)
    shown = [test.positive_id] if test.has_positive else np.argsort(-counts, kind="stable")[:MOST_RANKED]
    found = []
    for label in shown:
        if 0 < counts[label] < len(truth):
            false_alarms, recall, _ = roc_curve(truth[:, label], probabilities[:, label])
            precision, gained, _ = precision_recall_curve(truth[:, label], probabilities[:, label])
            found.append(
                RankedClass(
                    test.label_names[label], _thinned(false_alarms, recall), _thinned(gained[::-1], precision[::-1])
                )
            )
    return found


def indicators(test: Predictions) -> np.ndarray:
    """Which classes or labels each row has, bool (n, c)."""
    if test.kind.multi_label:
        return test.label_sets("reference")
    return test.label_ids("reference")[:, None] == np.arange(len(test.label_names))


def _thinned(xs: np.ndarray, ys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    places = np.unique(np.linspace(0, len(xs) - 1, STEPS).round().astype(int))
    return xs[places], ys[places]


def positive_probabilities(test: Predictions) -> tuple[np.ndarray, np.ndarray] | None:
    """Whether each row is of the positive label, and its probability; None unless two classes and all finite."""
    if not test.has_positive or not test.has("probabilities"):
        return None
    probability = test.probabilities()[:, test.positive_id]
    if not np.isfinite(probability).all():
        return None
    return test.label_ids("reference") == test.positive_id, probability


def calibration_bins(test: Predictions) -> list[tuple[float, float, int]]:
    """Mean confidence, observed frequency and rows of each bin of `ece` that holds rows; empty without them.

    Of several labels a row every label of every row counts.
    """
    if test.kind.multi_label:
        test = label_decisions(test)
    if not test.kind.single_label or not test.has("probabilities"):
        return []
    probabilities = test.probabilities()
    if not np.isfinite(probabilities).all():
        return []
    positive = test.positive_id if len(test.label_names) == 2 else None
    return reliability_curve({"reference": test.label_ids("reference"), "probabilities": probabilities}, positive)
