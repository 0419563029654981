"""Two models on the same rows: differences B - A with paired intervals, McNemar's test, and the rows that made them.

A and B are scored as one table of 2n rows, so that both are read in one setting (entity types, language, scheme).
Letters: n rows, s statistics of a row.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from llmtune.comparison.alignment import same_rows
from llmtune.errors import InputError
from llmtune.metrics import Metric, available_metrics
from llmtune.metrics.core.base import Columns, Score, SufficientStatistics, score_metric
from llmtune.metrics.core.columns import read_rows
from llmtune.metrics.core.confusion import ConfusionCounts
from llmtune.predictions import Predictions
from llmtune.predictions.table import COLUMNS
from llmtune.stats import (
    ConfidenceInterval,
    mcnemar_exact,
    paired_cluster_bootstrap,
    paired_multinomial_interval,
    smallest_detectable_difference,
)

# What decides unless --metric names another; the first that the tables allow, else the first of the kind.
MAIN = ("f1", "f1_macro")
# Of classification, what is compared; every other kind is short enough to compare whole.
HEADLINES: tuple[str, ...] = ("accuracy", "balanced_accuracy", "f1", "f1_macro", "precision", "recall", "mcc")
HEADLINES += ("roc_auc", "average_precision", "log_loss", "brier")
Z_95, Z_POWER = 1.959964, 0.841621  # normal quantiles of 0.975 and of 80 % power


@dataclass(frozen=True)
class Difference:
    """One metric of both models.

    Args:
        metric: its name.
        higher_is_better: its good direction.
        a: value of A; None where undefined.
        b: value of B.
        difference: b - a.
        low: lower end of the paired 95 % interval of the difference; None where none is given.
        high: upper end.
        smallest: difference that these rows would have shown with 80 % power.
        reason: why value or interval is missing.
    """

    metric: str
    higher_is_better: bool
    a: float | None
    b: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    smallest: float | None = None
    reason: str | None = None

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


@dataclass(frozen=True)
class Comparison:
    """B against A on n rows.

    Args:
        kind: of both tables.
        split: of both tables.
        rows: n.
        differences: by metric; the first one decides.
        mcnemar: for classification.
        wins: row numbers where B is better (for classification: right where A is wrong), the clearest first.
        losses: where it is worse.
        notes: what else is to be known.
    """

    kind: str
    split: str
    rows: int
    differences: tuple[Difference, ...]
    mcnemar: McNemar | None
    wins: tuple[int, ...]
    losses: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def main(self) -> Difference:
        """The metric that decides."""
        return self.differences[0]

    @property
    def significantly_worse(self) -> bool:
        """B is worse beyond chance on the main metric; below its evidence floor McNemar's test decides."""
        if self.main.low is None and self.main.b is not None and self.mcnemar is not None:
            return self.mcnemar.p < 0.05 and self.mcnemar.only_a > self.mcnemar.only_b
        return self.main.significantly_worse

    def to_json(self) -> dict[str, Any]:
        """comparison.json."""
        return asdict(self) | {"main": self.main.metric, "significantly_worse": self.significantly_worse}


def compare_predictions(
    a: Predictions, b: Predictions, *, names: tuple[str, str] = ("A", "B"), metric: str | None = None, seed: int = 42
) -> Comparison:
    """Compares B with A.

    Args:
        a: the table of what is in use.
        b: of what might replace it; the same rows in the same order.
        names: of both, for messages.
        metric: the one that decides; default f1, f1_macro or the first of the kind.
        seed: of the bootstraps.

    Raises:
        InputError: the tables are not about the same rows, or have no such metric.
    """
    b = same_rows(a, b, names)
    pair = _Pair(a, b, seed)
    notes = []
    found = available_metrics(pair.both, metrics=() if metric is None else (metric,))
    if a.kind == "language-modeling" and a.column("tokens") != b.column("tokens"):
        notes.append("A and B cut these texts into different tokens: perplexity and token accuracy are not comparable")
        found = {name: one for name, one in found.items() if name not in ("perplexity", "token_accuracy")}
    main = _main_metric(found, metric)
    shown = [name for name in found if (name in HEADLINES if a.kind == "classification" else "[" not in name)]
    order = [main, *(name for name in shown if name != main)]
    mcnemar = None
    if a.kind == "classification":
        right_a, right_b = (table.label_ids("prediction") == table.label_ids("reference") for table in (a, b))
        only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
        mcnemar = McNemar(only_a, only_b, mcnemar_exact(only_a, only_b))
        gain = right_b.astype(float) - right_a
    else:
        gain = pair.gain_of_rows(found[main])
    return Comparison(
        a.kind,
        a.split,
        len(a),
        tuple(pair.difference(found[name]) for name in order),
        mcnemar,
        wins=tuple(int(row) for row in np.argsort(-gain, kind="stable") if gain[row] > 0),
        losses=tuple(int(row) for row in np.argsort(gain, kind="stable") if gain[row] < 0),
        notes=tuple(notes),
    )


def _main_metric(found: dict[str, Metric], metric: str | None) -> str:
    if metric is not None and metric not in found:
        raise InputError(f"--metric {metric!r} is not one of these tables' {', '.join(found)}")
    if not found:
        raise InputError("these tables allow no metric; see the columns of their kind in llmtune/predictions.py")
    return metric or next((name for name in MAIN if name in found), next(iter(found)))


