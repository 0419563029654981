"""BLEU (Papineni 2002) by sacrebleu: n-gram precision of the corpus times a penalty for brevity, 0 to 100.

Comparable only with the same tokenizer, which follows the target language; the signature says which. Corpora of
sentences under four words have no 4-gram and score 0.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from llmtune.errors import InputError
from llmtune.metrics.core.base import Columns, Metric, MetricContext, ratio
from llmtune.metrics.core.clusters import cluster_bootstrap_interval
from llmtune.metrics.core.sacrebleu_statistics import sentence_statistics, signature
from llmtune.predictions.kinds import TEXT_GENERATION
from llmtune.text.languages import base_language

KINDS = (TEXT_GENERATION,)


def tokenizer_for(language: str, chosen: str | None) -> str:
    """Sacrebleu's tokenizer by target language, or the chosen one.

    Raises:
        InputError: 13a for Chinese or Japanese. It splits at spaces only, so that equal sentences but one score 0.
    """
    base = base_language(language)
    mecab = {"ja": ("MeCab", "ja-mecab"), "ko": ("mecab_ko", "ko-mecab")}
    if chosen is not None:
        if chosen == "13a" and base in ("zh", "ja"):
            raise InputError(
                f"bleu: found tokenizer '13a' on language {language!r}, which has no spaces to split at; expected "
                f"{'zh' if base == 'zh' else 'ja-mecab'!r} or 'char': set one of them, or leave bleu_tokenizer out"
            )
        return chosen
    if base in mecab:
        module, tokenizer = mecab[base]
        return tokenizer if find_spec(module) else "char"
    return {"zh": "zh", "th": "char", "km": "char", "lo": "char", "my": "char"}.get(base, "13a")


@lru_cache
def sacrebleu_metric(tokenizer: str) -> Any:
    """Sacrebleu's BLEU; loaded late, tokenizers are slow to make."""
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenizer, force=True)


@dataclass(frozen=True)
class NgramCounts:
    """Statistics: lengths of hypothesis and reference, matched and possible 1- to 4-grams of each sentence, (n, 10)."""

    tokenizer: str

    def __call__(self, columns: Columns) -> np.ndarray:
        """One sentence a unit."""
        return sentence_statistics(sacrebleu_metric(self.tokenizer), columns, 10)


def score(sums: np.ndarray) -> np.ndarray:
    """(B, 10) → (B,), as sacrebleu's `compute_bleu` with exponential smoothing."""
    length, reference_length = sums[:, 0], sums[:, 1]
    matched, possible = sums[:, 2:6], sums[:, 6:10]
    # Each order without a match halves the last one's credit: 1/2, 1/4 … of one n-gram.
    missing = (matched == 0) & (possible > 0)
    credit = np.where(missing, 0.5 ** np.cumsum(missing, axis=1), matched)
    precision = 100 * ratio(credit, possible)
    whole = np.asarray((matched > 0).any(axis=1) & (possible > 0).all(axis=1))
    logs = np.log(np.where(whole[:, None], precision, 1.0)).mean(axis=1)
    penalty = np.exp(np.minimum(0.0, 1 - ratio(reference_length, np.maximum(length, 1e-300))))
    return np.where(whole, penalty * np.exp(logs), 0.0)


def undefined(sums: np.ndarray) -> str | None:
    """Without any 4-gram."""
    if sums[9]:
        return None
    return "no prediction has four words: BLEU has no 4-gram to count and is 0 (sacrebleu); read chrf"


def metrics(setting: MetricContext) -> list[Metric]:
    """`bleu`."""
    tokenizer = tokenizer_for(setting.options.get("language", ""), setting.options.get("bleu_tokenizer"))
    return [
        Metric(
            name="bleu",
            statistics=NgramCounts(tokenizer),
            score=score,
            interval=cluster_bootstrap_interval(score),
            signature=signature(sacrebleu_metric(tokenizer), setting),
            range=(0.0, 100.0),
            undefined=undefined,
            unit="percent",
        )
    ]
