"""Mean squared error, in squared units of the target."""

from llmtune.metrics.core.base import Metric, Setting
from llmtune.metrics.core.errors import SQUARED, error_metric

KINDS = ("regression",)


def metrics(setting: Setting) -> list[Metric]:
    """`mse`."""
    return [error_metric("mse", SQUARED, unit="squared target")]
