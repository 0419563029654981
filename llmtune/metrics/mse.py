"""Mean squared error, in squared units of the target."""

from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.errors import SQUARED, error_metric
from llmtune.predictions.kinds import REGRESSION

KINDS = (REGRESSION,)


def metrics(setting: MetricContext) -> list[Metric]:
    """`mse`."""
    return [error_metric("mse", SQUARED, unit="squared target")]
