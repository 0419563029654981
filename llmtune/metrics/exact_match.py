"""Exact match by SQuAD's rules: share of answers equal to one of the references, folded, in percent.

Folded: lower case, without punctuation and the articles a, an, the; runs of space are one.
"""

import re
import string
from collections.abc import Callable

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, SufficientStatistics, ratio
from llmtune.predictions.kinds import QUESTION_ANSWERING, TEXT_GENERATION
from llmtune.stats import ConfidenceInterval, wilson_interval

KINDS = (QUESTION_ANSWERING, TEXT_GENERATION)
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(answer: str) -> str:
    """SQuAD's `normalize_answer`.

    >>> normalize_answer("The Eiffel  Tower!")
    'eiffel tower'
    """
    return " ".join(ARTICLES.sub(" ", answer.lower().translate(PUNCTUATION)).split())


def best_of(columns: Columns, score: Callable[[str, str], float]) -> list[float]:
    """For each row the best score (prediction, reference) over its references, as SQuAD 2.0's script has it.

    References that fold to nothing ("the") don't count; without others the answer is the empty one.
    """
    rows = zip(columns["prediction"], columns["reference"], strict=True)
    return [
        max(score(prediction, reference) for reference in [*filter(normalize_answer, references)] or [""])
        for prediction, references in rows
    ]


def statistics(columns: Columns) -> np.ndarray:
    """Whether each row matches, and 1: shape (n, 2)."""
    found = best_of(
        columns, lambda prediction, reference: float(normalize_answer(prediction) == normalize_answer(reference))
    )
    return np.stack([found, np.ones(len(found))], axis=1)


def score(sums: np.ndarray) -> np.ndarray:
    """(B, 2) → (B,)."""
    return 100 * ratio(sums[:, 0], sums[:, 1])


def interval(sample: SufficientStatistics) -> ConfidenceInterval:
    """Wilson's, in percent."""
    low, high, reason = wilson_interval(int(sample.total[0]), int(sample.total[1]))
    return ConfidenceInterval(None if low is None else 100 * low, None if high is None else 100 * high, reason)


def undefined(sums: np.ndarray) -> str | None:
    """Without rows."""
    return None if sums[1] else "no rows to score"


def metrics(setting: MetricContext) -> list[Metric]:
    """`exact_match`."""
    return [
        Metric(
            name="exact_match",
            statistics=statistics,
            score=score,
            interval=interval,
            signature="rules:squad|references:best",
            range=(0.0, 100.0),
            undefined=undefined,
            unit="percent",
        )
    ]
