"""Matthews correlation (Matthews 1975; Gorodkin 2004 for c classes): 1 perfect, 0 chance or a constant, -1 inverted."""

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext, ratio
from llmtune.metrics.core.confusion import ConfusionCounts, confusion_bootstrap_interval, decision_signature
from llmtune.predictions.kinds import CLASSIFICATION

KINDS = (CLASSIFICATION,)


def score(matrices: np.ndarray) -> np.ndarray:
    """Covariance of reference and prediction over the product of their deviations, (B, c, c) → (B,)."""
    matrices = matrices.astype(np.float64)
    n = matrices.sum(axis=(1, 2))
    hits = np.trace(matrices, axis1=1, axis2=2)
    referenced, predicted = matrices.sum(axis=2), matrices.sum(axis=1)
    together = hits * n - (referenced * predicted).sum(axis=1)
    spread = (n**2 - (referenced**2).sum(axis=1)) * (n**2 - (predicted**2).sum(axis=1))
    return ratio(together, np.sqrt(spread))


def undefined(matrix: np.ndarray) -> str | None:
    """0/0 where reference or prediction knows a single class."""
    if matrix.sum() == 0:
        return "no rows to score"
    for side, counts in (("reference", matrix.sum(axis=1)), ("prediction", matrix.sum(axis=0))):
        if (counts > 0).sum() == 1:
            return f"every {side} is the same class: mcc is 0/0, set to 0 (sklearn)"
    return None


def metrics(setting: MetricContext) -> list[Metric]:
    """`mcc`."""
    counts = ConfusionCounts(len(setting.label_names))
    interval = confusion_bootstrap_interval(setting, score, all_classes=False)
    return [
        Metric(
            "mcc",
            counts,
            score,
            interval,
            decision_signature(setting),
            range=(-1.0, 1.0),
            undefined=undefined,
            unit="correlation",
        )
    ]
