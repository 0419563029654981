"""Balanced accuracy: mean recall of the classes that occur; 1 / c for a constant prediction, whatever the shares."""

from functools import partial

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext, SufficientStatistics, ratio
from llmtune.metrics.core.confusion import ConfusionCounts, decision_signature, require_support
from llmtune.metrics.recall import RECALL
from llmtune.predictions.kinds import CLASSIFICATION
from llmtune.stats import ConfidenceInterval, mean_of_proportions_interval

KINDS = (CLASSIFICATION,)


def score(matrices: np.ndarray) -> np.ndarray:
    """Mean over classes with rows (as sklearn, which leaves out the others), (B, c, c) → (B,)."""
    return ratio(RECALL.per_class(matrices).sum(axis=1), (matrices.sum(axis=2) > 0).sum(axis=1))


def interval_of(sample: SufficientStatistics, setting: MetricContext) -> ConfidenceInterval:
    """From Wilson's of the recall of each class that occurs, above the evidence floor in each."""
    matrix = sample.total
    occurring = np.flatnonzero(matrix.sum(axis=1))
    few = require_support(matrix, setting, occurring.tolist())
    return few or mean_of_proportions_interval(np.diagonal(matrix)[occurring], matrix.sum(axis=1)[occurring])


def undefined(matrix: np.ndarray) -> str | None:
    """Without rows."""
    return None if matrix.sum() else "no rows to score"


def metrics(setting: MetricContext) -> list[Metric]:
    """`balanced_accuracy`."""
    counts = ConfusionCounts(len(setting.label_names))
    interval = partial(interval_of, setting=setting)
    signature = f"average:macro|{decision_signature(setting)}"
    return [Metric("balanced_accuracy", counts, score, interval, signature, range=(0.0, 1.0), undefined=undefined)]