class _Pair:
    """Both tables as one of 2n rows, A's before B's; the statistics of each metric are computed once."""

    def __init__(self, a: Predictions, b: Predictions, seed: int) -> None:
        self.n, self.seed = len(a), seed
        needed = [name for part in COLUMNS[a.kind] for name in part] + ["correct"]
        kept = [name for name in needed if a.has(name) and b.has(name)]
        halves = [table.table.select(kept) for table in (a, b)]
        self.both = replace(a, table=pa.concat_tables(halves, promote_options="permissive").combine_chunks())
        _, self.columns, self.flaws = read_rows(self.both)
        self._kept: dict[Any, np.ndarray] = {}

    def statistics(self, metric: Metric) -> np.ndarray:
        """Those of each row, (2n, …), or of all confusion counts, (2, c, c)."""
        if metric.statistics not in self._kept:
            self._kept[metric.statistics] = self._computed(metric)
        return self._kept[metric.statistics]

    def _computed(self, metric: Metric) -> np.ndarray:
        if isinstance(metric.statistics, ConfusionCounts):
            return np.concatenate(
                [metric.statistics(self._cut(0, self.n)), metric.statistics(self._cut(self.n, 2 * self.n))]
            )
        found = metric.statistics(self.columns)
        if len(found) == 2 * self.n:
            return found
        # A metric that adds its rows up at once: asked row by row.
        return np.concatenate([metric.statistics(self._cut(row, row + 1)) for row in range(2 * self.n)])

    def _cut(self, begin: int, end: int) -> Columns:
        return {name: column[begin:end] for name, column in self.columns.items()}

    def difference(self, metric: Metric) -> Difference:
        """The values of both, and the paired interval of their difference."""
        flaw = next((self.flaws[name] for name in metric.needs if name in self.flaws), None)
        if flaw is not None:
            return Difference(
                metric.name,
                metric.higher_is_better,
                a=self._value_without_flaw(metric, 0),
                b=self._value_without_flaw(metric, 1),
                reason=f"of A's and B's rows together, {flaw}",
            )
        statistics = self.statistics(metric)
        half = len(statistics) // 2
        samples = [SufficientStatistics(part, self.seed) for part in (statistics[:half], statistics[half:])]
        scored = [score_metric(metric, sample, n=self.n) for sample in samples]
        a, b = scored
        found = Difference(metric.name, metric.higher_is_better, a.value, b.value, reason=a.reason or b.reason)
        if a.value is None or b.value is None:
            return found
        low, high, reason = self._interval(metric, statistics, a, b)
        difference = b.value - a.value
        if low is None or high is None:
            return replace(found, difference=difference, reason=reason)
        smallest = (Z_95 + Z_POWER) * (high - low) / (2 * Z_95)
        if metric.name == "accuracy":
            smallest = smallest_detectable_difference(self.n, self._discordant())
        return replace(found, difference=difference, low=low, high=high, smallest=smallest, reason=None)

    def _value_without_flaw(self, metric: Metric, half: int) -> float | None:
        """The value of one table whose own columns are finite, though the other's are not."""
        columns = self._cut(half * self.n, (half + 1) * self.n)
        if not all(np.isfinite(columns[name]).all() for name in metric.needs if name in self.flaws):
            return None
        return metric.value(metric.aggregate(metric.statistics(columns)))

    def _discordant(self) -> float:
        right = self.columns["prediction"] == self.columns["reference"]
        return float((right[: self.n] != right[self.n :]).mean())

    def _interval(self, metric: Metric, statistics: np.ndarray, a: Score, b: Score) -> ConfidenceInterval:
        if a.low is None and b.low is None:
            return ConfidenceInterval(None, None, a.reason or b.reason)
        if isinstance(metric.statistics, ConfusionCounts):
            return self._interval_of_counts(metric)
        flat = statistics.reshape(2, self.n, -1)
        if not metric.additive:
            return _bootstrap_of_rows(metric, *statistics.reshape(2, self.n, *statistics.shape[1:]), seed=self.seed)

        def score(sums: np.ndarray) -> np.ndarray:
            return metric.score(sums.reshape(-1, *statistics.shape[1:]))

        return paired_cluster_bootstrap(flat[0], flat[1], score, seed=self.seed)[1]

    def _interval_of_counts(self, metric: Metric) -> ConfidenceInterval:
        reference, prediction = self.columns["reference"][: self.n], self.columns["prediction"]
        c = len(self.both.label_names)
        cells = np.zeros((c, c, c), dtype=np.int64)
        np.add.at(cells, (reference, prediction[: self.n], prediction[self.n :]), 1)
        return paired_multinomial_interval(cells, metric.score, seed=self.seed)[1]

    def gain_of_rows(self, metric: Metric) -> np.ndarray:
        """How much better B is on each row alone, (n,); 0 where a row alone has no score."""
        if not metric.additive or any(name in self.flaws for name in metric.needs):
            return np.zeros(self.n)
        scores = metric.score(self.statistics(metric))
        gain = scores[self.n :] - scores[: self.n]
        return np.nan_to_num(gain if metric.higher_is_better else -gain, nan=0.0)


def _bootstrap_of_rows(metric: Metric, rows_a: np.ndarray, rows_b: np.ndarray, *, seed: int) -> ConfidenceInterval:
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
    low, high = np.quantile(differences, (0.025, 0.975))
    return ConfidenceInterval(float(low), float(high))
