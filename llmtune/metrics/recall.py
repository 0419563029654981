"""Recall: share of the rows of a class that are predicted as it, tp / (tp + fn)."""

from llmtune.metrics.core.averages import ClassRatio
from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.label_averages import averaged_by_kind
from llmtune.predictions.kinds import CLASSIFICATION, MULTILABEL_CLASSIFICATION

KINDS = (CLASSIFICATION, MULTILABEL_CLASSIFICATION)

RECALL = ClassRatio(
    "recall", lambda counts: counts.hits, lambda counts: counts.referenced, lacking="rows", proportion=True
)


def metrics(setting: MetricContext) -> list[Metric]:
    """`recall`, `recall_macro`, `_micro`, `_weighted`, `recall[LABEL]`; of several labels also `_samples`."""
    return averaged_by_kind(RECALL, setting)
