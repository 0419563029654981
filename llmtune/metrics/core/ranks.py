"""Rows kept whole, for scores that need every rank (ROC-AUC, average precision): probability and truth of each row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, SufficientStatistics, insufficient_support
from llmtune.metrics.core.mean_intervals import fractional_wilson_interval, mean_of_labels_interval
from llmtune.stats import ConfidenceInterval, Statistic


@dataclass(frozen=True)
class RankedRows:
    """Statistics: (n, 2), the positive label's probability and whether the reference is it."""

    positive_id: int

    def __call__(self, columns: Columns) -> np.ndarray:
        """One row each."""
        positive = columns["reference"] == self.positive_id
        return np.stack([columns["probabilities"][:, self.positive_id], positive], axis=1).astype(np.float64)


def ranked_sets(columns: Columns) -> np.ndarray:
    """Statistics of several labels a row: (n, c, 2), the probability of each and whether the row has it."""
    return np.stack([columns["probabilities"], columns["reference"]], axis=2).astype(np.float64)


def macro(score: Statistic, batches: np.ndarray) -> np.ndarray:
    """The mean over labels of a score of ranked rows, (B, n, c, 2) → (B,); NaN where it is that of one label."""
    return np.stack([score(batches[:, :, label]) for label in range(batches.shape[2])]).mean(axis=0)


def ranked_macro_interval(
    sample: SufficientStatistics, influence: Callable[[np.ndarray], np.ndarray], score: Statistic, names: Sequence[str]
) -> ConfidenceInterval:
    """Of the mean over labels, from Wilson's of each and from what each row changes in all of them together.

    On the logit scale, from the influences alone, a mean near 1 covers 88 %: of a label that few rows get wrong they
    tell little, of one that is all right nothing.

    Args:
        sample: statistics of `ranked_sets`.
        influence: ranked rows (n, 2) of a label → what one more of each row would change in its score, (n,).
        score: of ranked rows, (B, n, 2) → (B,).
        names: of the labels, which must each be above the evidence floor on both sides.
    """
    rows = sample.statistics
    positives = rows[:, :, 1].sum(axis=0)
    for label, name in enumerate(names):
        few = insufficient_support(positives[label], f"rows of {name!r}")
        few = few or insufficient_support(len(rows) - positives[label], f"rows without {name!r}")
        if few:
            return few
    values = np.array([score(rows[None, :, label])[0] for label in range(len(names))])
    changes = np.stack([influence(rows[:, label]) for label in range(len(names))])
    errors = np.sqrt((changes**2).sum(axis=1))
    # A mean of ranks knows no more than its rarer side: so many rows of 0 and 1 stand for it.
    rarer = np.minimum(positives, len(rows) - positives)
    each = zip(values, rarer * errors**2, rarer, strict=True)
    ends = np.array([fractional_wilson_interval(*map(float, label))[:2] for label in each], dtype=np.float64)
    together = float(np.sqrt((changes.mean(axis=0) ** 2).sum()))
    return mean_of_labels_interval(values, ends, together=together, apart=errors)


def macro_metric(
    name: str,
    setting: MetricContext,
    *,
    score: Statistic,
    influence: Callable[[np.ndarray], np.ndarray],
    undefined: Callable[..., str | None],
    signature: str,
) -> Metric:
    """The mean over labels of a score that needs ranks.

    Args:
        name: of the metric.
        setting: of the table.
        score: of ranked rows of one label, (B, n, 2) → (B,).
        influence: as in `ranked_macro_interval`.
        undefined: of statistics (n, c, 2) and the names of the labels, why there is no score.
        signature: of the score.
    """
    names = setting.label_names
    return Metric(
        name=name,
        statistics=ranked_sets,
        score=partial(macro, score),
        interval=partial(ranked_macro_interval, influence=influence, score=score, names=names),
        signature=f"average:macro|labels:{len(names)}|{signature}",
        range=(0.0, 1.0),
        needs=("reference", "probabilities"),
        undefined=partial(undefined, names=names),
        additive=False,
    )


def split(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the positive rows (p,) and of the negative rows (q,)."""
    positive = rows[:, 1] == 1
    return rows[positive, 0], rows[~positive, 0]
