"""Recall: share of the rows of a class that are predicted as it, tp / (tp + fn)."""

import numpy as np

from llmtune.metrics.core.averages import ClassRatio, averaged
from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.precision import hits
from llmtune.predictions.kinds import CLASSIFICATION

KINDS = (CLASSIFICATION,)


def referenced(matrices: np.ndarray) -> np.ndarray:
    """Rows of each class, (B, c, c) → (B, c)."""
    return matrices.sum(axis=2)


RECALL = ClassRatio("recall", hits, referenced, lacking="rows", proportion=True)


def metrics(setting: MetricContext) -> list[Metric]:
    """`recall`, `recall_macro`, `_micro`, `_weighted`, `recall[LABEL]`."""
    return averaged(RECALL, setting)
