"""Brier score (1950): mean squared error of the probabilities. For two labels half the sum over classes, as sklearn."""

from dataclasses import dataclass

import numpy as np

from llmtune.metrics.core import moments
from llmtune.metrics.core.base import Columns, Metric, MetricContext
from llmtune.predictions.kinds import CLASSIFICATION

KINDS = (CLASSIFICATION,)


@dataclass(frozen=True)
class SquaredErrors:
    """Statistics: power sums of the rows' squared errors, summed over classes times `scale`."""

    scale: float

    def __call__(self, columns: Columns) -> np.ndarray:
        """Shape (1, 4)."""
        reference = columns["reference"]
        errors = columns["probabilities"].astype(np.float64)
        errors[np.arange(len(reference)), reference] -= 1
        return moments.power_sums(self.scale * (errors**2).sum(axis=1))


def metrics(setting: MetricContext) -> list[Metric]:
    """`brier`: within [0, 1] for two labels, [0, 2] for more. lm-eval's is always the sum, twice sklearn's for two."""
    scale = 0.5 if len(setting.label_names) == 2 else 1.0
    return [
        Metric(
            name="brier",
            statistics=SquaredErrors(scale),
            score=moments.row_mean,
            interval=moments.interval,
            signature=f"scale:{'half' if scale == 0.5 else 'sum'}",
            range=(0.0, 2 * scale),
            needs=("reference", "probabilities"),
            undefined=moments.undefined,
            higher_is_better=False,
            unit="squared probability",
        )
    ]
