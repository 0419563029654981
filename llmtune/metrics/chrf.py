"""chrF (Popović 2015) by sacrebleu: F-2 of character n-grams up to 6, 0 to 100; chrF++ adds words and word pairs.

Needs no tokenizer, so it serves every language.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, ratio
from llmtune.metrics.core.clusters import cluster_bootstrap_interval
from llmtune.metrics.core.sacrebleu_statistics import sentence_statistics, signature
from llmtune.predictions.kinds import TEXT_GENERATION

KINDS = (TEXT_GENERATION,)


@lru_cache
def sacrebleu_metric(word_order: int) -> Any:
    """Sacrebleu's CHRF, loaded late."""
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=word_order)


@dataclass(frozen=True)
class CharacterCounts:
    """Statistics: n-grams of hypothesis, of reference, and matched, for each order: (n, 18), or (n, 24) with words."""

    word_order: int

    def __call__(self, columns: Columns) -> np.ndarray:
        """One sentence a unit; of several references the one with the best score."""
        return sentence_statistics(sacrebleu_metric(self.word_order), columns, 3 * (6 + self.word_order))


def score(sums: np.ndarray) -> np.ndarray:
    """(B, 3 × orders) → (B,), mean precision and recall of the orders that occur, then F-2."""
    said, wanted, matched = np.moveaxis(sums.reshape(len(sums), -1, 3), 2, 0)
    occurs = (said > 0) & (wanted > 0)
    orders = occurs.sum(axis=1)
    precision = ratio((ratio(matched, said) * occurs).sum(axis=1), orders)
    recall = ratio((ratio(matched, wanted) * occurs).sum(axis=1), orders)
    return 100 * ratio(5 * precision * recall, 4 * precision + recall)


def undefined(sums: np.ndarray) -> str | None:
    """Without a character on both sides."""
    return None if sums[0] or sums[1] else "no characters to compare: chrF is set to 0 (sacrebleu)"


def metrics(setting: MetricContext) -> list[Metric]:
    """`chrf` and `chrf++`."""
    return [
        Metric(
            name=name,
            statistics=CharacterCounts(word_order),
            score=score,
            interval=cluster_bootstrap_interval(score),
            signature=signature(sacrebleu_metric(word_order), setting),
            range=(0.0, 100.0),
            undefined=undefined,
            unit="percent",
        )
        for name, word_order in (("chrf", 0), ("chrf++", 2))
    ]
