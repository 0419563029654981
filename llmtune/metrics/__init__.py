"""Metrics: every number exact, offline and with an interval; for a predictions table, a Trainer, or `evaluate`.

`score_predictions(table)` makes a report's numbers; `compute_metrics(kind)` goes into anyone's Trainer. One file a
metric, in three parts that a reader can see: statistics of a batch (they add up), score from statistics, interval.
"""

from llmtune.metrics.core.base import Metric, MetricContext, Score
from llmtune.metrics.core.confusion import confusion_matrix
from llmtune.metrics.core.scoring import available_metrics, metric_values, metrics_to_json, score_predictions
from llmtune.metrics.core.trainer import MetricHub, compute_metrics

__all__ = [
    "Metric",
    "MetricHub",
    "Score",
    "MetricContext",
    "available_metrics",
    "compute_metrics",
    "confusion_matrix",
    "metric_values",
    "metrics_to_json",
    "score_predictions",
]
