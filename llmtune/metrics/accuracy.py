"""Accuracy: share of rows whose prediction is the reference. A constant guess scores its class's share."""

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext, SufficientStatistics, ratio
from llmtune.metrics.core.confusion import ConfusionCounts, decision_signature
from llmtune.predictions.kinds import CLASSIFICATION
from llmtune.stats import ConfidenceInterval, wilson_interval

KINDS = (CLASSIFICATION,)


def score(matrices: np.ndarray) -> np.ndarray:
    """Hits over rows, (B, c, c) → (B,)."""
    return ratio(np.trace(matrices, axis1=1, axis2=2), matrices.sum(axis=(1, 2)))


def interval(sample: SufficientStatistics) -> ConfidenceInterval:
    """Wilson's."""
    return wilson_interval(int(np.trace(sample.total)), int(sample.total.sum()))


def undefined(matrix: np.ndarray) -> str | None:
    """Without rows."""
    return None if matrix.sum() else "no rows to score"


def metrics(setting: MetricContext) -> list[Metric]:
    """`accuracy`."""
    counts = ConfusionCounts(len(setting.label_names))
    signature = decision_signature(setting)
    return [Metric("accuracy", counts, score, interval, signature, range=(0.0, 1.0), undefined=undefined)]
