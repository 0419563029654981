"""Average precision: precision at each threshold, weighted by the recall it gains (the step sum, not the trapezoid).

A model without skill scores the share of positives, so read it beside that share.
"""

from collections.abc import Sequence

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext, SufficientStatistics, insufficient_support
from llmtune.metrics.core.ranks import RankedRows, macro_metric
from llmtune.predictions.kinds import CLASSIFICATION, MULTILABEL_CLASSIFICATION, kind_named
from llmtune.stats import ConfidenceInterval, logit_interval

KINDS = (CLASSIFICATION, MULTILABEL_CLASSIFICATION)


def thresholds(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Over the t distinct probabilities, falling: positives and rows at or above each (t,), and at each (t,)."""
    order = np.argsort(-rows[:, 0], kind="stable")
    falling, truth = rows[order, 0], rows[order, 1]
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    hits, count = np.cumsum(truth)[last], last + 1.0
    return hits, count, np.diff(hits, prepend=0), np.diff(count, prepend=0)


def score(batches: np.ndarray) -> np.ndarray:
    """(B, n, 2) → (B,); 0 without positives, as sklearn."""
    scores = np.zeros(len(batches))
    for i, rows in enumerate(batches):
        if rows[:, 1].sum():
            hits, count, new_hits, _ = thresholds(rows)
            scores[i] = (new_hits / hits[-1] * (hits / count)).sum()
    return scores


def interval(sample: SufficientStatistics) -> ConfidenceInterval:
    """Infinitesimal jackknife (Efron 1982): what one more of each row would change; on the logit scale."""
    rows = sample.statistics
    positives = int(rows[:, 1].sum())
    few = insufficient_support(positives, "positive rows") or insufficient_support(
        len(rows) - positives, "negative rows"
    )
    if few:
        return few
    return logit_interval(float(score(rows[None])[0]), float(np.sqrt((influence(rows) ** 2).sum())))


def influence(rows: np.ndarray) -> np.ndarray:
    """What one more of each row would change, (n, 2) → (n,): their squares add up to the variance."""
    hits, count, new_hits, _ = thresholds(rows)
    positives, value = hits[-1], float((new_hits / hits[-1] * (hits / count)).sum())
    # A row of weight w at threshold k raises count at every lower threshold, and hits too if it is positive.
    below = np.cumsum((new_hits / count**2 * (count - hits))[::-1])[::-1]
    against = np.cumsum((new_hits / count**2 * hits)[::-1])[::-1]
    at = np.searchsorted(-np.unique(rows[:, 0])[::-1], -rows[:, 0])
    is_positive = rows[:, 1] == 1
    changes: np.ndarray = np.where(is_positive, (hits / count - value + below)[at], -against[at])
    return changes / np.sqrt(positives * (positives - 1))


def undefined(rows: np.ndarray) -> str | None:
    """Without positives precision has nothing to find."""
    if rows[:, 1].sum():
        return None
    return f"no positive row among {len(rows)}: average precision is set to 0 (sklearn)"


def undefined_label(rows: np.ndarray, names: Sequence[str]) -> str | None:
    """Names the first label without positives, (n, c, 2)."""
    missing = next((name for name, n in zip(names, rows[:, :, 1].sum(axis=0), strict=True) if not n), None)
    return None if missing is None else f"no row of {missing!r}: its average precision is set to 0 (sklearn)"


def metrics(setting: MetricContext) -> list[Metric]:
    """`average_precision` of the positive label, for two labels; of several a row `average_precision_macro`."""
    if kind_named(setting.kind).multi_label:
        macro = macro_metric(
            "average_precision_macro",
            setting,
            score=score,
            influence=influence,
            undefined=undefined_label,
            signature="sum:step|interval:jackknife-wilson",
        )
        return [macro]
    if setting.positive_id is None:
        return []
    return [
        Metric(
            name="average_precision",
            statistics=RankedRows(setting.positive_id),
            score=score,
            interval=interval,
            signature=f"positive:{setting.label_names[setting.positive_id]}|sum:step|interval:jackknife-logit",
            range=(0.0, 1.0),
            needs=("reference", "probabilities"),
            undefined=undefined,
            additive=False,
        )
    ]
