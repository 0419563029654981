"""The one paired engine: two models on the same rows, the difference B - A of a metric with its interval and test.

`llmtune compare` asks for 95 %, the verdict for 99 %. A and B are scored as one table of 2n rows, so that both are read
in one setting (entity types, language, scheme). Letters: n rows, s statistics of a row, c classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from llmtune.comparison.alignment import same_rows
from llmtune.comparison.diebold_mariano import DieboldMariano, diebold_mariano
from llmtune.errors import InputError
from llmtune.evidence import ENOUGH, SIGNIFICANT, SURE_LEVEL
from llmtune.metrics import Metric, available_metrics
from llmtune.metrics.core.base import Columns, Score, SufficientStatistics, score_metric, time_blocks
from llmtune.metrics.core.columns import read_columns
from llmtune.metrics.core.confusion import ConfusionCounts
from llmtune.metrics.core.headlines import about_positive
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import deciding_metric
from llmtune.stats import (
    ConfidenceInterval,
    mcnemar_exact,
    paired_cluster_bootstrap,
    paired_multinomial_interval,
    smallest_detectable_difference,
)

MOST_CLASSES = 12  # beyond, the bootstrap of (c, c, c) cells costs seconds, and McNemar's test decides
CLEAR = 0.01  # of the range 0 to 1; of a metric on another scale this share of A's value
Z_95, Z_POWER = 1.959964, 0.841621  # normal quantiles of 0.975 and of 80 % power


@dataclass(frozen=True)
class PairedComparison:
    """One metric of both models.

    Args:
        metric: its name.
        higher_is_better: its good direction.
        a: value of A; None where undefined.
        b: value of B.
        difference: b - a.
        low: lower end of the paired interval of the difference; None where none is given.
        high: upper end.
        min_detectable: difference that these rows would have shown with 80 % power (at 95 %).
        reason: why value or interval is missing.
        p_value: of McNemar's exact test, two-sided, for classes.
        level: of the interval.
        positive_label: of two classes, the one that a metric of one class is about.
    """

    metric: str
    higher_is_better: bool
    a: float | None
    b: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    min_detectable: float | None = None
    reason: str | None = None
    p_value: float | None = None
    level: float = 0.95
    positive_label: str | None = None

    @property
    def name(self) -> str:
        """The metric, with the class that it is about: `f1 of spam`."""
        return about_positive(self.metric, self.positive_label)

    @property
    def significantly_worse(self) -> bool:
        """Whether the interval lies wholly on the bad side of 0, or B has no value where A has one."""
        if self.a is not None and self.b is None:
            return True
        return self._is_beyond(worse=True)

    @property
    def significantly_better(self) -> bool:
        """Whether the interval lies wholly on the good side of 0."""
        return self._is_beyond(worse=False)

    def _is_beyond(self, *, worse: bool) -> bool:
        if self.low is None or self.high is None:
            return False
        return self.high < 0 if self.higher_is_better == worse else self.low > 0


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test.

    Args:
        only_a: rows that only A has right.
        only_b: rows that only B has right.
        p: two-sided.
    """

    only_a: int
    only_b: int
    p: float


