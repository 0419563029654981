"""ROUGE for every script: the scores of rouge_score on Unicode words, and on single characters of unspaced scripts.

Texts are folded by NFKC and case. Not comparable with `rouge1`, hence the names `rouge1_unicode` ….
"""

import unicodedata
from functools import lru_cache, partial
from typing import Any

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext
from llmtune.metrics.core.clusters import cluster_bootstrap_interval, mean_of
from llmtune.metrics.rouge import TYPES, per_example_loss, undefined
from llmtune.predictions.kinds import TEXT_GENERATION
from llmtune.text.languages import is_unspaced

KINDS = (TEXT_GENERATION,)


def tokenize(text: str) -> list[str]:
    """Runs of letters, digits and their marks (vowel signs of Hindi), folded; a letter of an unspaced script alone.

    >>> tokenize("Été 今天 नमस्ते!")
    ['été', '今', '天', 'नमस्ते']
    """
    words: list[str] = []
    inside = False  # whether the next letter goes on with the last word
    for letter in unicodedata.normalize("NFKC", text).casefold():
        category = unicodedata.category(letter)[0]
        if inside and (category == "M" or category in "LN" and not is_unspaced(letter)):
            words[-1] += letter
        elif category in "LN":
            words.append(letter)
            inside = not is_unspaced(letter)
        else:
            inside = False
    return words


class Tokenizer:
    """What RougeScorer asks for."""

    def tokenize(self, text: str) -> list[str]:
        """Words, folded."""
        return tokenize(text)


@lru_cache
def scorer() -> Any:
    """rouge_score's RougeScorer with our tokenizer."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(TYPES), tokenizer=Tokenizer())


def statistics(columns: Columns) -> np.ndarray:
    """As `rouge.row_scores`, (n, 6)."""
    return per_example_loss(columns, scorer(), tokenize)


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
