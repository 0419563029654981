"""Cohen's kappa (1960): agreement beyond what the class shares alone give, (observed - expected) / (1 - expected)."""

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext, ratio
from llmtune.metrics.core.confusion import ConfusionCounts, confusion_bootstrap_interval, decision_signature
from llmtune.predictions.kinds import CLASSIFICATION

KINDS = (CLASSIFICATION,)


def score(matrices: np.ndarray) -> np.ndarray:
    """(B, c, c) → (B,); 0 where chance alone agrees on every row."""
    matrices = matrices.astype(np.float64)
    n = matrices.sum(axis=(1, 2))
    observed = np.trace(matrices, axis1=1, axis2=2) * n
    expected = (matrices.sum(axis=2) * matrices.sum(axis=1)).sum(axis=1)
    return ratio(observed - expected, n**2 - expected)


def defined_score(matrices: np.ndarray) -> np.ndarray:
    """As `score`, but NaN where kappa is 0/0, as sklearn's is: it has no value there."""
    return np.where([undefined(matrix) is None for matrix in matrices], score(matrices), np.nan)


def undefined(matrix: np.ndarray) -> str | None:
    """0/0 where reference and prediction are all the one same class."""
    if matrix.sum() == 0:
        return "no rows to score"
    if (np.diagonal(matrix) == matrix.sum()).any():
        return "reference and prediction are one same class throughout: kappa is 0/0"
    return None


def metrics(setting: MetricContext) -> list[Metric]:
    """`cohen_kappa`, unweighted."""
    counts = ConfusionCounts(len(setting.label_names))
    interval = confusion_bootstrap_interval(setting, score, all_classes=False)
    signature = f"weights:none|{decision_signature(setting)}"
    return [
        Metric(
            "cohen_kappa",
            counts,
            defined_score,
            interval,
            signature,
            range=(-1.0, 1.0),
            undefined=undefined,
            unit="agreement",
        )
    ]
