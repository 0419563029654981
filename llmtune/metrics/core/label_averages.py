"""Averages of a per-label ratio where rows have several labels: micro, macro, weighted, over rows, and each label.

All are those of scikit-learn on indicator matrices with `zero_division=0`: a row without a label that is predicted
none scores 0 in the average over rows. Labels of one row go together, so intervals draw whole rows. Letters: n rows, c
labels, B sums.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from llmtune.metrics.core.averages import ClassRatio, ClassTotals, averaged
from llmtune.metrics.core.base import Columns, Metric, MetricContext, SufficientStatistics, insufficient_support, ratio
from llmtune.metrics.core.clusters import mean_of, row_mean_interval, some_rows
from llmtune.metrics.core.confusion import widened
from llmtune.metrics.core.mean_intervals import fractional_wilson_interval, mean_of_labels_interval
from llmtune.predictions.kinds import kind_named
from llmtune.predictions.table import THRESHOLDS
from llmtune.stats import ConfidenceInterval, Statistic, expanded_level, multinomial_bootstrap, wilson_interval


def label_counts(columns: Columns) -> np.ndarray:
    """Statistics: of each row and label whether it is a hit, predicted, in the reference: (n, c, 3)."""
    reference, prediction = columns["reference"], columns["prediction"]
    return np.stack([reference & prediction, prediction, reference], axis=2).astype(np.int8)


@dataclass(frozen=True)
class RowRatios:
    """Statistics: of each row the ratio over its labels, and 1: (n, 2)."""

    ratio_of: ClassRatio

    def __call__(self, columns: Columns) -> np.ndarray:
        """One row a unit."""
        counts = label_counts(columns).sum(axis=1, keepdims=True)
        return np.stack([self.ratio_of.per_class(counts)[:, 0], np.ones(len(counts))], axis=1)


def set_counts(sums: np.ndarray) -> ClassTotals:
    """Of the sums of `label_counts`, (B, c, 3)."""
    return ClassTotals(sums[..., 0], sums[..., 1], sums[..., 2])


def averaged_by_kind(ratio_of: ClassRatio, setting: MetricContext) -> list[Metric]:
    """The averages of a ratio over classes, or over labels where rows have several."""
    return averaged_of_sets(ratio_of, setting) if kind_named(setting.kind).multi_label else averaged(ratio_of, setting)


def averaged_of_sets(ratio_of: ClassRatio, setting: MetricContext) -> list[Metric]:
    """The metrics of a ratio: micro, macro, weighted, samples, and one for each label."""
    names, name = setting.label_names, ratio_of.name
    ratio_of = replace(ratio_of, counts=set_counts)
    every = tuple(range(len(names)))
    at = threshold_signature(setting)

    def metric(key: str, average: str, **parts: object) -> Metric:
        signature = f"average:{average}|labels:{len(names)}|{at}|zero_division:0"
        return Metric(key, statistics=label_counts, signature=signature, range=(0.0, 1.0), **parts)  # type: ignore[arg-type]

    def over_labels(average: str, score: Statistic, labels: tuple[int, ...]) -> Metric:
        interval = partial(rows_interval, ratio_of=ratio_of, score=score, setting=setting, labels=labels)
        if average == "micro" and ratio_of.proportion:
            interval = partial(_micro_interval, ratio_of=ratio_of)
        undefined = partial(ratio_of.undefined, names=names, labels=labels)
        if average != "macro":
            undefined = partial(some_labels, ratio_of=ratio_of)
        return metric(f"{name}_{average}", average, score=score, interval=interval, undefined=undefined)

    found = [
        over_labels("micro", ratio_of.micro, ()),
        over_labels("macro", ratio_of.macro, every),
        over_labels("weighted", ratio_of.weighted, ()),
        Metric(
            f"{name}_samples",
            statistics=RowRatios(ratio_of),
            score=mean_of(0),
            interval=row_mean_interval,
            signature=f"average:samples|labels:{len(names)}|{at}|zero_division:0",
            range=(0.0, 1.0),
            undefined=some_rows,
        ),
    ]
    return found + [
        metric(
            f"{name}[{names[label]}]",
            "label",
            score=partial(ratio_of.of_class, label=label),
            interval=partial(_label_interval, ratio_of=ratio_of, setting=setting, label=label),
            undefined=partial(ratio_of.undefined, names=names, labels=(label,)),
        )
        for label in every
    ]


def threshold_signature(setting: MetricContext) -> str:
    """The thresholds as a piece of signature."""
    own = setting.options.get(THRESHOLDS)
    return f"threshold:{setting.threshold:g}" if not own else "thresholds:" + ",".join(f"{each:g}" for each in own)


def some_labels(sums: np.ndarray, ratio_of: ClassRatio) -> str | None:
    """0/0 over all labels together."""
    if ratio_of.terms(sums[None])[1].sum():
        return None
    return f"no {ratio_of.lacking} of any label: {ratio_of.name} is 0/0, set to 0 (zero_division=0)"


def rows_interval(
    sample: SufficientStatistics,
    *,
    ratio_of: ClassRatio,
    score: Statistic,
    setting: MetricContext,
    labels: tuple[int, ...],
) -> ConfidenceInterval:
    """BCa over rows, of a mean of proportions from Wilson's; above the floor in each of these labels, else in all."""
    total = sample.total
    rarest = min(labels, key=lambda label: total[label, 2], default=None)
    if rarest is None:
        few = insufficient_support(total[:, 2].sum(), "labels in the reference")
    else:
        few = insufficient_support(total[rarest, 2], f"rows of {setting.label_names[rarest]!r}")
    if few:
        return few
    if labels and ratio_of.proportion:
        return _proportions_interval(sample, ratio_of, score)
    # As of pairs (`paired_cluster_bootstrap`): of few rows a bootstrap is too narrow.
    drawn = sample.bootstrap(
        score, expanded_level(0.95, len(sample.statistics) if rarest is None else int(total[rarest, 2]))
    )
    if labels:
        return with_extreme_labels(total, score, drawn)
    if drawn.low is None and drawn.is_alike:  # all right or all wrong: no resample differs
        numerator, denominator = (term.sum() for term in ratio_of.terms(total[None]))
        return _of_all_alike(ratio_of, numerator, denominator, total)
    return drawn


