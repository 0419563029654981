"""Quadratically weighted kappa (Cohen 1968): agreement beyond chance on classes in an order; a miss counts its square.

1 is perfect, 0 what the shares of the classes alone give; two steps off count four times as much as one. The order is
that of the label names.
"""

import numpy as np

from llmtune.metrics.cohen_kappa import undefined
from llmtune.metrics.core.base import Metric, MetricContext, ratio
from llmtune.metrics.core.confusion import ConfusionCounts, confusion_bootstrap_interval, decision_signature
from llmtune.predictions.kinds import CLASSIFICATION

KINDS = (CLASSIFICATION,)


def score(matrices: np.ndarray) -> np.ndarray:
    """(B, c, c) → (B,); 1 where reference and prediction are one same class throughout."""
    matrices = matrices.astype(np.float64)
    steps = np.arange(matrices.shape[1])
    weights = (steps[:, None] - steps) ** 2
    n = matrices.sum(axis=(1, 2))
    observed = (weights * matrices).sum(axis=(1, 2)) * n
    by_chance = (weights * matrices.sum(axis=2)[:, :, None] * matrices.sum(axis=1)[:, None, :]).sum(axis=(1, 2))
    return 1 - ratio(observed, by_chance)


def defined_score(matrices: np.ndarray) -> np.ndarray:
    """As `score`, but NaN where kappa is 0/0, as sklearn's is: it has no value there."""
    return np.where([undefined(matrix) is None for matrix in matrices], score(matrices), np.nan)


def metrics(setting: MetricContext) -> list[Metric]:
    """`qwk`."""
    return [
        Metric(
            "qwk",
            ConfusionCounts(len(setting.label_names)),
            defined_score,
            confusion_bootstrap_interval(setting, score, all_classes=False),
            f"weights:quadratic|{decision_signature(setting)}",
            range=(-1.0, 1.0),
            undefined=undefined,
            unit="agreement",
        )
    ]
