"""Averaging of a per-class ratio (precision, recall, F-beta): binary, macro, micro, weighted and each class by itself.

Every average runs over *all* label names, as sklearn's does with `labels=` given: a class that is never seen counts.
Of one label a row the counts come from a confusion matrix, of several from `label_averages`. Letters: c classes, B
matrices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from llmtune.metrics.core.base import Metric, MetricContext, SufficientStatistics, ratio
from llmtune.metrics.core.confusion import (
    ConfusionCounts,
    confusion_bootstrap_interval,
    decision_signature,
    one_against_rest,
    require_support,
)
from llmtune.stats import ConfidenceInterval, mean_of_proportions_interval, multinomial_bootstrap, wilson_interval


class ClassTotals(NamedTuple):
    """Rows of each class, (B, c) each.

    Args:
        hits: of the class and predicted as it.
        predicted: predicted as the class.
        referenced: of the class.
    """

    hits: np.ndarray
    predicted: np.ndarray
    referenced: np.ndarray


def matrix_counts(matrices: np.ndarray) -> ClassTotals:
    """Of confusion matrices (B, c, c)."""
    return ClassTotals(np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(axis=1), matrices.sum(axis=2))


@dataclass(frozen=True)
class ClassRatio:
    """A ratio of counts for each class.

    Args:
        name: of the metric.
        numerator: counts → (B, c).
        denominator: likewise; the ratio is undefined for a class where this is 0, and then 0.
        lacking: what a class lacks when undefined: "rows", "predictions".
        proportion: whether numerator and denominator count rows (then Wilson's interval holds for one class).
        counts: statistics (B, …) → counts; default those of confusion matrices (B, c, c).
    """

    name: str
    numerator: Callable[[ClassTotals], np.ndarray]
    denominator: Callable[[ClassTotals], np.ndarray]
    lacking: str
    proportion: bool
    counts: Callable[[np.ndarray], ClassTotals] = matrix_counts

    def terms(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and denominator of each class, (B, c) each."""
        counts = self.counts(sums)
        return self.numerator(counts), self.denominator(counts)

    def terms_of_class(self, sums: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and denominator of one class, (B,) each; without those of thousands of others."""
        if self.counts is matrix_counts:
            rows, columns = sums[:, label, :].sum(axis=1), sums[:, :, label].sum(axis=1)
            counts = ClassTotals(sums[:, label, label, None], columns[:, None], rows[:, None])
        else:
            counts = ClassTotals(*(each[:, label, None] for each in self.counts(sums)))
        return self.numerator(counts)[:, 0], self.denominator(counts)[:, 0]

    def per_class(self, sums: np.ndarray) -> np.ndarray:
        """Shape (B, c), 0 where undefined."""
        return ratio(*self.terms(sums))

    def macro(self, sums: np.ndarray) -> np.ndarray:
        """Mean over the classes, each alike."""
        return self.per_class(sums).mean(axis=1)

    def micro(self, sums: np.ndarray) -> np.ndarray:
        """Numerators and denominators summed over classes; with one label a row this is the accuracy."""
        numerator, denominator = self.terms(sums)
        return ratio(numerator.sum(axis=1), denominator.sum(axis=1))

    def weighted(self, sums: np.ndarray) -> np.ndarray:
        """Mean over the classes, each by its rows in the reference; it may leave [precision, recall]."""
        support = self.counts(sums).referenced
        return ratio((self.per_class(sums) * support).sum(axis=1), support.sum(axis=1))

    def of_class(self, sums: np.ndarray, label: int) -> np.ndarray:
        """One class's ratio."""
        return ratio(*self.terms_of_class(sums, label))

    def undefined(self, sums: np.ndarray, names: tuple[str, ...], labels: tuple[int, ...]) -> str | None:
        """Names the first of these classes for which the ratio is 0/0."""
        if sums.sum() == 0:
            return "no rows to score"
        if not labels:
            return None
        if len(labels) == 1:
            denominators = self.terms_of_class(sums[None], labels[0])[1]
        else:
            denominators = self.terms(sums[None])[1][0, list(labels)]
        for label, denominator in zip(labels, denominators, strict=True):
            if denominator == 0:
                return f"no {self.lacking} of {names[label]!r}: {self.name} is 0/0 there, set to 0 (zero_division=0)"
        return None


def averaged(ratio_of: ClassRatio, setting: MetricContext) -> list[Metric]:
    """The metrics of a ratio: binary where there are two labels, macro, micro, weighted, and one for each class."""
    names = setting.label_names
    every = tuple(range(len(names)))

    def metric(name: str, average: str, **parts: object) -> Metric:
        return Metric(
            name=name,
            statistics=ConfusionCounts(len(names)),
            signature=f"average:{average}|labels:{len(names)}|{decision_signature(setting)}|zero_division:0",
            range=(0.0, 1.0),
            **parts,  # type: ignore[arg-type]
        )

    def one_class(name: str, average: str, label: int) -> Metric:
        return metric(
            name,
            average,
            score=partial(ratio_of.of_class, label=label),
            interval=partial(_class_interval, ratio_of=ratio_of, setting=setting, label=label),
            undefined=partial(ratio_of.undefined, names=names, labels=(label,)),
        )

    found = [] if setting.positive_id is None else [one_class(ratio_of.name, "binary", setting.positive_id)]
    found.append(
        metric(
            f"{ratio_of.name}_macro",
            "macro",
            score=ratio_of.macro,
            interval=partial(macro_interval, ratio_of=ratio_of, setting=setting),
            undefined=partial(ratio_of.undefined, names=names, labels=every),
        )
    )
    found.append(
        metric(
            f"{ratio_of.name}_micro",
            "micro",
            score=ratio_of.micro,
            interval=_micro_interval,
            undefined=partial(ratio_of.undefined, names=names, labels=()),
        )
    )
    found.append(
        metric(
            f"{ratio_of.name}_weighted",
            "weighted",
            score=ratio_of.weighted,
            interval=confusion_bootstrap_interval(setting, ratio_of.weighted, all_classes=False),
            undefined=partial(ratio_of.undefined, names=names, labels=()),
        )
    )
    return found + [one_class(f"{ratio_of.name}[{names[label]}]", "class", label) for label in every]


def macro_interval(sample: SufficientStatistics, *, ratio_of: ClassRatio, setting: MetricContext) -> ConfidenceInterval:
    """From Wilson's of each class for a mean of proportions; else BCa. Above the evidence floor in every class."""
    matrix = sample.total
    if not ratio_of.proportion:
        return confusion_bootstrap_interval(setting, ratio_of.macro, all_classes=True)(sample)
    few = require_support(matrix, setting, range(len(matrix)))
    return few or mean_of_proportions_interval(*(term[0] for term in ratio_of.terms(matrix[None])))


def _micro_interval(sample: SufficientStatistics) -> ConfidenceInterval:
    return wilson_interval(int(np.trace(sample.total)), int(sample.total.sum()))


def _class_interval(
    sample: SufficientStatistics, *, ratio_of: ClassRatio, setting: MetricContext, label: int
) -> ConfidenceInterval:
    """Wilson for a proportion; else BCa over the four counts of the class against the rest."""
    matrix = sample.total
    if ratio_of.proportion:
        hits, trials = (term[0] for term in ratio_of.terms_of_class(matrix[None], label))
        return wilson_interval(int(hits), int(trials))
    few = require_support(matrix, setting, [label])
    if few:
        return few
    of_class = partial(ratio_of.of_class, label=1)
    interval = multinomial_bootstrap(one_against_rest(matrix, label), of_class, seed=sample.seed)
    hits, errors = matrix[label, label], matrix[label].sum() + matrix[:, label].sum() - 2 * matrix[label, label]
    if interval.low is None and ratio_of.name == "f1":
        # All right or all wrong: no resample differs. F1 is 2 j / (1 + j) of the proportion j = tp / (tp + fp + fn).
        jaccard = wilson_interval(int(hits), int(hits + errors))
        low, high = (2 * end / (1 + end) for end in (jaccard.low or 0.0, jaccard.high or 0.0))
        return ConfidenceInterval(low, high)
    return interval
