"""Expected calibration error (Naeini 2015): gap between confidence and hits, averaged over 15 equal bins of confidence.

For two labels the confidence is the positive label's probability, for more the largest one (as torchmetrics). ECE is
biased upwards: a perfectly calibrated model of 200 rows shows about 0.06. `null_distribution` says what it would show.
"""

from dataclasses import dataclass

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, SufficientStatistics, ratio
from llmtune.predictions.kinds import CLASSIFICATION
from llmtune.stats import ConfidenceInterval

KINDS = (CLASSIFICATION,)

BINS = 15


def confidence_and_hit(columns: Columns, positive_id: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Each row's confidence and whether it came true, both float64 of shape (n,)."""
    probabilities, reference = columns["probabilities"], columns["reference"]
    if positive_id is not None:
        return probabilities[:, positive_id], (reference == positive_id).astype(np.float64)
    top = probabilities.argmax(axis=1) if len(probabilities) else np.zeros(0, dtype=np.int64)
    return probabilities[np.arange(len(top)), top], (top == reference).astype(np.float64)


def bin_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Bin [i / bins, (i + 1) / bins) of each value; exactly 1.0 has a bin of its own, as in torchmetrics."""
    return np.searchsorted(np.linspace(0, 1, bins + 1), confidence, side="right") - 1


def reliability_curve(columns: Columns, positive_id: int | None) -> list[tuple[float, float, int]]:
    """Mean confidence, share that came true and rows of each bin that holds rows: page and TensorBoard draw this."""
    confidence, hit = confidence_and_hit(columns, positive_id)
    # A probability of exactly 1 has a bin of its own; on the plot it is at the right end anyway.
    where = bin_of(confidence, BINS)
    filled = (where == place for place in range(BINS + 1))
    return [(float(confidence[rows].mean()), float(hit[rows].mean()), int(rows.sum())) for rows in filled if rows.any()]


@dataclass(frozen=True)
class BinSums:
    """Statistics: rows, summed confidence and hits of each bin, shape (1, bins + 1, 3)."""

    positive_id: int | None
    bins: int = BINS

    def __call__(self, columns: Columns) -> np.ndarray:
        """Adds up a batch."""
        confidence, hit = confidence_and_hit(columns, self.positive_id)
        where = bin_of(confidence, self.bins)
        sums = [np.bincount(where, weights, self.bins + 1) for weights in (np.ones(len(hit)), confidence, hit)]
        return np.stack(sums, axis=1)[None]


def score(sums: np.ndarray) -> np.ndarray:
    """Σ |hits - confidence| / n over bins, (B, bins + 1, 3) → (B,)."""
    return ratio(np.abs(sums[:, :, 2] - sums[:, :, 1]).sum(axis=1), sums[:, :, 0].sum(axis=1))


def null_distribution(
    columns: Columns, positive_id: int | None, *, n_resamples: int = 1_000, seed: int = 0
) -> np.ndarray:
    """ECE of `n_resamples` sets of references drawn from the probabilities themselves, shape (resamples,).

    What a perfectly calibrated model with these confidences would show. Its 99.5 % quantile bounds chance.
    """
    confidence, _ = confidence_and_hit(columns, positive_id)
    where = bin_of(confidence)
    sizes = np.bincount(where, minlength=BINS + 1)
    expected = np.bincount(where, confidence, BINS + 1)
    rng = np.random.default_rng(seed)
    # Hits of a bin are a sum of unequal Bernoullis. Within a bin 1/15 wide a binomial with their mean is that sum but
    # for a variance larger by at most n (1/30)²: far cheaper than drawing every row, and on the safe side.
    hits = rng.binomial(sizes, np.clip(ratio(expected, sizes), 0, 1), size=(n_resamples, BINS + 1))
    return ratio(np.abs(hits - expected).sum(axis=1), np.full(n_resamples, sizes.sum()))


def no_interval(sample: SufficientStatistics) -> ConfidenceInterval:
    """None is given: the resampled ECE is biased again, so no bootstrap covers; its null value stands beside it."""
    n = int(sample.total[:, 0].sum())
    return ConfidenceInterval(None, None, f"ECE is biased upwards by chance (n={n}); compare it with its null value")


def undefined(sums: np.ndarray) -> str | None:
    """Without rows."""
    return None if sums[:, 0].sum() else "no rows to score"


def null_score(sums: np.ndarray) -> np.ndarray:
    """Mean ECE of a perfectly calibrated model with these bins: E|binomial - mean| by its normal value, (B,)."""
    rows, confidence = sums[:, :, 0], sums[:, :, 1]
    share = ratio(confidence, rows)
    return ratio(np.sqrt(2 / np.pi * rows * share * (1 - share)).sum(axis=1), rows.sum(axis=1))


def metrics(setting: MetricContext) -> list[Metric]:
    """`ece` and `ece_null`, what chance alone would show."""
    of = "top label" if setting.positive_id is None else setting.label_names[setting.positive_id]
    return [
        Metric(
            name=name,
            statistics=BinSums(setting.positive_id),
            score=scored,
            interval=no_interval,
            signature=f"bins:{BINS}|norm:l1|of:{of}",
            range=(0.0, 1.0),
            needs=("reference", "probabilities"),
            undefined=undefined,
            higher_is_better=False,
            unit="probability",
        )
        for name, scored in (("ece", score), ("ece_null", null_score))
    ]
