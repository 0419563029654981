"""Metrics that are not ours: an object of `evaluate.load(...)`, a module by name or path, or a plain function.

Their keys never replace one of ours: a key that is taken is written `module.key`. Letters: n rows, B resamples.
"""

import math
import numbers
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from llmtune.errors import truncated_repr
from llmtune.evidence import ENOUGH
from llmtune.metrics.core.base import Columns, MetricContext, Score
from llmtune.metrics.core.call_order import call_in_order
from llmtune.metrics.core.registry import module_names
from llmtune.predictions.kinds import kind_named
from llmtune.stats import ConfidenceInterval, percentile_interval
from llmtune.text.shorten import row_count
from llmtune.text.tag_arrays import Tags

Foreign = Any  # an evaluate.EvaluationModule, or a function of (predictions, references) → number or {name: number}

RESAMPLES = 200  # percentiles of so few are good to about a tenth of the width; each costs a call
SLOWEST = 0.25  # seconds of one call above which its resamples would take a minute
OF_FUNCTION = "function:"  # begins the signature of a function's score
OF_MODULE = "evaluate:"  # likewise, of a module of evaluate
SHOWN_IDS = 10  # classes whose ids a signature tells
# What a Trainer and the hub report beside the metrics: a foreign "loss" would be eval_loss, and pick the checkpoint.
TRAINER_KEYS = ("loss", "runtime", "samples_per_second", "steps_per_second", "model_preparation_time", "epoch")
TRAINER_KEYS += ("nonfinite_rows",)  # type: ignore[assignment]
# What foreign code raises where it refuses rows; an interrupt or an exit is not among them.
FAILURES = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, OSError, RuntimeError)
FAILURES += (TypeError, ValueError)  # type: ignore[assignment]


def load_foreign(name: str) -> Foreign:
    """`evaluate.load(name)`, and an error that names what we have where it is not to be found.

    Raises:
        ValueError: neither ours nor known to `evaluate` (offline: neither a path nor in its cache), or a package that
            it requires is not installed.
    """
    import evaluate

    try:
        return evaluate.load(name)
    except (FileNotFoundError, ConnectionError) as error:
        raise ValueError(
            f"metric {name!r} is none of ours ({', '.join(module_names())}), and evaluate.load({name!r}) found "
            f"none either: {error}. Check the name, or give the path of its script"
        ) from error
    except ImportError as error:
        raise ValueError(f"metric {name!r}: {error}; install what it requires, or leave it out") from error


def foreign_name(foreign: Foreign, path: str | None = None) -> str:
    """What its numbers are called: the file's name, the module's own, or the function's.

    Raises:
        ValueError: a lambda.
    """
    if path is not None:
        return path.rstrip("/").rpartition("/")[2].removesuffix(".py")
    function = foreign.func if isinstance(foreign, partial) else foreign
    for attribute in ("name", "__name__"):
        if isinstance(name := getattr(function, attribute, None), str):
            if name == "<lambda>":
                raise ValueError("a metric is a lambda, which has no name for its number; write it as a def")
            return name
    return type(function).__name__


def unique_name(name: str, taken: Collection[str]) -> str:
    """The name, numbered where it is taken: two files of one name in two folders.

    >>> unique_name("f1", ["f1", "f1.2"]), unique_name("f1", [])
    ('f1.3', 'f1')
    """
    number, unique = 2, name
    while unique in taken:
        number, unique = number + 1, f"{name}.{number}"
    return unique


def as_key(name: str, key: str, taken: Collection[str]) -> str:
    """The key in the report: `module.key` where the key is taken, by one of ours or by what a Trainer reports.

    >>> as_key("my_metric", "f1", ["f1"]), as_key("my_metric", "loss", []), as_key("my_metric", "score", ["f1"])
    ('my_metric.f1', 'my_metric.loss', 'score')
    """
    plain = key.removeprefix("eval_")  # the Trainer adds it to keys that lack it
    return unique_name(f"{name}.{key}", taken) if {key, plain} & {*taken, *TRAINER_KEYS} else key


@dataclass(frozen=True)
class ForeignValues:
    """What one call returned: finite numbers by key, and for every other key why it is left out."""

    values: Mapping[str, float]
    left_out: Mapping[str, str]


