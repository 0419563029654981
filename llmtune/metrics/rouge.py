"""ROUGE (Lin 2004) by rouge_score: mean over rows of F1 of shared words (1), word pairs (2), longest subsequence (L).

`rougeLsum` takes each line as a sentence. rouge_score reads a-z and 0-9 alone: Hindi scores 0 against itself.
`--metrics rouge_unicode` reads every script. Not the bootstrap median that `evaluate` gives.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext
from llmtune.metrics.core.clusters import cluster_bootstrap_interval, mean_of
from llmtune.predictions.kinds import TEXT_GENERATION
from llmtune.text.words import fold_words

KINDS = (TEXT_GENERATION,)
TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


@lru_cache
def scorer(stemmer: bool) -> Any:
    """rouge_score's RougeScorer; loaded late, it imports nltk."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(TYPES), use_stemmer=stemmer)


def rouge_statistics(columns: Columns, of: Any, tokenize: Any) -> np.ndarray:
    """For each row its best F1 of each type, whether its references can't be read, and 1: (n, 6)."""
    rows = []
    for prediction, references in zip(columns["prediction"], columns["reference"], strict=True):
        best = of.score_multi(references, prediction)
        blank = all(is_unread(reference, tokenize) for reference in references)
        rows.append([*(best[name].fmeasure for name in TYPES), blank, 1.0])
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(TYPES) + 2)


def is_unread(text: str, tokenize: Any) -> bool:
    """Whether a tokenizer leaves out more than half of the words of a text: of Hindi, say, all but its numbers."""
    tokens = len(tokenize(text))
    return tokens == 0 or (not text.isascii() and 2 * tokens < len(fold_words(text)))


@dataclass(frozen=True)
class RowScores:
    """Statistics: as `rouge_statistics`, with the tokenizer of rouge_score."""

    stemmer: bool

    def __call__(self, columns: Columns) -> np.ndarray:
        """One row a unit."""
        of = scorer(self.stemmer)
        return rouge_statistics(columns, of, of._tokenizer.tokenize)


def undefined(sums: np.ndarray, hint: str) -> str | None:
    """Without rows, or where a tenth of the references is not in letters that ROUGE reads."""
    blank, n = sums[-2:]
    if n == 0:
        return "no rows to score"
    if blank > 0.1 * n:
        return f"{int(blank)} of {int(n)} references are not in letters that ROUGE reads{hint}"
    return None


def metrics(setting: MetricContext) -> list[Metric]:
    """`rouge1`, `rouge2`, `rougeL`, `rougeLsum`, each 0 to 1."""
    stemmer = bool(setting.options.get("rouge_stemmer", False))
    stem = "porter" if stemmer else "no"
    return [
        Metric(
            name=name,
            statistics=RowScores(stemmer),
            score=mean_of(position),
            interval=cluster_bootstrap_interval(mean_of(position)),
            signature=f"f:1|average:rows|tokenizer:a-z0-9|stemmer:{stem}|version:rouge_score-0.1.2",
            range=(0.0, 1.0),
            undefined=partial(undefined, hint=" (a-z and 0-9 alone); read rouge_unicode (--metrics rouge_unicode)"),
        )
        for position, name in enumerate(TYPES)
    ]
