"""Precision: share of the rows predicted as a class that are of it, tp / (tp + fp)."""

import numpy as np

from llmtune.metrics.core.averages import ClassRatio, averaged
from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.predictions.kinds import CLASSIFICATION

KINDS = (CLASSIFICATION,)


def hits(matrices: np.ndarray) -> np.ndarray:
    """True positives of each class, (B, c, c) → (B, c)."""
    return np.diagonal(matrices, axis1=1, axis2=2)


def predicted(matrices: np.ndarray) -> np.ndarray:
    """Rows predicted as each class, (B, c, c) → (B, c)."""
    return matrices.sum(axis=1)


PRECISION = ClassRatio("precision", hits, predicted, lacking="predictions", proportion=True)


def metrics(setting: MetricContext) -> list[Metric]:
    """`precision`, `precision_macro`, `_micro`, `_weighted`, `precision[LABEL]`."""
    return averaged(PRECISION, setting)
