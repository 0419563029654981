"""ROC-AUC: chance that a positive row gets a higher probability than a negative one (ties half); 0.5 for a coin.

Blind to how rare the class is: below 10 % positives read average precision beside it.
"""

from collections.abc import Sequence

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext, SufficientStatistics, insufficient_support
from llmtune.metrics.core.ranks import RankedRows, macro_metric, split
from llmtune.predictions.kinds import CLASSIFICATION, MULTILABEL_CLASSIFICATION, kind_named
from llmtune.stats import ConfidenceInterval, logit_interval

KINDS = (CLASSIFICATION, MULTILABEL_CLASSIFICATION)


def placements(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each positive row the share of negatives below it (p,), for each negative that of positives above it (q,).

    Both in the order of the rows.
    """
    parts = split(rows)
    positive, negative = (np.sort(part) for part in parts)
    wins = (np.searchsorted(negative, parts[0], "left") + np.searchsorted(negative, parts[0], "right")) / 2
    losses = (np.searchsorted(positive, parts[1], "left") + np.searchsorted(positive, parts[1], "right")) / 2
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


def influence(rows: np.ndarray) -> np.ndarray:
    """What one more of each row would change, (n, 2) → (n,): their squares add up to DeLong's variance."""
    is_positive = rows[:, 1] == 1
    changes = np.empty(len(rows))
    for rows_of_side, placed in zip((is_positive, ~is_positive), placements(rows), strict=True):
        n = len(placed)
        changes[rows_of_side] = (placed - placed.mean()) / np.sqrt(n * (n - 1))
    return changes


def undefined(rows: np.ndarray) -> str | None:
    """With one class there is no pair to rank."""
    positives = int(rows[:, 1].sum())
    if 0 < positives < len(rows):
        return None
    return f"{positives} positive and {len(rows) - positives} negative rows: a rank needs both"


def undefined_label(rows: np.ndarray, names: Sequence[str]) -> str | None:
    """Names the first label that all rows have, or none, (n, c, 2)."""
    for name, positives in zip(names, rows[:, :, 1].sum(axis=0), strict=True):
        if not 0 < positives < len(rows):
            return f"{int(positives)} rows of {name!r} and {len(rows) - int(positives)} without: a rank needs both"
    return None


def metrics(setting: MetricContext) -> list[Metric]:
    """`roc_auc` of the positive label, for two labels; of several a row `roc_auc_macro`."""
    if kind_named(setting.kind).multi_label:
        macro = macro_metric(
            "roc_auc_macro",
            setting,
            score=score,
            influence=influence,
            undefined=undefined_label,
            signature="ties:half|interval:delong-wilson",
        )
        return [macro]
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
