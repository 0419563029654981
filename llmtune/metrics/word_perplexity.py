"""Word perplexity: e to the nats spent on a word, spaces and all. Comparable across tokenizers."""

import math

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext
from llmtune.metrics.core.clusters import cluster_bootstrap_interval
from llmtune.metrics.perplexity import score, scoring_signature, undefined
from llmtune.predictions.kinds import LANGUAGE_MODELING

KINDS = (LANGUAGE_MODELING,)


def statistics(columns: Columns) -> np.ndarray:
    """Nats and words of each row, (n, 2)."""
    return np.stack([columns["nll"], columns["words"]], axis=1).astype(np.float64)


def metrics(setting: MetricContext) -> list[Metric]:
    """`word_perplexity`."""
    return [
        Metric(
            name="word_perplexity",
            statistics=statistics,
            score=score,
            interval=cluster_bootstrap_interval(score),
            signature=scoring_signature("e", "words", setting),
            range=(1.0, math.inf),
            needs=("nll", "words"),
            undefined=undefined,
            higher_is_better=False,
            unit="perplexity",
        )
    ]
