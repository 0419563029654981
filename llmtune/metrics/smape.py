"""Symmetric MAPE (Makridakis): 2 |error| / (|target| + |forecast|), 0 to 2. Refused where a target is 0."""

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.errors import RowSums, error_metric, zero_targets
from llmtune.predictions.kinds import REGRESSION

KINDS = (REGRESSION,)


def symmetric(reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Error over the mean of both sizes, NaN at a target of 0."""
    size = np.where(reference == 0, np.nan, np.abs(reference) + np.abs(prediction))
    return 2 * np.abs(prediction - reference) / size


SYMMETRIC = RowSums(symmetric)


def metrics(setting: MetricContext) -> list[Metric]:
    """`smape`."""
    return [error_metric("smape", SYMMETRIC, unit="fraction", greatest=2.0, undefined=zero_targets)]
