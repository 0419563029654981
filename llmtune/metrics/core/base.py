"""What every metric file is made of: statistics of a batch that add up, a score from them, an interval; and its data.

Letters: n rows, u units (a row, or 1 where the statistics are already summed), B sums scored at once.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from llmtune.evidence import ENOUGH
from llmtune.metrics.core.blocks import TimeBlocks
from llmtune.stats import ConfidenceInterval, Statistic, interval_of_sums, resampled_sums

Columns = Mapping[str, Any]
# The label of what is not learned and not scored: padding, special tokens, the pieces of a word after its first, the
# prompt, padding examples. It is CrossEntropyLoss's ignore_index, and what the Trainer pads with.
IGNORED = -100


@dataclass(frozen=True)
class Score:
    """One number of a report.

    Args:
        value: on the reference library's scale; None where that has no value either.
        low: lower end of the 95 % interval; None where none is given.
        high: upper end.
        n: rows of the table behind the value.
        signature: the settings that make the number comparable, `key:value` joined by `|`.
        reason: why value or interval is missing, or how an undefined value was set.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    signature: str
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The five keys of `metrics.json`."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "signature": self.signature}


@dataclass(frozen=True)
class MetricContext:
    """What is known of a table before its rows are read.

    Args:
        kind: of the predictions table.
        label_names: the classes in the order of their ids; for token classification the entity types.
        positive_id: for two classes, the id that precision, recall and F1 are about; None for more.
        threshold: the stored decision threshold.
        options: what the task wrote about its texts or series (language, tokenizer, scheme, naive_mae …).
    """

    kind: str
    label_names: tuple[str, ...] = ()
    positive_id: int | None = None
    threshold: float = 0.5
    options: Mapping[str, Any] = field(default_factory=dict)


class SufficientStatistics:
    """The statistics (u, …) of all rows, resampled at most once for all metrics that share them.

    Of rows that stand in time, `blocks` says where, and stretches of time are drawn.
    """

    def __init__(self, statistics: np.ndarray, seed: int, blocks: TimeBlocks | None = None) -> None:
        self.statistics = statistics
        self.seed = seed
        self.blocks = blocks if blocks is not None and len(blocks.rank) == len(statistics) else None

    @cached_property
    def total(self) -> np.ndarray:
        """Summed over units, shape (…)."""
        return self.statistics.sum(axis=0)

    @cached_property
    def confusion_bootstrap_interval(self) -> np.ndarray:
        """Sums over units drawn with replacement, (B, …)."""
        units = len(self.statistics)
        sums = resampled_sums(self.statistics.reshape(units, -1), seed=self.seed)
        return sums.reshape(-1, *self.statistics.shape[1:])

    def bootstrap(self, score: Statistic, level: float = 0.95) -> ConfidenceInterval:
        """BCa over units, or over blocks of time, of a score that reads sums (B, …)."""
        shape = self.statistics.shape[1:]

        def of_flat(sums: np.ndarray) -> np.ndarray:
            return score(sums.reshape(-1, *shape))

        units = len(self.statistics)
        if self.blocks is not None:
            return self.blocks.interval(self.statistics.reshape(units, -1), of_flat, seed=self.seed, level=level)
        return interval_of_sums(
            self.statistics.reshape(units, -1),
            self.confusion_bootstrap_interval.reshape(-1, int(np.prod(shape))),
            of_flat,
            level,
        )


def time_blocks(columns: Columns) -> TimeBlocks | None:
    """Of rows whose time is known; None of others."""
    if "time" not in columns:
        return None
    return TimeBlocks.of(columns["time"], columns["reference"].shape[1])


def always_defined(sums: np.ndarray) -> str | None:
    """Of a metric that has a value for whatever rows."""
    return None


@dataclass(frozen=True)
class Metric:
    """One metric in three parts, with its settings as data.

    Args:
        name: the key in `metrics.json`.
        statistics: columns of a batch → array (u, …). Over batches they add up: summed over u they give the score.
        score: sums of shape (B, …) → scores (B,), the reference library's value where the metric is undefined.
        interval: statistics of all rows, with a seed → 95 % interval.
        signature: settings, `key:value` joined by `|`.
        range: least and greatest possible value.
        needs: columns read; the metric is absent from a table that has them not.
        undefined: sums (…) → why the metric has no meaning for them, or None.
        higher_is_better: the good direction.
        unit: of the value.
        additive: False where the score needs every row (ranks): batches are concatenated and score reads (B, n, …).
    """

    name: str
    statistics: Callable[[Columns], np.ndarray]
    score: Callable[[np.ndarray], np.ndarray]
    interval: Callable[[SufficientStatistics], ConfidenceInterval]
    signature: str
    range: tuple[float, float]
    needs: tuple[str, ...] = ("reference", "prediction")
    undefined: Callable[[np.ndarray], str | None] = always_defined
    higher_is_better: bool = True
    unit: str = "fraction"
    additive: bool = True

    def aggregate(self, statistics: np.ndarray) -> np.ndarray:
        """What `score` and `undefined` read of the statistics of all rows: their sum, or the rows themselves."""
        return statistics.sum(axis=0) if self.additive else statistics

    def value(self, gathered: np.ndarray) -> float | None:
        """The score as a plain float, None where it has no value."""
        value = float(self.score(gathered[None])[0])
        return value if math.isfinite(value) else None


def score_metric(metric: Metric, sample: SufficientStatistics, *, n: int) -> Score:
    """Value and interval from the statistics of all rows; an undefined metric gets the reason instead."""
    drawn = "" if sample.blocks is None else f"|block:{sample.blocks.length}"
    signature = f"{metric.signature}|ci:95{drawn}|seed:{sample.seed}"
    gathered = sample.total if metric.additive else sample.statistics  # once for all metrics that share them
    value = metric.value(gathered)
    reason = metric.undefined(gathered)
    if reason is None and value is None:
        reason = "no rows to score"
    if reason is not None:
        return Score(value, None, None, n, signature, reason)
    interval = metric.interval(sample)
    low, high = (None if end is None else float(end) for end in interval[:2])
    return Score(value, low, high, n, signature, interval.reason)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Elementwise ratio, 0 where that is 0/0: sklearn's `zero_division=0`."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator != 0)


def insufficient_support(count: float, what: str) -> ConfidenceInterval | None:
    """The empty interval of fewer than 30 examples, None from there on.

    At 10 positives a bootstrap interval covers 69 % instead of 95 %.
    """
    if count >= ENOUGH:
        return None
    return ConfidenceInterval(None, None, f"{int(count)} {what}: an interval needs {ENOUGH}")


def with_interval(score: Score) -> str:
    """`0.912 [0.870, 0.943]`, or the value alone, or what is undefined."""
    if score.value is None:
        return "undefined"
    value = f"{score.value:.3f}"
    return value if score.low is None or score.high is None else f"{value} [{score.low:.3f}, {score.high:.3f}]"
