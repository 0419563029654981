"""The hub for a Trainer: reduces logits on the device, adds up statistics batch by batch, and scores them at the end.

    hub = compute_metrics("classification", label_names=["ham", "spam"])
    Trainer(..., compute_metrics=hub, preprocess_logits_for_metrics=hub.preprocess_logits_for_metrics)

The same with `batch_eval_metrics=True`, which never holds more than one batch. Letters: n rows, t tokens, c classes.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from llmtune.metrics.core.adapters import ADAPTERS, Adapter, batches_of, first_output
from llmtune.metrics.core.base import Columns, Metric, MetricContext
from llmtune.metrics.core.confusion import ConfusionCounts
from llmtune.metrics.core.external import (
    FAILURES,
    Foreign,
    as_key,
    foreign_name,
    foreign_rows,
    foreign_values,
    load_foreign,
    unique_name,
)
from llmtune.metrics.core.registry import named_metrics, reported_metrics, with_named


class MetricHub:
    """Callable for `Trainer(compute_metrics=…)`; made by `compute_metrics(...)`.

    Attributes:
        confusion_matrix: of the last evaluation, int64 (c, c), rows the reference; None for other kinds.
    """

    def __init__(self, adapter: Adapter, metrics: Sequence[str | Foreign]) -> None:
        self.confusion_matrix: np.ndarray | None = None
        self._adapter = adapter
        self._names = [metric for metric in metrics if isinstance(metric, str)]
        self._foreign: dict[str, Foreign] = {}  # by the name of its numbers
        for metric in metrics:
            if not isinstance(metric, str):
                self._foreign[unique_name(foreign_name(metric), self._foreign)] = metric
        self._left_out: set[tuple[str, str]] = set()  # names of metrics and their keys, said once
        self._loaded: set[str] = set()  # those of `_names` that are among `_foreign`
        self.reset()

    def reset(self) -> None:
        """Forgets the batches of an evaluation that did not come to its end."""
        self._metrics: list[Metric] | None = None
        self._sums: dict[Callable[[Columns], np.ndarray], list[np.ndarray]] = {}
        self._kept: list[tuple[Columns, Sequence[str]]] = []  # with the names of the classes
        self._nonfinite = 0

    def preprocess_logits_for_metrics(self, logits: Any, labels: Any) -> Any:
        """Reduces a batch on its device, before anything is gathered or kept; of a tuple its first."""
        return self._adapter.reduce(first_output(logits), labels)

    def __call__(self, eval_pred: Any, compute_result: bool = True) -> dict[str, float]:
        """Adds a batch (or all rows); with `compute_result` returns {metric: value} and starts afresh.

        A metric without a value for these rows is left out.
        """
        for predictions, labels in batches_of(eval_pred.predictions, eval_pred.label_ids):
            self._add(predictions, labels)
        if not compute_result:
            return {}
        values = self._values()
        self.reset()
        return values

    def _add(self, predictions: Any, labels: Any) -> None:
        batch = self._adapter.batch(predictions, labels)
        columns = batch.columns
        self._nonfinite += batch.nonfinite
        if self._metrics is None:
            self._metrics = self._chosen(batch.setting, columns)
        done = set()
        for metric in self._metrics:
            if metric.statistics in done:
                continue
            done.add(metric.statistics)
            statistics = metric.statistics(columns)
            kept = self._sums.setdefault(metric.statistics, [])
            kept.append(statistics)
            if metric.additive:
                kept[:] = [sum(part.sum(axis=0, keepdims=True) for part in kept)]
        if self._foreign:
            given = {name: columns[name] for name in ("reference", "prediction") if name in columns}
            self._kept.append((given, batch.setting.label_names))

    def _chosen(self, setting: MetricContext, columns: Columns) -> list[Metric]:
        found = reported_metrics(setting)
        for name in self._names:
            ours = named_metrics(name, setting)
            found = with_named(found, ours)
            if not ours and name not in self._loaded:
                loaded = load_foreign(name)
                self._foreign[unique_name(foreign_name(loaded, name), self._foreign)] = loaded
                self._loaded.add(name)
        return [metric for metric in found if set(metric.needs) <= set(columns)]

    def _values(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for metric in self._metrics or []:
            if self._nonfinite and set(metric.needs) & set(self._adapter.nonfinite_columns):
                continue
            value = metric.value(metric.aggregate(np.concatenate(self._sums[metric.statistics])))
            if value is not None:
                values[metric.name] = value
            if isinstance(metric.statistics, ConfusionCounts):
                self.confusion_matrix = self._sums[metric.statistics][0][0]
        ours = {metric.name for metric in self._metrics or []}
        for name, foreign in list(self._foreign.items()):
            values |= self._foreign_values(name, foreign, {*ours, *values})
        values["nonfinite_rows"] = float(self._nonfinite)
        return values

    def _foreign_values(self, name: str, foreign: Foreign, taken: set[str]) -> dict[str, float]:
        """Its numbers on all rows; a key left out is said once, and a metric that fails, which is not asked again."""
        try:
            batches = [foreign_rows(foreign, self._adapter.kind, columns, names) for columns, names in self._kept]
            predictions = [row for part, _ in batches for row in part]
            references = [row for _, part in batches for row in part]
            returned = foreign_values(foreign, name, predictions, references)
        except FAILURES as error:
            del self._foreign[name]
            warnings.warn(f"metric {name} failed and is left out: {type(error).__name__}: {error}", stacklevel=2)
            return {}
        for key, reason in returned.left_out.items():
            if (name, key) not in self._left_out:
                self._left_out.add((name, key))
                warnings.warn(f"metric {name}: {key}: {reason}", stacklevel=2)
        values: dict[str, float] = {}
        for key, value in returned.values.items():
            values[as_key(name, key, {*taken, *values})] = value
        return values


def compute_metrics(
    kind: str,
    *,
    label_names: Sequence[str] = (),
    positive_label: str | None = None,
    threshold: float = 0.5,
    metrics: Sequence[str | Foreign] = (),
    tokenizer: Any = None,
    options: dict[str, Any] | None = None,
) -> MetricHub:
    """A hub for `Trainer(compute_metrics=hub, preprocess_logits_for_metrics=hub.preprocess_logits_for_metrics)`.

    Args:
        kind: of the predictions table: "classification", "token-classification", "language-modeling",
            "multilabel-classification" …
        label_names: the classes by id; for token classification the tags by id. Default: the ids themselves.
        positive_label: for two labels, the one that precision, recall and F1 are about; default the last.
        threshold: for two labels, the probability from which the positive label is predicted; for several labels a row
            that of each.
        metrics: more metrics, mixed: our names, `evaluate` modules by name, path or object, functions of
            (predictions, references) that return a number or a dict of numbers.
        tokenizer: for generated text, what decodes ids: a tokenizer, or a function of a list of id lists.
        options: what metrics of text or series ask for ("language", "bleu_tokenizer", "naive_mae" …); of several labels
            a row "thresholds", one a label.

    Raises:
        ValueError: an unknown kind, or a positive label that is not among `label_names`.
    """
    if kind not in ADAPTERS:
        raise ValueError(f"kind {kind!r} is not one of {', '.join(ADAPTERS)}")
    if positive_label is not None and positive_label not in label_names:
        raise ValueError(f"positive label {positive_label!r} is not one of the label names {list(label_names)}")
    adapter = ADAPTERS[kind](
        kind=kind,
        label_names=tuple(label_names),
        positive_label=positive_label,
        threshold=threshold,
        tokenizer=tokenizer,
        options=dict(options or {}),
    )
    return MetricHub(adapter, metrics)
