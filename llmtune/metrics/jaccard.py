"""Jaccard index of each row's labels: those in reference and prediction over those in either, averaged over rows.

A row without labels that is predicted none is 0/0, set to 0 as by scikit-learn's `zero_division=0`.
"""

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, ratio
from llmtune.metrics.core.clusters import mean_of, row_mean_interval, some_rows
from llmtune.metrics.core.label_averages import threshold_signature
from llmtune.predictions.kinds import MULTILABEL_CLASSIFICATION

KINDS = (MULTILABEL_CLASSIFICATION,)


def statistics(columns: Columns) -> np.ndarray:
    """The index of each row, and 1: (n, 2)."""
    reference, prediction = columns["reference"], columns["prediction"]
    index = ratio((reference & prediction).sum(axis=1), (reference | prediction).sum(axis=1))
    return np.stack([index, np.ones(len(index))], axis=1)


def metrics(setting: MetricContext) -> list[Metric]:
    """`jaccard_samples`."""
    return [
        Metric(
            name="jaccard_samples",
            statistics=statistics,
            score=mean_of(0),
            interval=row_mean_interval,
            signature=f"average:samples|labels:{len(setting.label_names)}|{threshold_signature(setting)}|zero_division:0",
            range=(0.0, 1.0),
            undefined=some_rows,
        )
    ]
