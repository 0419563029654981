"""ROC-AUC: chance that a positive row gets a higher probability than a negative one (ties half); 0.5 for a coin.

Blind to how rare the class is: below 10 % positives read average precision beside it.
"""

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext, SufficientStatistics, insufficient_support
from llmtune.metrics.core.ranks import RankedRows, split
from llmtune.predictions.kinds import CLASSIFICATION
from llmtune.stats import ConfidenceInterval, logit_interval

KINDS = (CLASSIFICATION,)


def placements(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each positive row the share of negatives below it (p,), for each negative that of positives above it (q,)."""
    positive, negative = (np.sort(part) for part in split(rows))
    wins = (np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")) / 2
    losses = (np.searchsorted(positive, negative, "left") + np.searchsorted(positive, negative, "right")) / 2
    return wins / len(negative), 1 - losses / len(positive)


def score(batches: np.ndarray) -> np.ndarray:
    """(B, n, 2) → (B,); NaN where only one class occurs."""
    scores = np.full(len(batches), np.nan)
    for i, rows in enumerate(batches):
        if 0 < rows[:, 1].sum() < len(rows):
            scores[i] = placements(rows)[0].mean()
    return scores


def interval(sample: SufficientStatistics) -> ConfidenceInterval:
    """DeLong's (1988) variance from the placements, on the logit scale."""
    rows = sample.statistics
    positives = int(rows[:, 1].sum())
    few = insufficient_support(positives, "positive rows") or insufficient_support(
        len(rows) - positives, "negative rows"
    )
    if few:
        return few
    above, below = placements(rows)
    error = np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))
    return logit_interval(float(above.mean()), float(error))


def undefined(rows: np.ndarray) -> str | None:
    """With one class there is no pair to rank."""
    positives = int(rows[:, 1].sum())
    if 0 < positives < len(rows):
        return None
    return f"{positives} positive and {len(rows) - positives} negative rows: a rank needs both"


def metrics(setting: MetricContext) -> list[Metric]:
    """`roc_auc` of the positive label, for two labels."""
    if setting.positive_id is None:
        return []
    return [
        Metric(
            name="roc_auc",
            statistics=RankedRows(setting.positive_id),
            score=score,
            interval=interval,
            signature=f"positive:{setting.label_names[setting.positive_id]}|ties:half|interval:delong-logit",
            range=(0.0, 1.0),
            needs=("reference", "probabilities"),
            undefined=undefined,
            additive=False,
        )
    ]
