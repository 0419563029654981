"""TER (Snover 2006) by sacrebleu: edits and shifts of words that turn a prediction into its reference, per 100 words.

Its time grows with the square of a sentence's length: a report of long texts leaves it out unless asked.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, ratio
from llmtune.metrics.core.clusters import cluster_bootstrap_interval
from llmtune.metrics.core.sacrebleu_statistics import sentence_statistics, signature
from llmtune.predictions.kinds import TEXT_GENERATION
from llmtune.text.languages import base_language

KINDS = (TEXT_GENERATION,)


@lru_cache
def sacrebleu_metric(asian: bool) -> Any:
    """Sacrebleu's TER, loaded late."""
    from sacrebleu.metrics.ter import TER

    return TER(normalized=asian, asian_support=asian)


@dataclass(frozen=True)
class Edits:
    """Statistics: least edits over the references, and their mean length, of each sentence, (n, 2)."""

    asian: bool

    def __call__(self, columns: Columns) -> np.ndarray:
        """One sentence a unit."""
        return sentence_statistics(sacrebleu_metric(self.asian), columns, 2)


def score(sums: np.ndarray) -> np.ndarray:
    """(B, 2) → (B,); 100 where words stand against empty references, as sacrebleu."""
    return 100 * np.where(sums[:, 1] > 0, ratio(sums[:, 0], sums[:, 1]), sums[:, 0] > 0)


def undefined(sums: np.ndarray) -> str | None:
    """Without reference words."""
    return None if sums[1] else "the references have no words: TER is set to 0, or to 100 (sacrebleu)"


def metrics(setting: MetricContext) -> list[Metric]:
    """`ter`; Chinese and Japanese are split into characters."""
    asian = base_language(setting.options.get("language", "")) in ("zh", "ja")
    return [
        Metric(
            name="ter",
            statistics=Edits(asian),
            score=score,
            interval=cluster_bootstrap_interval(score),
            signature=signature(sacrebleu_metric(asian), setting),
            range=(0.0, math.inf),
            undefined=undefined,
            higher_is_better=False,
            unit="percent",
        )
    ]
