"""F1 (van Rijsbergen 1979): harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn).

Always saying the class scores 2p / (1 + p), p its share. `f1_macro` is the mean of the F1 of classes.
"""

from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.label_averages import averaged_by_kind
from llmtune.metrics.f_beta import f_ratio
from llmtune.predictions.kinds import CLASSIFICATION, MULTILABEL_CLASSIFICATION

KINDS = (CLASSIFICATION, MULTILABEL_CLASSIFICATION)

F1 = f_ratio(1)


def metrics(setting: MetricContext) -> list[Metric]:
    """`f1`, `f1_macro`, `_micro`, `_weighted`, `f1[LABEL]`; of several labels also `f1_samples`, and no `f1`."""
    return averaged_by_kind(F1, setting)
