"""Classes in an order: by how many steps predictions miss (`mae_steps`), and the share at most one step off.

The order is that of the label names. `within_one_step` less `accuracy` is the share of near misses, the rest is far.
"""

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext, SufficientStatistics, insufficient_support, ratio
from llmtune.metrics.core.confusion import ConfusionCounts, decision_signature
from llmtune.predictions.kinds import CLASSIFICATION
from llmtune.stats import ConfidenceInterval, mean_interval, wilson_interval

KINDS = (CLASSIFICATION,)


def distances(classes: int) -> np.ndarray:
    """Steps between each two of c classes, (c, c)."""
    steps = np.arange(classes)
    return np.abs(steps[:, None] - steps)


def mean_steps(matrices: np.ndarray) -> np.ndarray:
    """(B, c, c) → (B,)."""
    off = (distances(matrices.shape[1]) * matrices).sum(axis=(1, 2))
    return ratio(off.astype(np.float64), matrices.sum(axis=(1, 2)))


def within_one(matrices: np.ndarray) -> np.ndarray:
    """(B, c, c) → (B,)."""
    near = ((distances(matrices.shape[1]) <= 1) * matrices).sum(axis=(1, 2))
    return ratio(near.astype(np.float64), matrices.sum(axis=(1, 2)))


def interval_of_mean(sample: SufficientStatistics) -> ConfidenceInterval:
    """Student's t, corrected for skewness, of the steps of all rows."""
    matrix = sample.total
    off = distances(len(matrix))
    n, total, squares, cubes = ((off**power * matrix).sum() for power in range(4))
    return insufficient_support(n, "rows") or mean_interval(n, total, squares, cubes)


def interval_of_share(sample: SufficientStatistics) -> ConfidenceInterval:
    """Wilson's."""
    matrix = sample.total
    return wilson_interval(int(matrix[distances(len(matrix)) <= 1].sum()), int(matrix.sum()))


def undefined(matrix: np.ndarray) -> str | None:
    """Without rows."""
    return None if matrix.sum() else "no rows to score"


def metrics(setting: MetricContext) -> list[Metric]:
    """`mae_steps` and `within_one_step`."""
    counts, signature = ConfusionCounts(len(setting.label_names)), decision_signature(setting)
    greatest = float(max(1, len(setting.label_names) - 1))
    return [
        Metric(
            "mae_steps", counts, mean_steps, interval_of_mean, signature, (0.0, greatest), undefined=undefined,
            higher_is_better=False, unit="steps",
        ),
        Metric("within_one_step", counts, within_one, interval_of_share, signature, (0.0, 1.0), undefined=undefined),
    ]  # fmt: skip
