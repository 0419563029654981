"""Prediction intervals: the share of steps that lie within theirs (`coverage`), and their mean width.

A coverage near the level that the intervals were made for is right; more is too wide, less is too sure.
"""

import math

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext
from llmtune.metrics.core.clusters import cluster_bootstrap_interval, mean_of, some_rows
from llmtune.predictions.kinds import REGRESSION

KINDS = (REGRESSION,)


def covered(columns: Columns) -> np.ndarray:
    """Steps of each row within their interval, and all its steps, (n, 2)."""
    inside = (columns["lower"] <= columns["reference"]) & (columns["reference"] <= columns["upper"])
    return np.stack([inside.sum(axis=1), np.full(len(inside), inside.shape[1])], axis=1).astype(float)


def widths(columns: Columns) -> np.ndarray:
    """Widths of each row summed, and its steps, (n, 2)."""
    width = columns["upper"] - columns["lower"]
    return np.stack([width.sum(axis=1), np.full(len(width), width.shape[1])], axis=1)


def metrics(setting: MetricContext) -> list[Metric]:
    """`coverage` and `interval_width`."""
    level = setting.options.get("interval_level")
    signature = "level:unknown" if level is None else f"level:{level:g}"
    interval = cluster_bootstrap_interval(mean_of(0))
    ends = ("lower", "upper")
    return [
        Metric(
            "coverage", covered, mean_of(0), interval, signature, (0.0, 1.0), ("reference", *ends), some_rows
        ),
        Metric(
            "interval_width", widths, mean_of(0), interval, signature, (0.0, math.inf), ends, some_rows,
            higher_is_better=False, unit="target",
        ),
    ]  # fmt: skip
