"""Accuracy: share of rows whose prediction is the reference. A constant guess scores its class's share."""

import numpy as np

from llmtune.metrics.core.base import Metric, Sample, Setting, ratio
from llmtune.metrics.core.confusion import ConfusionCounts, binary_options
from llmtune.stats import Interval, wilson_interval

KINDS = ("classification",)


def score(matrices: np.ndarray) -> np.ndarray:
    """Hits over rows, (B, c, c) → (B,)."""
    return ratio(np.trace(matrices, axis1=1, axis2=2), matrices.sum(axis=(1, 2)))


def interval(sample: Sample) -> Interval:
    """Wilson's."""
    return wilson_interval(int(np.trace(sample.total)), int(sample.total.sum()))


def undefined(matrix: np.ndarray) -> str | None:
    """Without rows."""
    return None if matrix.sum() else "no rows to score"


def metrics(setting: Setting) -> list[Metric]:
    """`accuracy`."""
    counts = ConfusionCounts(len(setting.label_names))
    signature = binary_options(setting)
    return [Metric("accuracy", counts, score, interval, signature, range=(0.0, 1.0), undefined=undefined)]
