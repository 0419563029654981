"""Mean absolute scaled error (Hyndman 2006): absolute error over that of the naive forecast on the training series.

Below 1 the model beats repeating the last (season's) value. The training series is not in the table: the task writes
its naive error into the settings as `naive_mae`, `llmtune report` takes --naive_mae or the series by --train_file.
"""

from functools import partial

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.errors import ABSOLUTE, error_metric, mean, some_steps
from llmtune.predictions.kinds import REGRESSION

KINDS = (REGRESSION,)


def score(sums: np.ndarray, naive_mae: float) -> np.ndarray:
    """(B, 2) → (B,); NaN where the naive forecast is never wrong."""
    return mean(sums) / (naive_mae or np.nan)


def undefined(sums: np.ndarray, naive_mae: float) -> str | None:
    """Where the training series is constant."""
    return some_steps(sums) if naive_mae else "the naive forecast is never wrong on the training series: MASE is x/0"


def metrics(setting: MetricContext) -> list[Metric]:
    """`mase`."""
    if "naive_mae" not in setting.options:
        return []
    naive_mae = float(setting.options["naive_mae"])
    scored, when = partial(score, naive_mae=naive_mae), partial(undefined, naive_mae=naive_mae)
    signature = f"naive_mae:{naive_mae:g}"
    return [error_metric("mase", ABSOLUTE, scored, unit="naive errors", signature=signature, undefined=when)]