def foreign_values(foreign: Foreign, name: str, predictions: Sequence[Any], references: Sequence[Any]) -> ForeignValues:
    """Calls it on all rows and keeps the numbers it returns, as plain floats.

    Raises:
        ValueError: it returned neither a number nor a dict.
    """
    result = _call(foreign, predictions, references)
    number = _number(result)
    if number is not None:
        result = {name: number}
    if not isinstance(result, Mapping):
        raise ValueError(f"it returned {truncated_repr(result)}; return a number or a dict of numbers")
    values: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for key, value in _flat(result):
        number = _number(value)
        if number is None:
            left_out[key] = f"{_described(value)} is left out: only numbers are reported"
        elif not math.isfinite(number):
            left_out[key] = f"the metric returned {number}"
        else:
            values[key] = number
    return ForeignValues(values, left_out)


def score_foreign(
    foreign: Foreign, name: str, setting: MetricContext, columns: Columns, *, taken: Collection[str], seed: int
) -> dict[str, Score]:
    """Its numbers on a table, each with a percentile bootstrap over rows; a metric that fails gets one line.

    Args:
        foreign: the metric.
        name: from `foreign_name`.
        setting: of the table.
        columns: of the table.
        taken: keys of the report that are not replaced.
        seed: of the bootstrap.
    """
    n = len(next(iter(columns.values())))
    signature = _signature(foreign, name, setting, seed)
    try:
        predictions, references = foreign_rows(foreign, setting.kind, columns, setting.label_names)
        start = time.perf_counter()
        whole = foreign_values(foreign, name, predictions, references)
        took = time.perf_counter() - start
    except FAILURES as error:  # another's code: its failure costs this line, not the report
        reason = f"{name} failed: {type(error).__name__}: {_first_line(error)}"
        return {as_key(name, name, taken): Score(None, None, None, n, signature, reason)}
    few = _too_few(setting, columns, n)
    if few is None and took > SLOWEST:
        few = f"a call takes {took:.1f} s: an interval would take {RESAMPLES} of them"
    intervals = {} if few or not whole.values else _bootstrap(foreign, name, predictions, references, whole, seed)
    scores: dict[str, Score] = {}
    for key in [*whole.values, *whole.left_out]:
        renamed = as_key(name, key, {*taken, *scores})
        if key in whole.left_out:
            scores[renamed] = Score(None, None, None, n, signature, whole.left_out[key])
            continue
        interval = intervals.get(key, ConfidenceInterval(None, None, few))
        scores[renamed] = Score(whole.values[key], interval.low, interval.high, n, signature, interval.reason)
    return scores


def foreign_rows(
    foreign: Foreign, kind: str, columns: Columns, label_names: Sequence[str] = ()
) -> tuple[list[Any], list[Any]]:
    """Predictions and references as the metric takes them: plain lists, one element a row.

    Classes are ids, several labels a row are 0 or 1 each, tags are lists of texts, texts are texts (references too
    where every row has exactly one), numbers are numbers, or lists of them over a horizon.

    Raises:
        ValueError: the table has no such columns, or the metric takes one reference a row and some row has more.
    """
    if "prediction" not in columns or "reference" not in columns:
        raise ValueError(f"a {kind} table has no predictions and references to give it; its columns are {[*columns]}")
    predictions, references = (_plain(columns[name]) for name in ("prediction", "reference"))
    options = _features(foreign)
    if kind_named(kind).single_label and options and all(_is_text(option["predictions"]) for option in options):
        return [label_names[label] for label in predictions], [label_names[label] for label in references]
    if kind_named(kind).free_text:
        if options and isinstance(options[0].get("predictions"), Mapping):
            return _squad_rows(options[0]["predictions"], predictions, references)
        single = all(len(of_row) == 1 for of_row in references)
        nested = not options or any(not _is_value(option["references"]) for option in options)
        if options and not nested and not single:
            row = next(row for row, of_row in enumerate(references) if len(of_row) != 1)
            raise ValueError(f"it takes one reference a row, and row {row} has {len(references[row])}")
        if single and (not nested or not options):
            references = [of_row[0] for of_row in references]
    return predictions, references


def _call(foreign: Foreign, predictions: Sequence[Any], references: Sequence[Any]) -> Any:
    if callable(getattr(foreign, "compute", None)):  # a module, or several that evaluate.combine put together
        return foreign.compute(predictions=predictions, references=references)
    return call_in_order(foreign, predictions, references)


