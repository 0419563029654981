"""Root of the mean squared error over all steps of all rows, in units of the target."""

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.errors import SQUARED, error_metric, mean
from llmtune.predictions.kinds import REGRESSION

KINDS = (REGRESSION,)


def score(sums: np.ndarray) -> np.ndarray:
    """(B, 2) → (B,)."""
    return np.sqrt(mean(sums))


def metrics(setting: MetricContext) -> list[Metric]:
    """`rmse`."""
    return [error_metric("rmse", SQUARED, score, root=2, unit="target")]
