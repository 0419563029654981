"""Two models on the same rows: whether one is significantly better on the metric that decides for their kind."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from llmtune.errors import InputError
from llmtune.evidence import ENOUGH, SIGNIFICANT, SURE_LEVEL
from llmtune.metrics import Metric, available_metrics
from llmtune.metrics.core.columns import read_rows
from llmtune.metrics.core.confusion import ConfusionCounts
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import shortens
from llmtune.predictions.table import COLUMNS
from llmtune.stats import ConfidenceInterval, mcnemar_exact, paired_cluster_bootstrap, paired_multinomial_interval

MOST_CLASSES = 12  # beyond, the bootstrap of (c, c, c) cells costs seconds, and McNemar's test decides
CLEAR = 0.01  # of the range 0 to 1; of a metric on another scale this share of the other model's value


@dataclass(frozen=True)
class PairedComparison:
    """Ours against another model on the same rows.

    Args:
        metric: that decides.
        ours: value.
        other: value.
        difference: ours - other, turned so that above 0 is better.
        low: lower end of its 99 % interval, None where McNemar's test decides.
        high: upper end.
        p: of McNemar's exact test, None for other kinds than classes.
        better: ours is significantly better.
        worse: ours is significantly worse, by enough to matter.
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

    def to_json(self) -> dict[str, Any]:
        """For verdict.json."""
        kept = ("metric", "ours", "other", "difference", "low", "high", "p")
        return {name: value for name, value in vars(self).items() if name in kept}


def compare_pair(ours: Predictions, other: Predictions, name: str, *, seed: int = 0) -> PairedComparison | None:
    """Compares ours with the other; None where the table allows no metric, or a value is not finite.

    Raises:
        InputError: they are not about the same rows; `name` says which table that is.
    """
    check_same_rows(ours, other, name)
    return _by_classes(ours, other, seed) if ours.kind == "classification" else _by_metric(ours, other, seed)


def check_same_rows(ours: Predictions, other: Predictions, name: str) -> None:
    """Raises InputError unless both have the same kind, labels and references in the same order."""
    if ours.kind != other.kind:
        raise InputError(f"{name} is of kind {other.kind}, these predictions are of kind {ours.kind}; give one kind")
    if len(ours) != len(other):
        raise InputError(f"{name} has {len(other):,} rows, these predictions have {len(ours):,}; give the same rows")
    if ours.kind == "classification" and ours.label_names != other.label_names:
        raise InputError(
            f"{name} has the labels {', '.join(other.label_names)}, these predictions have "
            f"{', '.join(ours.label_names)}; give the same labels in the same order (--labels)"
        )
    if not ours.has("reference") or not other.has("reference"):
        return
    pairs = zip(ours.column("reference"), other.column("reference"), strict=True)
    row = next((row for row, (a, b) in enumerate(pairs) if a != b), None)
    if row is not None:
        raise InputError(f"{name} row {row}: its reference is another than in these predictions; give the same rows")


def _by_classes(ours: Predictions, other: Predictions, seed: int) -> PairedComparison:
    reference, mine, theirs = (
        ours.label_ids("reference"),
        ours.label_ids("prediction"),
        other.label_ids("prediction"),
    )
    only_ours = int(((mine == reference) & (theirs != reference)).sum())
    only_other = int(((mine != reference) & (theirs == reference)).sum())
    p = mcnemar_exact(only_ours, only_other)
    c = len(ours.label_names)
    counts = np.bincount(reference, minlength=c)
    if c > MOST_CLASSES or counts[counts > 0].min() < ENOUGH:
        a, b = float((mine == reference).mean()), float((theirs == reference).mean())
        sure = p < SIGNIFICANT
        return PairedComparison("accuracy", a, b, a - b, None, None, p, sure and a > b, sure and a <= b - CLEAR)
    # Not F1 of the positive label: on balanced classes always naming it scores 0.67, more than many an honest model.
    name = "f1_macro"
    metric = available_metrics(ours)[name]
    cells = np.zeros((c, c, c), dtype=np.int64)
    np.add.at(cells, (reference, theirs, mine), 1)
    difference, interval = paired_multinomial_interval(cells, metric.score, seed=seed, level=SURE_LEVEL)
    a, b = (float(metric.score(cells.sum(axis=axis)[None])[0]) for axis in (1, 2))
    better = interval.low is not None and interval.low > 0
    worse = interval.high is not None and interval.high < 0 and difference <= -CLEAR
    return PairedComparison(name, a, b, difference, interval.low, interval.high, p, better, worse)


def _by_metric(ours: Predictions, other: Predictions, seed: int) -> PairedComparison | None:
    """The metric that the kind is known by, whose statistics of each row are resampled in pairs."""
    needed = [name for part in COLUMNS[ours.kind] for name in part]
    kept = [name for name in needed if ours.has(name) and other.has(name)]
    both = pa.concat_tables([of.table.select(kept) for of in (other, ours)], promote_options="permissive")
    joined = Predictions(ours.kind, both.combine_chunks(), settings=ours.settings)
    found = available_metrics(joined)
    metric = found.get(_known_by(ours), next(iter(found.values()), None))
    _, columns, flaws = read_rows(joined)
    if metric is None or isinstance(metric.statistics, ConfusionCounts) or set(flaws) & set(metric.needs):
        return None
    n = len(ours)
    statistics = row_statistics(metric, columns, 2 * n)
    shape = statistics.shape[1:]

    def score(sums: np.ndarray) -> np.ndarray:
        scores = metric.score(sums.reshape(-1, *shape))
        return scores if metric.higher_is_better else -scores

    flat = statistics.reshape(2, n, -1)
    difference, interval = paired_cluster_bootstrap(flat[0], flat[1], score, seed=seed, level=SURE_LEVEL)
    if interval.is_alike and n >= ENOUGH:  # one right on every row, the other on none: the value speaks
        interval = ConfidenceInterval(difference, difference)
    b, a = (float(metric.score(half.sum(axis=0).reshape(1, *shape))[0]) for half in flat)
    better = interval.low is not None and interval.low > 0
    clear = CLEAR if metric.range == (0.0, 1.0) else CLEAR * abs(b)
    worse = interval.high is not None and interval.high < 0 and difference <= -clear
    return PairedComparison(metric.name, a, b, difference, interval.low, interval.high, None, better, worse)


def _known_by(predictions: Predictions) -> str:
    """The metric that a reader asks for first, where it is not the first of its kind."""
    if predictions.kind == "question-answering":
        return "f1"
    return "rougeL" if predictions.kind == "text-generation" and shortens(predictions) else ""


def row_statistics(metric: Metric, columns: Any, rows: int) -> np.ndarray:
    """The metric's statistics of each row, (rows, …); they add up to those of the table."""
    found = metric.statistics(columns)
    if len(found) == rows:
        return found
    # A metric that adds its rows up at once: asked row by row.
    cut = [{name: column[row : row + 1] for name, column in columns.items()} for row in range(rows)]
    return np.concatenate([metric.statistics(one) for one in cut])
