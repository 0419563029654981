"""Answer F1 by SQuAD's rules: overlap of the words of answer and reference, mean over rows, in percent.

Words are SQuAD's (folded, split at spaces); Chinese and other unspaced scripts count by character, where SQuAD itself
would call the whole answer one word.
"""

from collections import Counter

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext
from llmtune.metrics.core.clusters import cluster_bootstrap_interval, some_rows
from llmtune.metrics.exact_match import best_of, normalize_answer
from llmtune.predictions.kinds import QUESTION_ANSWERING
from llmtune.text.words import split_at_spaces

KINDS = (QUESTION_ANSWERING,)


def words(answer: str) -> list[str]:
    """SQuAD's words, and single characters of unspaced scripts."""
    return split_at_spaces(normalize_answer(answer))


def overlap_f1(prediction: str, reference: str) -> float:
    """F1 of shared words, 0 to 1; 1 if both are empty."""
    said, wanted = words(prediction), words(reference)
    if not said or not wanted:
        return float(said == wanted)
    shared = sum((Counter(said) & Counter(wanted)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(said), shared / len(wanted)
    return 2 * precision * recall / (precision + recall)


def statistics(columns: Columns) -> np.ndarray:
    """F1 of each row, and 1: shape (n, 2)."""
    found = best_of(columns, overlap_f1)
    return np.stack([found, np.ones(len(found))], axis=1)


def score(sums: np.ndarray) -> np.ndarray:
    """(B, 2) → (B,)."""
    return 100 * sums[:, 0] / np.maximum(1, sums[:, 1])


def metrics(setting: MetricContext) -> list[Metric]:
    """`f1` of question answering."""
    return [
        Metric(
            name="f1",
            statistics=statistics,
            score=score,
            interval=cluster_bootstrap_interval(score, scale=100.0, proportion=lambda sums: (sums[0], sums[1])),
            signature="rules:squad|references:best|unspaced:characters",
            range=(0.0, 100.0),
            undefined=some_rows,
            unit="percent",
        )
    ]