def _plain(column: Any) -> list[Any]:
    if isinstance(column, Tags):
        return column.to_lists()
    if isinstance(column, np.ndarray) and column.dtype == bool:  # label sets: as scikit-learn takes them
        indicators: list[Any] = column.astype(np.int64).tolist()
        return indicators
    if isinstance(column, np.ndarray):
        flat: list[Any] = (column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column).tolist()
        return flat
    return list(column)


def _features(foreign: Foreign) -> list[Mapping[str, Any]]:
    """What a module of evaluate declares that it takes, each way of it; empty for all else."""
    features = getattr(foreign, "features", None)
    options = features if isinstance(features, list) else [features]
    return [
        option for option in options if isinstance(option, Mapping) and {"predictions", "references"} <= set(option)
    ]


def _is_value(feature: Any) -> bool:
    import datasets

    return isinstance(feature, datasets.Value)


def _is_text(feature: Any) -> bool:
    return _is_value(feature) and feature.dtype in ("string", "large_string")


def _squad_rows(
    fields: Mapping[str, Any], predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[list[Any], list[Any]]:
    """As evaluate's squad and squad_v2 take them."""
    answered = [{"id": str(row), "prediction_text": text} for row, text in enumerate(predictions)]
    if "no_answer_probability" in fields:
        answered = [{**row, "no_answer_probability": 0.0} for row in answered]  # type: ignore[dict-item]
    answers = [{"text": list(of_row), "answer_start": [0] * len(of_row)} for of_row in references]
    return answered, [{"id": str(row), "answers": of_row} for row, of_row in enumerate(answers)]


def _flat(result: Mapping[Any, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Keys and values; a dict within (seqeval's of each entity type) as `PER.precision`."""
    flat: list[tuple[str, Any]] = []
    for key, value in result.items():
        name = f"{prefix}{key}"
        flat += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return flat


def _number(value: Any) -> float | None:
    """A number, or an array or tensor without dimensions, as a float; None for all else, truth values too."""
    if not isinstance(value, numbers.Real) and getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    return float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else None


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{type(value).__name__} of shape {tuple(shape)}"
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, list | tuple) else truncated_repr(value)


def _too_few(setting: MetricContext, columns: Columns, n: int) -> str | None:
    """Why rows can't tell an interval: a class, or the whole table, below the evidence floor."""
    if kind_named(setting.kind).single_label:
        counts = np.bincount(columns["reference"], minlength=len(setting.label_names))
        rarest = min((label for label in range(len(counts)) if counts[label]), key=lambda label: counts[label])
        if counts[rarest] < ENOUGH:
            name = setting.label_names[rarest]
            return f"{row_count(counts[rarest])} of {name!r}: an interval needs {ENOUGH}"
    return f"{row_count(n)}: an interval needs {ENOUGH}" if n < ENOUGH else None


def _bootstrap(
    foreign: Foreign,
    name: str,
    predictions: Sequence[Any],
    references: Sequence[Any],
    whole: ForeignValues,
    seed: int,
) -> dict[str, ConfidenceInterval]:
    """The interval of each key; without ends where the metric fails on a resample."""
    rng = np.random.default_rng(seed)
    n = len(predictions)
    samples = np.full((RESAMPLES, len(whole.values)), np.nan)
    for resample in range(RESAMPLES):
        rows = rng.integers(0, n, n).tolist()
        try:
            drawn = foreign_values(foreign, name, [predictions[row] for row in rows], [references[row] for row in rows])
        except FAILURES as error:
            reason = f"it fails on rows drawn again ({type(error).__name__}: {_first_line(error)})"
            return {key: ConfidenceInterval(None, None, reason) for key in whole.values}
        samples[resample] = [drawn.values.get(key, np.nan) for key in whole.values]
    return {
        key: percentile_interval(samples[:, column], value) for column, (key, value) in enumerate(whole.values.items())
    }


def _signature(foreign: Foreign, name: str, setting: MetricContext, seed: int) -> str:
    source = OF_MODULE if callable(getattr(foreign, "compute", None)) else OF_FUNCTION
    ids = ""
    if kind_named(setting.kind).single_label and len(setting.label_names) <= SHOWN_IDS:
        # Such a module takes 1 for the positive class, whatever --positive_label says.
        ids = "|ids:" + ",".join(f"{label}={place}" for place, label in enumerate(setting.label_names))
    return f"{source}{name}{ids}|ci:95|bootstrap:{RESAMPLES}|seed:{seed}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]
