"""Bits per byte of UTF-8: nats / ln 2 / bytes. What compares language models whose tokenizers differ."""

import math

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, ratio
from llmtune.metrics.core.clusters import cluster_bootstrap_interval
from llmtune.metrics.perplexity import scoring_signature
from llmtune.predictions.kinds import LANGUAGE_MODELING

KINDS = (LANGUAGE_MODELING,)


def statistics(columns: Columns) -> np.ndarray:
    """Nats and bytes of each row, (n, 2)."""
    return np.stack([columns["nll"], columns["bytes"]], axis=1).astype(np.float64)


def score(sums: np.ndarray) -> np.ndarray:
    """(B, 2) → (B,); NaN without bytes."""
    return np.where(sums[:, 1] > 0, ratio(sums[:, 0], sums[:, 1]) / math.log(2), np.nan)


def undefined(sums: np.ndarray) -> str | None:
    """Without bytes."""
    return None if sums[1] else "no bytes to score"


def metrics(setting: MetricContext) -> list[Metric]:
    """`bits_per_byte`."""
    return [
        Metric(
            name="bits_per_byte",
            statistics=statistics,
            score=score,
            interval=cluster_bootstrap_interval(score),
            signature=scoring_signature("2", "bytes", setting),
            range=(0.0, math.inf),
            needs=("nll", "bytes"),
            undefined=undefined,
            higher_is_better=False,
            unit="bits",
        )
    ]
