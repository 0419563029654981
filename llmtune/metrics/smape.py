"""Symmetric MAPE (Makridakis): 2 |error| / (|target| + |forecast|), 0 to 2.

A target of 0 counts 2 whatever is forecast but 0, and 0 where both are 0, as in torchmetrics.
"""

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext, ratio
from llmtune.metrics.core.errors import RowSums, error_metric
from llmtune.predictions.kinds import REGRESSION

KINDS = (REGRESSION,)
SIGNATURE = "average:steps of all rows|zero_target:2|0/0:0"


def symmetric(reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Error over the mean of both sizes, 0 where both are 0."""
    return 2 * ratio(np.abs(prediction - reference), np.abs(reference) + np.abs(prediction))


SYMMETRIC = RowSums(symmetric)


def metrics(setting: MetricContext) -> list[Metric]:
    """`smape`; not of texts, whose scores may be 0 and below without meaning nothing."""
    if setting.options.get("of_texts"):
        return []
    return [error_metric("smape", SYMMETRIC, unit="fraction", greatest=2.0, signature=SIGNATURE)]
