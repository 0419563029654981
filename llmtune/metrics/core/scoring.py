"""Scores a predictions table: every metric of its kind that its columns allow, each with its interval."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from llmtune.metrics.core.base import (
    Columns,
    Metric,
    MetricContext,
    Score,
    SufficientStatistics,
    score_metric,
    time_blocks,
)
from llmtune.metrics.core.columns import read_columns
from llmtune.metrics.core.external import (
    FAILURES,
    Foreign,
    as_key,
    foreign_name,
    foreign_rows,
    foreign_values,
    load_foreign,
    score_foreign,
    unique_name,
)
from llmtune.metrics.core.registry import explain_metric, named_metrics, reported_metrics, with_named
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import kind_named
from llmtune.predictions.table import THRESHOLDS


def available_metrics(predictions: Predictions, *, metrics: Sequence[str | Foreign] = ()) -> dict[str, Metric]:
    """Our metrics that this table's columns allow, by name: their direction, range, unit, statistics and score."""
    setting, columns, _ = read_columns(predictions)
    found = reported_metrics(setting)
    for name in metrics:
        if isinstance(name, str):
            found = with_named(found, named_metrics(name, setting))
    return {metric.name: metric for metric in found if set(metric.needs) <= set(columns)}


def explain_metrics(predictions: Predictions, names: Sequence[str]) -> dict[str, str]:
    """By name what each metric is, its scale and its good direction; those that are not ours are absent."""
    setting, _, _ = read_columns(predictions)
    explained = {name: explain_metric(name, setting) for name in names}
    return {name: text for name, text in explained.items() if text}


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
    found, foreign = _chosen(setting, metrics)
    scores = _scores(found, columns, flaws, seed)
    scores |= _at_one_half(setting, columns, flaws, seed)
    for name, module in foreign.items():
        scores |= score_foreign(module, name, setting, columns, taken=scores.keys(), seed=seed)
    return scores


def metric_values(
    predictions: Predictions, names: Sequence[str] = (), *, metrics: Sequence[str | Foreign] = ()
) -> dict[str, float]:
    """Values without their intervals, for an evaluation in training.

    Args:
        predictions: the table.
        names: of the kind's metrics, 0 where one is undefined; empty for all that have a value.
        metrics: more, as `score_predictions` takes them; one that fails is left out with a warning.
    """
    setting, columns, flaws = read_columns(predictions)
    found, foreign = _chosen(setting, metrics)
    wanted = {*names, *(metric.name for metric in found[len(reported_metrics(setting)) :])} if names else None
    statistics: dict[Callable[[Columns], np.ndarray], np.ndarray] = {}
    values = {}
    for metric in found:
        if (wanted is not None and metric.name not in wanted) or not set(metric.needs) <= set(columns) - set(flaws):
            continue
        if metric.statistics not in statistics:
            statistics[metric.statistics] = metric.statistics(columns)
        value = metric.value(metric.aggregate(statistics[metric.statistics]))
        if value is not None or metric.name in names:
            values[metric.name] = 0.0 if value is None else value
    ours = {metric.name for metric in found}  # also those that are not asked for: a report has them
    for name, module in foreign.items():
        try:
            returned = foreign_values(module, name, *foreign_rows(module, setting.kind, columns, setting.label_names))
        except FAILURES as error:
            warnings.warn(f"metric {name} failed and is left out: {type(error).__name__}: {error}", stacklevel=2)
            continue
        for key, value in returned.values.items():
            values[as_key(name, key, {*ours, *values})] = value
    return values


def undefined_at_best(right: Predictions, name: str, *, metrics: Sequence[str | Foreign] = ()) -> str | None:
    """Why a metric of ours has no value, or only 0, whatever a model predicts; None where it has one.

    Args:
        right: a table of rows whose predictions are their references.
        name: of the metric; one of others, which no table of ours tells about, gives None.
        metrics: more, as `score_predictions` takes them.
    """
    setting, columns, _ = read_columns(right)
    metric = next((metric for metric in _chosen(setting, metrics)[0] if metric.name == name), None)
    if metric is None or not set(metric.needs) <= set(columns):
        return None
    gathered = metric.aggregate(metric.statistics(columns))
    value, reason = metric.value(gathered), metric.undefined(gathered)
    return reason or "no rows to score" if value is None or (reason and value == 0) else None


def own_names(table: Predictions, names: Sequence[str]) -> list[str]:
    """Those of the names that are metrics of ours for this table; another's would be looked for by `evaluate.load`."""
    setting, _, _ = read_columns(table)
    return [name for name in names if named_metrics(name, setting)]


def _chosen(setting: MetricContext, metrics: Sequence[str | Foreign]) -> tuple[list[Metric], dict[str, Foreign]]:
    """Our metrics, those of the kind first; and those of others by the name of their number."""
    found = reported_metrics(setting)
    foreign: dict[str, Foreign] = {}
    for metric in metrics:
        ours = named_metrics(metric, setting) if isinstance(metric, str) else []
        found = with_named(found, ours)
        if not ours:
            path = metric if isinstance(metric, str) else None
            loaded = load_foreign(metric) if isinstance(metric, str) else metric
            foreign[unique_name(foreign_name(loaded, path), foreign)] = loaded
    return found, foreign


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
            statistics = metric.statistics(columns)
            shared[metric.statistics] = SufficientStatistics(statistics, seed, time_blocks(columns))
        scores[metric.name] = score_metric(metric, shared[metric.statistics], n=n)
    return scores


def _at_one_half(setting: MetricContext, columns: Columns, flaws: dict[str, str], seed: int) -> dict[str, Score]:
    """`precision@0.5`, `recall@0.5`, `f1@0.5`, where the stored predictions follow another threshold.

    Of several labels a row `f1_micro@0.5` and `f1_macro@0.5`.
    """
    if kind_named(setting.kind).multi_label and "probabilities" in columns:
        options = {name: value for name, value in setting.options.items() if name != THRESHOLDS}
        if setting.threshold == 0.5 and len(options) == len(setting.options):
            return {}
        at_half = replace(setting, threshold=0.5, options=options)
        found = [metric for name in ("f1_micro", "f1_macro") for metric in named_metrics(name, at_half)]
        needing = [replace(metric, needs=(*metric.needs, "probabilities")) for metric in found]
        scores = _scores(needing, {**columns, "prediction": columns["probabilities"] >= 0.5}, flaws, seed)
        return {f"{name}@0.5": score for name, score in scores.items()}
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
