"""Balanced accuracy: mean recall of the classes that occur; 1 / c for a constant prediction, whatever the shares."""

import numpy as np

from llmtune.metrics.parts.base import Metric, Setting, ratio
from llmtune.metrics.parts.confusion import ConfusionCounts, binary_options, resampled
from llmtune.metrics.recall import RECALL, referenced

KINDS = ("classification",)


def score(matrices: np.ndarray) -> np.ndarray:
    """Mean over classes with rows (as sklearn, which leaves out the others), (B, c, c) → (B,)."""
    return ratio(RECALL.per_class(matrices).sum(axis=1), (referenced(matrices) > 0).sum(axis=1))


def undefined(matrix: np.ndarray) -> str | None:
    """Without rows."""
    return None if matrix.sum() else "no rows to score"


def metrics(setting: Setting) -> list[Metric]:
    """`balanced_accuracy`."""
    counts = ConfusionCounts(len(setting.label_names))
    interval = resampled(setting, score, all_classes=False)
    signature = f"average:macro|{binary_options(setting)}"
    return [Metric("balanced_accuracy", counts, score, interval, signature, range=(0.0, 1.0), undefined=undefined)]
