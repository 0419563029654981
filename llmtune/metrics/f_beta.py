"""F-beta (van Rijsbergen 1979): (1 + β²) tp / ((1 + β²) tp + β² fn + fp); β > 1 weighs recall, β < 1 precision."""

import numpy as np

from llmtune.metrics.core.averages import ClassRatio, ClassTotals
from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.label_averages import averaged_by_kind
from llmtune.predictions.kinds import CLASSIFICATION, MULTILABEL_CLASSIFICATION

KINDS = (CLASSIFICATION, MULTILABEL_CLASSIFICATION)


def f_ratio(beta: float) -> ClassRatio:
    """F-beta of each class as a ratio of counts. It is no proportion of rows: its interval is a bootstrap's."""

    def numerator(counts: ClassTotals) -> np.ndarray:
        return (1 + beta**2) * counts.hits

    def denominator(counts: ClassTotals) -> np.ndarray:
        return beta**2 * counts.referenced + counts.predicted

    return ClassRatio(f"f{beta:g}", numerator, denominator, lacking="rows and predictions", proportion=False)


def metrics(setting: MetricContext) -> list[Metric]:
    """`f0.5` and `f2`, each binary, `_macro`, `_micro`, `_weighted` and by class."""
    return averaged_by_kind(f_ratio(0.5), setting) + averaged_by_kind(f_ratio(2), setting)
