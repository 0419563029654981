"""F-beta (van Rijsbergen 1979): (1 + β²) tp / ((1 + β²) tp + β² fn + fp); β > 1 weighs recall, β < 1 precision."""

import numpy as np

from llmtune.metrics.core.averages import ClassRatio, averaged
from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.precision import hits, predicted
from llmtune.metrics.recall import referenced
from llmtune.predictions.kinds import CLASSIFICATION

KINDS = (CLASSIFICATION,)


def f_ratio(beta: float) -> ClassRatio:
    """F-beta of each class as a ratio of counts. It is no proportion of rows: its interval is a bootstrap's."""

    def numerator(matrices: np.ndarray) -> np.ndarray:
        return (1 + beta**2) * hits(matrices)

    def denominator(matrices: np.ndarray) -> np.ndarray:
        return beta**2 * referenced(matrices) + predicted(matrices)

    return ClassRatio(f"f{beta:g}", numerator, denominator, lacking="rows and predictions", proportion=False)


def metrics(setting: MetricContext) -> list[Metric]:
    """`f0.5` and `f2`, each binary, `_macro`, `_micro`, `_weighted` and by class."""
    return averaged(f_ratio(0.5), setting) + averaged(f_ratio(2), setting)
