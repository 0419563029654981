"""Finds metrics by name. Every plain module in `llmtune/metrics/` is a metric: with `KINDS` and `metrics(setting)`."""

import importlib
import math
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmtune.metrics.core.base import Metric, MetricContext
from llmtune.predictions.kinds import DECIDING_METRIC, kind_named

METRICS = Path(__file__).parents[1]  # not the package's own __path__: it imports this module


def module_names() -> list[str]:
    """Names of all metric modules, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules([str(METRICS)]) if not module.ispkg)


def offered_metrics(module_name: str, setting: MetricContext) -> list[Metric]:
    """What a metric module offers for this setting; nothing where it is made for another kind."""
    module = _module(module_name)
    offered: list[Metric] = module.metrics(setting) if setting.kind in module.KINDS else []
    return offered


def reported_metrics(setting: MetricContext) -> list[Metric]:
    """The metrics of a kind that a report holds, in its order, and the one that a table's run was steered by.

    That one may be known by --metrics alone (f2); whoever asks the table later names no --metrics and must find it.
    """
    left_out = {"ter"} if setting.options.get("long") else set()
    kind = kind_named(setting.kind)
    modules = (*kind.metrics, *(kind.ordinal_metrics if setting.options.get("ordinal") else ()))
    asked = [module_name for module_name in modules if module_name not in left_out]
    if setting.options.get("letters") == "other" and "rouge" in asked:
        asked.insert(asked.index("rouge") + 1, "rouge_unicode")  # rouge itself would read not one word
    found = [metric for module_name in asked for metric in offered_metrics(module_name, setting)]
    steered_by = setting.options.get(DECIDING_METRIC)
    return found if steered_by is None else with_named(found, _one_metric(steered_by, found, setting))


def named_metrics(name: str, setting: MetricContext) -> list[Metric]:
    """All metrics of the module `name`, or the one metric of that name; nothing where we have none.

    Raises:
        ValueError: ours, but made for tables of another kind.
    """
    modules = module_names()
    found = offered_metrics(name, setting) if name in modules else []
    found = found or _one_metric(name, (), setting)
    if not found and name in modules and setting.kind not in _module(name).KINDS:
        fitting = ", ".join(module for module in modules if setting.kind in _module(module).KINDS)
        raise ValueError(
            f"{name} is a metric of {', '.join(_module(name).KINDS)}, and this is {setting.kind}; fitting are {fitting}"
        )
    return found


def explain_metric(name: str, setting: MetricContext) -> str:
    """What a metric is, its scale and its good direction, in words; empty for one that is not ours.

    >>> explain_metric("accuracy", MetricContext("classification", ("ham", "spam"), 1)).partition(". A")[2]
    " constant guess scores its class's share. Scale 0 to 1, higher is better."
    """
    for module in module_names():
        for metric in offered_metrics(module, setting):
            if metric.name == name:
                low, high = (f"{end:g}" if math.isfinite(end) else "" for end in metric.range)
                scale = f"{low} to {high}" if low and high else f"from {low} up" if low else f"up to {high or 'any'}"
                direction = "higher" if metric.higher_is_better else "lower"
                return f"{(_module(module).__doc__ or name).splitlines()[0]} Scale {scale}, {direction} is better."
    return ""


def _one_metric(name: str, known: Sequence[Metric], setting: MetricContext) -> list[Metric]:
    """The metric of that name, looked for among the known ones first; nothing where we have none."""
    own = [metric for metric in known if metric.name == name]
    return (
        own
        or [metric for module in module_names() for metric in offered_metrics(module, setting) if metric.name == name][
            :1
        ]
    )


def with_named(metrics: Sequence[Metric], named: Sequence[Metric]) -> list[Metric]:
    """Both, each name once."""
    known = {metric.name for metric in metrics}
    return [*metrics, *(metric for metric in named if metric.name not in known)]


def _module(name: str) -> Any:
    return importlib.import_module(f"llmtune.metrics.{name}")
