"""Length ratio: tokens of the predictions over tokens of the closest references; below 1 the model says too little."""

import math

import numpy as np

from llmtune.metrics.bleu import NgramCounts, tokenizer_for
from llmtune.metrics.core.base import Metric, MetricContext, ratio
from llmtune.metrics.core.clusters import cluster_bootstrap_interval
from llmtune.predictions.kinds import TEXT_GENERATION

KINDS = (TEXT_GENERATION,)


def score(sums: np.ndarray) -> np.ndarray:
    """(B, 10) → (B,), as sacrebleu's `ratio`."""
    return ratio(sums[:, 0], sums[:, 1])


def undefined(sums: np.ndarray) -> str | None:
    """Without reference tokens."""
    return None if sums[1] else "the references have no tokens: their ratio is set to 0 (sacrebleu)"


def metrics(setting: MetricContext) -> list[Metric]:
    """`length_ratio`; neither direction is good, 1 is."""
    tokenizer = tokenizer_for(setting.options.get("language", ""), setting.options.get("bleu_tokenizer"))
    return [
        Metric(
            name="length_ratio",
            statistics=NgramCounts(tokenizer),
            score=score,
            interval=cluster_bootstrap_interval(score),
            signature=f"tok:{tokenizer}|reference:closest",
            range=(0.0, math.inf),
            undefined=undefined,
            unit="ratio",
        )
    ]
