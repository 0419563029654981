"""What the threshold that validation chose gained on the test rows. Informs; it never decides."""

from typing import Any

import numpy as np

from llmtune.diagnosis.check import FAIL, PASS, Check, not_applicable
from llmtune.evidence import ENOUGH, SURE_LEVEL
from llmtune.metrics.core.base import ratio
from llmtune.metrics.core.label_averages import label_counts
from llmtune.predictions import Predictions
from llmtune.predictions.table import THRESHOLDS
from llmtune.stats import ConfidenceInterval, paired_cluster_bootstrap, paired_multinomial_interval
from llmtune.thresholds.decision import f_beta

NAME = "threshold"
LARGE = 0.01


def threshold(predictions: Predictions, objective: str | None = None, *, seed: int = 0) -> Check:
    """F1 at the stored threshold against F1 at 0.5, on the same rows; of several labels a row micro F1.

    Args:
        predictions: two classes, or several labels a row, with probabilities.
        objective: that the threshold was chosen for; for another than F1 a loss of F1 is its price, no fault.
        seed: of the bootstrap.
    """
    if not predictions.has_positive and not predictions.kind.multi_label:
        return not_applicable(NAME, "a threshold is for two classes, or for several labels a row")
    if not predictions.has("probabilities"):
        return not_applicable(NAME, "the table has no column 'probabilities'")
    if predictions.threshold == 0.5 and THRESHOLDS not in predictions.settings:
        return not_applicable(NAME, "the threshold is 0.5: none was tuned")
    if predictions.kind.multi_label:
        return _of_label_sets(predictions, objective, seed)
    positive = predictions.positive_id
    is_positive = predictions.label_ids("reference") == positive
    probability = np.nan_to_num(predictions.probabilities()[:, positive], nan=-1.0)
    cells = np.zeros((2, 2, 2), dtype=np.int64)
    at = (is_positive, probability >= 0.5, probability >= predictions.threshold)
    np.add.at(cells, tuple(rows.astype(int) for rows in at), 1)
    f1 = f_beta(1.0)
    default, tuned = (float(f1(cells.sum(axis=axis))) for axis in (2, 1))
    numbers = {"threshold": predictions.threshold, "f1_at_half": default, "f1": tuned, "objective": objective}
    said = f"F1 of {predictions.positive_name} on test {tuned:.3f} at {predictions.threshold:.3g}, {default:.3f} at 0.5"
    if is_positive.sum() < ENOUGH:
        return Check(
            NAME, PASS, f"{said}; {int(is_positive.sum())} positive rows are too few to tell a difference", numbers
        )
    gain, interval = paired_multinomial_interval(cells, f1, seed=seed, level=SURE_LEVEL)
    return _judged(said, gain, interval, numbers, objective)


def _of_label_sets(predictions: Predictions, objective: str | None, seed: int) -> Check:
    probabilities = np.nan_to_num(predictions.probabilities(), nan=-1.0)
    reference = predictions.label_sets("reference")
    half, own = (
        label_counts({"reference": reference, "prediction": probabilities >= at}).reshape(len(reference), -1)
        for at in (0.5, predictions.thresholds)
    )

    def micro(sums: np.ndarray) -> np.ndarray:
        hits, predicted, referenced = np.moveaxis(sums.reshape(len(sums), -1, 3).sum(axis=1), 1, 0)
        return ratio(2 * hits, predicted + referenced)

    default, tuned = (float(micro(rows.sum(axis=0)[None])[0]) for rows in (half, own))
    numbers = {"thresholds": predictions.thresholds.tolist(), "f1_micro_at_half": default, "f1_micro": tuned}
    said = f"micro F1 on test {tuned:.3f} at the thresholds, {default:.3f} at 0.5"
    gain, interval = paired_cluster_bootstrap(half, own, micro, seed=seed, level=SURE_LEVEL)
    return _judged(said, gain, interval, {**numbers, "objective": objective}, objective)


def _judged(
    said: str, gain: float, interval: ConfidenceInterval, numbers: dict[str, Any], objective: str | None
) -> Check:
    numbers = {**numbers, "gain": gain, "low": interval.low, "high": interval.high}
    if interval.high is not None and interval.high < 0 and gain <= -LARGE and objective in (None, "f1"):
        remedy = "--threshold_objective none keeps 0.5; with more validation rows the choice is more reliable"
        return Check(NAME, FAIL, f"The tuned threshold is significantly worse on test: {said}", numbers, remedy)
    return Check(
        NAME,
        PASS,
        f"The tuned threshold is not significantly worse: {said}"
        if gain <= 0
        else f"The tuned threshold is better: {said}",
        numbers,
    )