def _micro_interval(sample: SufficientStatistics, *, ratio_of: ClassRatio) -> ConfidenceInterval:
    """Of the proportion of all decisions: Wilson's, as wide as those of a row go together.

    The variance is that of a ratio of sums over rows (Cochran 1977); where few decisions are wrong a bootstrap covers
    87 %.
    """
    few = insufficient_support(sample.total[:, 2].sum(), "labels in the reference")
    if few:
        return few
    hits, trials = (term.sum(axis=1, dtype=np.float64) for term in ratio_of.terms(sample.statistics))
    count, n = float(trials.sum()), len(trials)
    value = float(hits.sum()) / count
    variance = float(((hits - value * trials) ** 2).sum()) / count * n / max(1, n - 1)
    return fractional_wilson_interval(value, variance, count)


def _proportions_interval(sample: SufficientStatistics, ratio_of: ClassRatio, score: Statistic) -> ConfidenceInterval:
    """Of the mean of each label's proportion: from Wilson's of each, as wide as the labels go together.

    A bootstrap covers 90 % instead of 95 % where a label has 40 rows.
    """
    hits, trials = (term[0] for term in ratio_of.terms(sample.total[None]))
    shares = hits / trials
    ends = np.array([wilson_interval(*map(int, label))[:2] for label in zip(hits, trials, strict=True)])
    together = float(np.nanstd(score(sample.confusion_bootstrap_interval)))
    apart = np.sqrt(shares * (1 - shares) / trials)
    return mean_of_labels_interval(shares, ends.astype(np.float64), together=together, apart=apart)


def with_extreme_labels(total: np.ndarray, score: Statistic, drawn: ConfidenceInterval) -> ConfidenceInterval:
    """The bootstrap's interval, wider by labels of which all rows are found or none: no resample shows another.

    As `with_extreme_classes` of confusion matrices: the score at Wilson's limit of each recall, added as squares.
    """
    moved = []
    for label, (hits, _, referenced) in enumerate(total):
        if referenced and hits in (0, referenced):
            limits = wilson_interval(int(hits), int(referenced))
            limit = total.astype(np.float64)
            limit[label, 0] = referenced * ((limits.high if hits == 0 else limits.low) or 0.0)
            limit[label, 1] += limit[label, 0] - hits
            moved.append(limit)
    return widened(drawn, total, score, moved)


def _label_interval(
    sample: SufficientStatistics, *, ratio_of: ClassRatio, setting: MetricContext, label: int
) -> ConfidenceInterval:
    """Wilson for a proportion; else BCa over the four counts of the label, which are rows each."""
    total, rows = sample.total, len(sample.statistics)
    numerator, denominator = (term[0, label] for term in ratio_of.terms(total[None]))
    if ratio_of.proportion:
        return wilson_interval(int(numerator), int(denominator))
    hits, predicted, referenced = (int(count) for count in total[label])
    few = insufficient_support(referenced, f"rows of {setting.label_names[label]!r}")
    if few:
        return few
    spurious, missed = predicted - hits, referenced - hits
    matrix = np.array([[rows - hits - spurious - missed, spurious], [missed, hits]])

    def of_label(matrices: np.ndarray) -> np.ndarray:
        counts = ClassTotals(
            matrices[:, 1:, 1], matrices[:, :, 1].sum(axis=1)[:, None], matrices[:, 1].sum(axis=1)[:, None]
        )
        return ratio(ratio_of.numerator(counts), ratio_of.denominator(counts))[:, 0]

    interval = multinomial_bootstrap(matrix, of_label, seed=sample.seed, level=expanded_level(0.95, referenced))
    if interval.low is None and interval.is_alike:
        return _of_all_alike(ratio_of, numerator, denominator, total[label : label + 1])
    return interval


def _of_all_alike(ratio_of: ClassRatio, numerator: float, denominator: float, total: np.ndarray) -> ConfidenceInterval:
    """Wilson's of a proportion; of F1, which is 2 j / (1 + j) of the proportion j = tp / (tp + fp + fn), through j."""
    if ratio_of.proportion:
        return wilson_interval(int(numerator), int(denominator))
    hits, predicted, referenced = (int(count) for count in total.sum(axis=0))
    jaccard = wilson_interval(hits, predicted + referenced - hits)
    low, high = (2 * end / (1 + end) for end in (jaccard.low or 0.0, jaccard.high or 0.0))
    return ConfidenceInterval(low, high)
