"""What a score owes to some of its rows: the score on all rows less the score without them, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from llmtune.comparison.paired import row_statistics
from llmtune.evidence import SURE_LEVEL
from llmtune.metrics import Metric, available_metrics, confusion_matrix
from llmtune.metrics.core.columns import read_columns
from llmtune.metrics.core.confusion import ConfusionCounts
from llmtune.metrics.core.headlines import about_positive
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import deciding_metric
from llmtune.stats import ConfidenceInterval, cluster_bootstrap, multinomial_bootstrap

CLEAR = 0.01  # drop of a score from 0 to 1 that matters; of another scale this share of the score


@dataclass(frozen=True)
class Drop:
    """A score with the rows and without them.

    Args:
        metric: its name.
        with_leaked: on all rows.
        without: on the others.
        value: how much better it is with them.
        interval: of that, at 99 %.
        clear: the drop from which on it matters.
        positive_label: of two classes, the one that a metric of one class is about.
    """

    metric: str
    with_leaked: float
    without: float
    value: float
    interval: ConfidenceInterval
    clear: float
    positive_label: str | None = None

    @property
    def name(self) -> str:
        """The metric, with the class that it is about: `f1 of spam`."""
        return about_positive(self.metric, self.positive_label)

    @property
    def matters(self) -> bool:
        """Whether it is significantly above 0 and large enough."""
        return self.interval.low is not None and self.interval.low > 0 and self.value >= self.clear

    def to_json(self) -> dict[str, Any]:
        """For verdict.json."""
        ends = {"low": self.interval.low, "high": self.interval.high, "reason": self.interval.reason}
        return {
            "metric": self.metric,
            "with": self.with_leaked,
            "without": self.without,
            "drop": self.value,
            "level": SURE_LEVEL,
            **ends,
        }


def score_drop(predictions: Predictions, leaked: Sequence[int], *, seed: int = 0) -> Drop | None:
    """The metric that decides for the kind, on all rows less on those not leaked, with its 99 % interval.

    None where no row is leaked or all are, or the table allows no metric.
    """
    seen = np.zeros(len(predictions), dtype=bool)
    seen[list(leaked)] = True
    found = available_metrics(predictions)
    metric = found.get(deciding_metric(predictions, found) or "")
    _, columns, flaws = read_columns(predictions)
    if metric is None or seen.all() or not seen.any() or set(flaws) & set(metric.needs):
        return None
    if isinstance(metric.statistics, ConfusionCounts):
        reference, prediction, c = columns["reference"], columns["prediction"], metric.statistics.n_classes
        counts = np.stack([confusion_matrix(reference[part], prediction[part], c) for part in (~seen, seen)])
        drop = _drop_of_classes(metric, counts, seed)
    else:
        drop = _drop_of_rows(metric, row_statistics(metric, columns, len(seen)), ~seen, seed)
    return replace(drop, positive_label=predictions.positive_name)


def _drop_of_classes(metric: Metric, counts: np.ndarray, seed: int) -> Drop:
    """From the confusion matrices of the clean and of the leaked rows, (2, c, c)."""

    def drop(drawn: np.ndarray) -> np.ndarray:
        return metric.score(drawn.sum(axis=1)) - metric.score(drawn[:, 0])

    of_all, of_clean = (float(metric.score(matrix[None])[0]) for matrix in (counts.sum(axis=0), counts[0]))
    interval = multinomial_bootstrap(counts, drop, seed=seed, level=SURE_LEVEL)
    return Drop(metric.name, of_all, of_clean, of_all - of_clean, interval, CLEAR)


def _drop_of_rows(metric: Metric, statistics: np.ndarray, clean: np.ndarray, seed: int) -> Drop:
    """From the statistics of each row, (n, …), and whether it is clean, (n,)."""
    n, shape = len(statistics), statistics.shape[1:]
    flat = statistics.reshape(n, -1)
    both = np.concatenate([flat, flat * clean[:, None]], axis=1)
    sign = 1 if metric.higher_is_better else -1

    def score(sums: np.ndarray) -> np.ndarray:
        return metric.score(sums.reshape(-1, *shape))

    def drop(sums: np.ndarray) -> np.ndarray:
        of_all, of_clean = np.split(sums, 2, axis=1)
        return sign * (score(of_all) - score(of_clean))

    of_all, of_clean = (float(score(half)[0]) for half in np.split(both.sum(axis=0), 2))
    clear = CLEAR if metric.range == (0.0, 1.0) else CLEAR * abs(of_clean)
    interval = cluster_bootstrap(both, drop, seed=seed, level=SURE_LEVEL)
    return Drop(metric.name, of_all, of_clean, sign * (of_all - of_clean), interval, clear)
