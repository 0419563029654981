"""Hamming loss: share of wrong decisions among all rows and labels (Schapire and Singer 1999); 0 is best.

With many labels a row has few of, predicting none is hardly wrong: read it beside `f1_micro`.
"""

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext
from llmtune.metrics.core.clusters import mean_of, row_mean_interval, some_rows
from llmtune.metrics.core.label_averages import threshold_signature
from llmtune.predictions.kinds import MULTILABEL_CLASSIFICATION

KINDS = (MULTILABEL_CLASSIFICATION,)


def statistics(columns: Columns) -> np.ndarray:
    """Of each row the share of labels that are wrong, and 1: (n, 2)."""
    wrong = (columns["reference"] != columns["prediction"]).mean(axis=1)
    return np.stack([wrong, np.ones(len(wrong))], axis=1)


def metrics(setting: MetricContext) -> list[Metric]:
    """`hamming_loss`."""
    return [
        Metric(
            name="hamming_loss",
            statistics=statistics,
            score=mean_of(0),
            interval=row_mean_interval,
            signature=f"labels:{len(setting.label_names)}|{threshold_signature(setting)}",
            range=(0.0, 1.0),
            undefined=some_rows,
            higher_is_better=False,
        )
    ]
