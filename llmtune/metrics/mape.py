"""Mean absolute percentage error, |error| / |target| as a fraction (sklearn's scale). Refused where a target is 0."""

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.errors import RowSums, error_metric, zero_targets
from llmtune.predictions.kinds import REGRESSION

KINDS = (REGRESSION,)


def percentage_errors(reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Error over target (at least eps, as sklearn), NaN at a target of 0."""
    size = np.maximum(np.abs(reference), np.finfo(np.float64).eps)
    return np.abs(prediction - reference) / np.where(reference == 0, np.nan, size)


PERCENTAGE = RowSums(percentage_errors)


def metrics(setting: MetricContext) -> list[Metric]:
    """`mape`."""
    return [error_metric("mape", PERCENTAGE, unit="fraction", undefined=zero_targets)]