def _with_float_numbers(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The table with float64 in the place of integers, which Arrow refuses to merge with floats above 2**53."""
    for place, name in enumerate(table.column_names):
        if name in names and pa.types.is_integer(table.column(name).type):
            table = table.set_column(place, name, table.column(name).cast(pa.float64(), safe=False))
    return table


class PairedTables:
    """Both tables as one of 2n rows, A's before B's; the statistics of each metric are computed once."""

    def __init__(self, a: Predictions, b: Predictions, seed: int) -> None:
        self.a, self.b, self.n, self.seed = a, b, len(a), seed
        shared = [name for name in (*a.kind.columns, "correct") if a.has(name) and b.has(name)]
        halves = [_with_float_numbers(table.table.select(shared), a.kind.number_columns) for table in (a, b)]
        try:
            both = pa.concat_tables(halves, promote_options="permissive").combine_chunks()
        except pa.ArrowException as error:
            raise InputError(f"A and B hold other types in one column ({error}); write it alike in both") from error
        self.both = replace(a, table=both)
        _, self.columns, self.flaws = read_columns(self.both)
        self.blocks = time_blocks(self._cut(0, self.n)) if "time" in self.columns else None
        self._statistics: dict[Any, np.ndarray] = {}

    def statistics(self, metric: Metric) -> np.ndarray:
        """Those of each row, (2n, …), or of all confusion counts, (2, c, c)."""
        if metric.statistics not in self._statistics:
            self._statistics[metric.statistics] = self._computed(metric)
        return self._statistics[metric.statistics]

    def _computed(self, metric: Metric) -> np.ndarray:
        if isinstance(metric.statistics, ConfusionCounts):
            return np.concatenate(
                [metric.statistics(self._cut(0, self.n)), metric.statistics(self._cut(self.n, 2 * self.n))]
            )
        return row_statistics(metric, self.columns, 2 * self.n)

    def _cut(self, begin: int, end: int) -> Columns:
        return {name: column[begin:end] for name, column in self.columns.items()}

    def compare(self, metric: Metric, level: float = 0.95) -> PairedComparison:
        """The values of both, and the paired interval of their difference where either has one of its own."""
        flaw = next((self.flaws[name] for name in metric.needs if name in self.flaws), None)
        if flaw is not None:
            return PairedComparison(
                metric.name,
                metric.higher_is_better,
                a=self._value_without_flaw(metric, 0),
                b=self._value_without_flaw(metric, 1),
                reason=f"of A's and B's rows together, {flaw}",
                positive_label=self.a.positive_name,
            )
        statistics = self.statistics(metric)
        half = len(statistics) // 2
        halves = (statistics[:half], statistics[half:])
        samples = [SufficientStatistics(part, self.seed, self.blocks) for part in halves]
        a, b = (score_metric(metric, sample, n=self.n) for sample in samples)
        values = PairedComparison(
            metric.name,
            metric.higher_is_better,
            a.value,
            b.value,
            reason=a.reason or b.reason,
            level=level,
            positive_label=self.a.positive_name,
        )
        if a.value is None or b.value is None:
            return values
        difference = b.value - a.value
        low, high, reason = self._interval_above_floor(metric, a, b, level)
        if low is None or high is None:
            return replace(values, difference=difference, reason=reason)
        smallest = (Z_95 + Z_POWER) * (high - low) / (2 * Z_95)
        if metric.name == "accuracy":
            smallest = smallest_detectable_difference(self.n, self._discordant())
        return replace(values, difference=difference, low=low, high=high, min_detectable=smallest, reason=None)

    def _value_without_flaw(self, metric: Metric, half: int) -> float | None:
        """The value of one table whose own columns are finite, though the other's are not."""
        columns = self._cut(half * self.n, (half + 1) * self.n)
        if not all(np.isfinite(columns[name]).all() for name in metric.needs if name in self.flaws):
            return None
        return metric.value(metric.aggregate(metric.statistics(columns)))

    def _discordant(self) -> float:
        right = self.columns["prediction"] == self.columns["reference"]
        return float((right[: self.n] != right[self.n :]).mean())

    def _interval_above_floor(self, metric: Metric, a: Score, b: Score, level: float) -> ConfidenceInterval:
        if a.low is None and b.low is None:
            return ConfidenceInterval(None, None, a.reason or b.reason)
        return self.interval(metric, level)

    def diebold_mariano(self, metric: Metric) -> DieboldMariano | None:
        """The test of who errs less on what the metric adds up, of forecasts alone; None of other metrics too."""
        if self.blocks is None or not metric.additive or any(name in self.flaws for name in metric.needs):
            return None
        statistics = self.statistics(metric)
        if statistics.shape[1:] != (2,):  # of errors: their sum and their count
            return None
        of_times = [self.blocks.by_time(half) for half in np.split(statistics, 2)]
        loss_a, loss_b = (sums[:, 0] / sums[:, 1] for sums in of_times)
        return diebold_mariano(loss_a, loss_b, self.columns["reference"].shape[1])

    def interval(self, metric: Metric, level: float) -> ConfidenceInterval:
        """Of the difference B - A: of counts by the multinomial of cells, else by rows drawn in pairs.

        Of forecasts whole blocks of time are drawn.
        """
        if isinstance(metric.statistics, ConfusionCounts):
            return self._interval_of_counts(metric, level)
        statistics = self.statistics(metric)
        shape = statistics.shape[1:]
        if not metric.additive:
            rows_a, rows_b = statistics.reshape(2, self.n, *shape)
            return _bootstrap_of_rows(metric, rows_a, rows_b, seed=self.seed, level=level)

        def score(sums: np.ndarray) -> np.ndarray:
            return metric.score(sums.reshape(-1, *shape))

        flat = statistics.reshape(2, self.n, -1)
        if self.blocks is not None:
            width = flat.shape[2]
            both = np.concatenate([flat[0], flat[1]], axis=1)
            return self.blocks.interval(
                both, lambda sums: score(sums[:, width:]) - score(sums[:, :width]), seed=self.seed, level=level
            )
        return paired_cluster_bootstrap(flat[0], flat[1], score, seed=self.seed, level=level)[1]

    def _interval_of_counts(self, metric: Metric, level: float) -> ConfidenceInterval:
        reference, prediction = self.columns["reference"][: self.n], self.columns["prediction"]
        c = len(self.both.label_names)
        cells = np.zeros((c, c, c), dtype=np.int64)
        np.add.at(cells, (reference, prediction[: self.n], prediction[self.n :]), 1)
        return paired_multinomial_interval(cells, metric.score, seed=self.seed, level=level)[1]

    def mcnemar(self) -> tuple[McNemar, np.ndarray]:
        """The test of who is right, for classes, and B's gain on each row: 1, 0 or -1, (n,)."""
        right = (self.columns["prediction"] == self.columns["reference"]).astype(float)
        gain = right[self.n :] - right[: self.n]
        only_a, only_b = int((gain < 0).sum()), int((gain > 0).sum())
        return McNemar(only_a, only_b, mcnemar_exact(only_a, only_b)), gain

    def gain_of_rows(self, metric: Metric) -> np.ndarray:
        """How much better B is on each row alone, (n,); 0 where a row alone has no score."""
        if not metric.additive or any(name in self.flaws for name in metric.needs):
            return np.zeros(self.n)
        scores = metric.score(self.statistics(metric))
        gain = scores[self.n :] - scores[: self.n]
        return np.nan_to_num(gain if metric.higher_is_better else -gain, nan=0.0)


def row_statistics(metric: Metric, columns: Columns, rows: int) -> np.ndarray:
    """The metric's statistics of each row, (rows, …); they add up to those of the table."""
    statistics = metric.statistics(columns)
    if len(statistics) == rows:
        return statistics
    # A metric that adds its rows up at once: asked row by row.
    cut = [{name: column[row : row + 1] for name, column in columns.items()} for row in range(rows)]
    return np.concatenate([metric.statistics(row) for row in cut])


def _bootstrap_of_rows(
    metric: Metric, rows_a: np.ndarray, rows_b: np.ndarray, *, seed: int, level: float
) -> ConfidenceInterval:
    """Percentiles of the difference over rows drawn with replacement, for ranks, whose score needs every row."""
    n = len(rows_a)
    rng = np.random.default_rng(seed)
    n_resamples = max(200, min(1_000, 20_000_000 // n))
    differences = np.empty(n_resamples)
    for i in range(n_resamples):
        drawn = rng.integers(0, n, n)
        differences[i] = metric.score(rows_b[drawn][None])[0] - metric.score(rows_a[drawn][None])[0]
    if not np.isfinite(differences).all():
        return ConfidenceInterval(
            None, None, f"{metric.name} is undefined in {int((~np.isfinite(differences)).sum())} resamples"
        )
    if np.ptp(differences) == 0:
        return ConfidenceInterval(
            None, None, f"every resample differs by {differences[0]:g}: the rows give no interval"
        )
    low, high = np.quantile(differences, ((1 - level) / 2, (1 + level) / 2))
    return ConfidenceInterval(float(low), float(high))


@dataclass(frozen=True)
class PairedVerdict:
    """Ours against another model, as the verdict reads it: turned so that above 0 is better for ours.

    Args:
        metric: that decides.
        ours: value.
        other: value.
        difference: ours - other, turned.
        low: lower end of its 99 % interval, None where McNemar's test decides.
        high: upper end.
        p: of McNemar's exact test for classes, of Diebold and Mariano's for forecasts; None for other kinds.
        better: ours is significantly better.
        worse: ours is significantly worse, by enough to matter.
        positive_label: of two classes, the one that a metric of one class is about.
    """

    metric: str
    ours: float
    other: float
    difference: float
    low: float | None
    high: float | None
    p: float | None
    better: bool
    worse: bool
    positive_label: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For verdict.json."""
        words = ("better", "worse", "positive_label")
        return {name: value for name, value in vars(self).items() if name not in words}

    def against(self, other: str) -> str:
        """Both values, and the difference with its interval or the p of its test: the evidence of a finding."""
        name = about_positive(self.metric, self.positive_label)
        values = f"{name} {self.ours:.3f}, {other} {self.other:.3f}"
        difference = f"difference {self.difference:+.3f}"
        if self.low is not None and self.high is not None:
            return f"{values} ({difference}, {100 * SURE_LEVEL:g} % CI [{self.low:+.3f}, {self.high:+.3f}])"
        return f"{values} ({difference})" if self.p is None else f"{values} ({difference}, McNemar p = {self.p:.2g})"


def judge_pair(
    ours: Predictions, other: Predictions, name: str, *, is_baseline: bool = False, seed: int = 0
) -> PairedVerdict | None:
    """Compares ours with the other at 99 %; None where the table allows no metric, or a value is not finite.

    Args:
        ours: the table that is judged.
        other: another model's, on the same rows.
        name: of the other, for messages.
        is_baseline: whether the other is a far simpler model; see `kinds.deciding_metric`.
        seed: of the bootstrap.

    Raises:
        InputError: they are not about the same rows.
    """
    other = same_rows(ours, other, ("this table", name))
    pair = PairedTables(other, ours, seed)
    available = available_metrics(pair.both)
    metric = available.get(deciding_metric(ours, available, beside_baseline=is_baseline) or "")
    if metric is None or set(pair.flaws) & set(metric.needs):
        return None
    test = pair.mcnemar()[0] if ours.kind.single_label else None
    if test is not None and _has_few(ours):
        return _by_mcnemar(pair, test)
    statistics = pair.statistics(metric)
    half = len(statistics) // 2
    a, b = (metric.value(metric.aggregate(part)) for part in (statistics[:half], statistics[half:]))
    if a is None or b is None:
        return None
    sign = 1 if metric.higher_is_better else -1
    interval = pair.interval(metric, SURE_LEVEL)
    rows_alike = interval.is_alike and not isinstance(metric.statistics, ConfusionCounts)
    if rows_alike and len(ours) >= ENOUGH:  # one right on every row, the other on none: the value speaks
        interval = ConfidenceInterval(b - a, b - a)
    low, high = interval.low, interval.high
    if low is not None and high is not None and sign < 0:
        low, high = -high, -low
    difference = sign * (b - a)
    clear = CLEAR if metric.range == (0.0, 1.0) else CLEAR * abs(a)
    better = low is not None and low > 0
    worse = high is not None and high < 0 and difference <= -clear
    errors = pair.diebold_mariano(metric)
    p = test.p if test is not None else errors.p if errors is not None else None
    return PairedVerdict(metric.name, b, a, difference, low, high, p, better, worse, ours.positive_name)


def _by_mcnemar(pair: PairedTables, test: McNemar) -> PairedVerdict:
    """By accuracy: McNemar's test is exact however few rows a class has."""
    right = pair.columns["prediction"] == pair.columns["reference"]
    a, b = (float(half.mean()) for half in np.split(right, 2))
    sure = test.p < SIGNIFICANT
    return PairedVerdict("accuracy", b, a, b - a, None, None, test.p, sure and b > a, sure and b <= a - CLEAR)


def _has_few(table: Predictions) -> bool:
    """Whether a class has too few rows, or there are too many classes, for an interval of a score of counts."""
    counts = np.bincount(table.label_ids("reference"), minlength=len(table.label_names))
    return len(counts) > MOST_CLASSES or bool(counts[counts > 0].min() < ENOUGH)
