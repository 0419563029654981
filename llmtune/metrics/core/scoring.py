"""Scores a predictions table: every metric of its kind that its columns allow, each with its interval."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, Score, SufficientStatistics, score_metric
from llmtune.metrics.core.columns import read_columns
from llmtune.metrics.core.external import (
    Foreign,
    foreign_name,
    load_foreign,
    score_foreign,
    unique_name,
)
from llmtune.metrics.core.registry import named_metrics, reported_metrics, with_named
from llmtune.predictions import Predictions


def available_metrics(predictions: Predictions, *, metrics: Sequence[str | Foreign] = ()) -> dict[str, Metric]:
    """Our metrics that this table's columns allow, by name: their direction, range, unit, statistics and score."""
    setting, columns, _ = read_columns(predictions)
    found = reported_metrics(setting)
    for name in metrics:
        if isinstance(name, str):
            found = with_named(found, named_metrics(name, setting))
    return {metric.name: metric for metric in found if set(metric.needs) <= set(columns)}


def score_predictions(
    predictions: Predictions, *, metrics: Sequence[str | Foreign] = (), seed: int = 0
) -> dict[str, Score]:
    """Every metric of the kind that the columns allow, then those of `metrics`.

    A key of theirs that one of ours has is written `module.key`; one that fails has no value, and the reason.

    Args:
        predictions: the table.
        metrics: more, mixed: ours by name; `evaluate` modules by name, path or object; functions of (predictions,
            references), or of (y_true, y_pred) as scikit-learn's, that return a number or a dict of numbers. They get
            lists with one element a row: class ids, lists of tags, texts, numbers.
        seed: of the bootstraps, recorded in each signature.

    Raises:
        ValueError: an unknown metric, or a lambda.
    """
    setting, columns, flaws = read_columns(predictions)
    found = reported_metrics(setting)
    foreign: dict[str, Foreign] = {}
    for metric in metrics:
        ours = named_metrics(metric, setting) if isinstance(metric, str) else []
        found = with_named(found, ours)
        if not ours:
            path = metric if isinstance(metric, str) else None
            loaded = load_foreign(metric) if isinstance(metric, str) else metric
            foreign[unique_name(foreign_name(loaded, path), foreign)] = loaded
    scores = _scores(found, columns, flaws, seed)
    scores |= _at_one_half(setting, columns, flaws, seed)
    for name, module in foreign.items():
        scores |= score_foreign(module, name, setting, columns, taken=scores.keys(), seed=seed)
    return scores


def metric_values(predictions: Predictions, names: Sequence[str]) -> dict[str, float]:
    """The values of some metrics without their intervals, for an evaluation in training; 0 where one is undefined."""
    _, columns, _ = read_columns(predictions)
    found = available_metrics(predictions)
    statistics = {found[name].statistics: found[name].statistics(columns) for name in names if name in found}
    values = {}
    for name in names:
        if name in found:
            value = found[name].value(found[name].aggregate(statistics[found[name].statistics]))
            values[name] = 0.0 if value is None else value
    return values


def _scores(found: Sequence[Metric], columns: Columns, flaws: dict[str, str], seed: int) -> dict[str, Score]:
    n = len(next(iter(columns.values())))
    shared: dict[Callable[[Columns], np.ndarray], SufficientStatistics] = {}
    scores = {}
    for metric in found:
        if not set(metric.needs) <= set(columns):
            continue
        reasons = [flaws[name] for name in metric.needs if name in flaws]
        if reasons:
            scores[metric.name] = Score(None, None, None, n, f"{metric.signature}|ci:95|seed:{seed}", reasons[0])
            continue
        if metric.statistics not in shared:
            shared[metric.statistics] = SufficientStatistics(metric.statistics(columns), seed)
        scores[metric.name] = score_metric(metric, shared[metric.statistics], n=n)
    return scores


def _at_one_half(setting: MetricContext, columns: Columns, flaws: dict[str, str], seed: int) -> dict[str, Score]:
    """`precision@0.5`, `recall@0.5`, `f1@0.5`, where the stored predictions follow another threshold."""
    if setting.positive_id is None or setting.threshold == 0.5 or "probabilities" not in columns:
        return {}
    positive = columns["probabilities"][:, setting.positive_id] >= 0.5
    prediction = np.where(positive, setting.positive_id, 1 - setting.positive_id)
    at_half = replace(setting, threshold=0.5)
    found = [metric for name in ("precision", "recall", "f1") for metric in named_metrics(name, at_half)[:1]]
    needing = [replace(metric, needs=(*metric.needs, "probabilities")) for metric in found]
    scores = _scores(needing, {**columns, "prediction": prediction}, flaws, seed)
    return {f"{name}@0.5": score for name, score in scores.items()}


def metrics_to_json(scores: dict[str, Score]) -> dict[str, dict[str, Any]]:
    """One split of `metrics.json`: {metric: {"value", "low", "high", "n", "signature"}}."""
    return {name: score.to_json() for name, score in scores.items()}
