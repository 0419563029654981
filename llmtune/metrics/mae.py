"""Mean absolute error, in units of the target."""

from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.errors import ABSOLUTE, error_metric
from llmtune.predictions.kinds import REGRESSION

KINDS = (REGRESSION,)


def metrics(setting: MetricContext) -> list[Metric]:
    """`mae`."""
    return [error_metric("mae", ABSOLUTE, unit="target")]
