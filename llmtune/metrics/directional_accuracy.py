"""Directional accuracy: the share of steps whose change from the last known value has the sign foretold.

Chance is 0.5. A step without a change has no direction and is left out; a forecast of no change, as persistence makes,
counts one half.
"""

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext
from llmtune.metrics.core.clusters import cluster_bootstrap_interval, mean_of
from llmtune.predictions.kinds import REGRESSION

KINDS = (REGRESSION,)


def directions(columns: Columns) -> np.ndarray:
    """Steps of each row whose direction is right, and steps that have one, (n, 2)."""
    last = columns["last_value"][:, :1]
    actual, foretold = np.sign(columns["reference"] - last), np.sign(columns["prediction"] - last)
    right = np.where(foretold == 0, 0.5, foretold == actual)
    return np.stack([np.where(actual == 0, 0.0, right).sum(axis=1), (actual != 0).sum(axis=1)], axis=1).astype(float)


def undefined(sums: np.ndarray) -> str | None:
    """Where nothing ever changes."""
    return None if sums[1] else "no step differs from the last known value: there is no direction"


def metrics(setting: MetricContext) -> list[Metric]:
    """`directional_accuracy`."""
    return [
        Metric(
            name="directional_accuracy",
            statistics=directions,
            score=mean_of(0),
            interval=cluster_bootstrap_interval(mean_of(0)),
            signature="no_change_foretold:0.5|no_change:left_out",
            range=(0.0, 1.0),
            needs=("reference", "prediction", "last_value"),
            undefined=undefined,
        )
    ]
