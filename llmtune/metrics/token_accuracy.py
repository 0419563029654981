"""Token accuracy: share of words whose tag is right, or of tokens that a language model ranks first.

For entities mostly a score of `O`: a tagger that finds nothing scores the share of words outside entities.
"""

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, ratio
from llmtune.metrics.core.clusters import cluster_bootstrap_interval
from llmtune.predictions.kinds import LANGUAGE_MODELING, TOKEN_CLASSIFICATION, kind_named

KINDS = (TOKEN_CLASSIFICATION, LANGUAGE_MODELING)


def tag_statistics(columns: Columns) -> np.ndarray:
    """Right words and words of each sentence, (n, 2)."""
    reference, prediction = columns["reference"], columns["prediction"]
    names = {name: code for code, name in enumerate(reference.names)}
    shared = np.array([names.get(name, -1) for name in prediction.names], dtype=np.int64)
    right = shared[prediction.codes] == reference.codes if len(reference.codes) else np.zeros(0)
    n = len(reference.lengths)
    return np.stack([np.bincount(reference.sentences, right, n), reference.lengths], axis=1).astype(np.float64)


def token_statistics(columns: Columns) -> np.ndarray:
    """Right tokens and tokens of each row, (n, 2)."""
    return np.stack([columns["correct"], columns["tokens"]], axis=1).astype(np.float64)


def score(sums: np.ndarray) -> np.ndarray:
    """Right over all, (B, 2) → (B,)."""
    return ratio(sums[:, 0], sums[:, 1])


def undefined(sums: np.ndarray) -> str | None:
    """Without tokens."""
    return None if sums[1] else "no tokens to score"


def metrics(setting: MetricContext) -> list[Metric]:
    """`token_accuracy`."""
    tags = kind_named(setting.kind).tagged
    return [
        Metric(
            name="token_accuracy",
            statistics=tag_statistics if tags else token_statistics,
            score=score,
            interval=cluster_bootstrap_interval(score, proportion=lambda sums: (sums[0], sums[1])),
            signature="units:sentences" if tags else "units:rows",
            range=(0.0, 1.0),
            needs=("reference", "prediction") if tags else ("correct", "tokens"),
            undefined=undefined,
        )
    ]
