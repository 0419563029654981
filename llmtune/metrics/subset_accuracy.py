"""Subset accuracy: share of rows whose set of labels is exactly the reference's (Ghamrawi and McCallum 2005).

It falls with the number of labels: read it beside `f1_micro`.
"""

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, SufficientStatistics
from llmtune.metrics.core.clusters import mean_of, some_rows
from llmtune.metrics.core.label_averages import threshold_signature
from llmtune.predictions.kinds import MULTILABEL_CLASSIFICATION
from llmtune.stats import ConfidenceInterval, wilson_interval

KINDS = (MULTILABEL_CLASSIFICATION,)


def statistics(columns: Columns) -> np.ndarray:
    """Whether each row is right as a whole, and 1: (n, 2)."""
    right = (columns["reference"] == columns["prediction"]).all(axis=1)
    return np.stack([right, np.ones(len(right))], axis=1).astype(np.float64)


def interval(sample: SufficientStatistics) -> ConfidenceInterval:
    """Wilson's."""
    return wilson_interval(int(sample.total[0]), int(sample.total[1]))


def metrics(setting: MetricContext) -> list[Metric]:
    """`subset_accuracy`."""
    at = threshold_signature(setting)
    return [Metric("subset_accuracy", statistics, mean_of(0), interval, at, range=(0.0, 1.0), undefined=some_rows)]
