"""Averaging of a per-class ratio (precision, recall, F-beta): binary, macro, micro, weighted and each class by itself.

Every average runs over *all* label names, as sklearn's does with `labels=` given: a class that is never seen counts.
Letters: c classes, B matrices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

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


@dataclass(frozen=True)
class ClassRatio:
    """A ratio of counts for each class.

    Args:
        name: of the metric.
        numerator: matrices (B, c, c) → (B, c).
        denominator: likewise; the ratio is undefined for a class where this is 0, and then 0.
        lacking: what a class lacks when undefined: "rows", "predictions".
        proportion: whether numerator and denominator count rows (then Wilson's interval holds for one class).
    """

    name: str
    numerator: Callable[[np.ndarray], np.ndarray]
    denominator: Callable[[np.ndarray], np.ndarray]
    lacking: str
    proportion: bool

    def per_class(self, matrices: np.ndarray) -> np.ndarray:
        """Shape (B, c), 0 where undefined."""
        return ratio(self.numerator(matrices), self.denominator(matrices))

    def macro(self, matrices: np.ndarray) -> np.ndarray:
        """Mean over the classes, each alike."""
        return self.per_class(matrices).mean(axis=1)

    def micro(self, matrices: np.ndarray) -> np.ndarray:
        """Numerators and denominators summed over classes; with one label a row this is the accuracy."""
        return ratio(self.numerator(matrices).sum(axis=1), self.denominator(matrices).sum(axis=1))

    def weighted(self, matrices: np.ndarray) -> np.ndarray:
        """Mean over the classes, each by its rows in the reference; it may leave [precision, recall]."""
        support = matrices.sum(axis=2)
        return ratio((self.per_class(matrices) * support).sum(axis=1), support.sum(axis=1))

    def of_class(self, matrices: np.ndarray, label: int) -> np.ndarray:
        """One class's ratio."""
        return self.per_class(matrices)[:, label]

    def undefined(self, matrix: np.ndarray, names: tuple[str, ...], labels: tuple[int, ...]) -> str | None:
        """Names the first of these classes for which the ratio is 0/0."""
        if matrix.sum() == 0:
            return "no rows to score"
        for label in labels:
            if self.denominator(matrix[None])[0, label] == 0:
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
    return few or mean_of_proportions_interval(
        ratio_of.numerator(matrix[None])[0], ratio_of.denominator(matrix[None])[0]
    )


def _micro_interval(sample: SufficientStatistics) -> ConfidenceInterval:
    return wilson_interval(int(np.trace(sample.total)), int(sample.total.sum()))


def _class_interval(
    sample: SufficientStatistics, *, ratio_of: ClassRatio, setting: MetricContext, label: int
) -> ConfidenceInterval:
    """Wilson for a proportion; else BCa over the four counts of the class against the rest."""
    matrix = sample.total
    if ratio_of.proportion:
        hits, trials = ratio_of.numerator(matrix[None])[0, label], ratio_of.denominator(matrix[None])[0, label]
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
