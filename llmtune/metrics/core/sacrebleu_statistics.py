"""sacrebleu's sentence statistics, extracted once for a batch: the field's reference counts, our sums and intervals.

`_extract_corpus_statistics` is private to sacrebleu 2; tests pin it. Letters: n sentences, s statistics.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from llmtune.metrics.core.base import Columns, MetricContext


def streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """References by row → sacrebleu's streams: the first of each row, the second … None where a row has fewer."""
    most = max(map(len, references), default=1)
    return [[row[i] if i < len(row) else None for row in references] for i in range(most)]


def sentence_statistics(metric: Any, columns: Columns, width: int) -> np.ndarray:
    """Statistics of each sentence by a sacrebleu metric, (n, s)."""
    if not columns["prediction"]:
        return np.zeros((0, width))
    found = metric._extract_corpus_statistics(columns["prediction"], streams(columns["reference"]))
    return np.array(found, dtype=np.float64)


def signature(metric: Any, setting: MetricContext) -> str:
    """Sacrebleu's own, with the number of references of this table."""
    metric.num_refs = setting.options.get("nrefs", 1)
    return str(metric.get_signature())
