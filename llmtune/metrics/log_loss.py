"""Log loss: mean of -ln(probability given to the reference class), in nats; ln c for a uniform guess of c classes."""

import math

import numpy as np

from llmtune.metrics.core import moments
from llmtune.metrics.core.base import Columns, Metric, MetricContext
from llmtune.predictions.kinds import CLASSIFICATION

KINDS = (CLASSIFICATION,)


def statistics(columns: Columns) -> np.ndarray:
    """Power sums of the rows' losses. Probabilities are clipped to [eps, 1 - eps] of float64, as sklearn does."""
    probabilities, reference = columns["probabilities"], columns["reference"]
    eps = np.finfo(np.float64).eps
    given = np.clip(probabilities[np.arange(len(reference)), reference], eps, 1 - eps)
    return moments.power_sums(-np.log(given))


def metrics(setting: MetricContext) -> list[Metric]:
    """`log_loss`."""
    return [
        Metric(
            name="log_loss",
            statistics=statistics,
            score=moments.row_mean,
            interval=moments.interval,
            signature="log:e|clip:2.2e-16",
            range=(0.0, math.inf),
            needs=("reference", "probabilities"),
            undefined=moments.undefined,
            higher_is_better=False,
            unit="nats",
        )
    ]
