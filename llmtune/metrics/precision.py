"""Precision: share of the rows predicted as a class that are of it, tp / (tp + fp)."""

from llmtune.metrics.core.averages import ClassRatio
from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.label_averages import averaged_by_kind
from llmtune.predictions.kinds import CLASSIFICATION, MULTILABEL_CLASSIFICATION

KINDS = (CLASSIFICATION, MULTILABEL_CLASSIFICATION)

PRECISION = ClassRatio(
    "precision", lambda counts: counts.hits, lambda counts: counts.predicted, lacking="predictions", proportion=True
)


def metrics(setting: MetricContext) -> list[Metric]:
    """`precision`, `precision_macro`, `_micro`, `_weighted`, `precision[LABEL]`; of several labels also `_samples`."""
    return averaged_by_kind(PRECISION, setting)
