"""Mean absolute error, in units of the target."""

from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.metrics.core.errors import ABSOLUTE, error_metric

KINDS = ("regression",)


def metrics(setting: MetricContext) -> list[Metric]:
    """`mae`."""
    return [error_metric("mae", ABSOLUTE, unit="target")]
