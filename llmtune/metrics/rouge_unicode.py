"""ROUGE for every script: the scores of rouge_score on Unicode words, and on single characters of unspaced scripts.

Texts are folded by NFKC and case. Not comparable with `rouge1`, hence the names `rouge1_unicode` ….
"""

from functools import lru_cache, partial
from typing import Any

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext
from llmtune.metrics.core.clusters import cluster_bootstrap_interval, mean_of
from llmtune.metrics.rouge import TYPES, rouge_statistics, undefined
from llmtune.predictions.kinds import TEXT_GENERATION
from llmtune.text.words import fold_words

KINDS = (TEXT_GENERATION,)


class Tokenizer:
    """What RougeScorer asks for."""

    def tokenize(self, text: str) -> list[str]:
        """Words, folded."""
        return fold_words(text)


@lru_cache
def scorer() -> Any:
    """rouge_score's RougeScorer with our tokenizer."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(TYPES), tokenizer=Tokenizer())


def statistics(columns: Columns) -> np.ndarray:
    """As `rouge.row_scores`, (n, 6)."""
    return rouge_statistics(columns, scorer(), fold_words)


def metrics(setting: MetricContext) -> list[Metric]:
    """`rouge1_unicode`, `rouge2_unicode`, `rougeL_unicode`, `rougeLsum_unicode`."""
    return [
        Metric(
            name=f"{name}_unicode",
            statistics=statistics,
            score=mean_of(position),
            interval=cluster_bootstrap_interval(mean_of(position)),
            signature="f:1|average:rows|tokenizer:unicode-words-nfkc-casefold|stemmer:no|version:rouge_score-0.1.2",
            range=(0.0, 1.0),
            undefined=partial(undefined, hint=""),
        )
        for position, name in enumerate(TYPES)
    ]
