"""Perplexity: e to a token's mean negative log-likelihood in nats, the same as 2 to its bits; a uniform guess: V.

Sums over all tokens are divided once: means of batches or rows give another number.
Comparable only between models with the same tokenizer; across tokenizers read `bits_per_byte`.
Letters: b rows, t tokens, v vocabulary.
"""

import math
from typing import Any

import numpy as np

from llmtune.metrics.core.base import IGNORED, Columns, Metric, MetricContext, ratio
from llmtune.metrics.core.clusters import cluster_bootstrap_interval
from llmtune.predictions.kinds import LANGUAGE_MODELING

KINDS = (LANGUAGE_MODELING,)
CHUNK = 2**21  # logits turned to float32 at once: 8 MiB, whatever the vocabulary


def statistics(columns: Columns) -> np.ndarray:
    """Nats and tokens of each row, (n, 2)."""
    return np.stack([columns["nll"], columns["tokens"]], axis=1).astype(np.float64)


def score(sums: np.ndarray) -> np.ndarray:
    """(B, 2) → (B,); NaN without tokens, infinite where e to the mean is too large for a float."""
    with np.errstate(over="ignore"):
        return np.where(sums[:, 1] > 0, np.exp(ratio(sums[:, 0], sums[:, 1])), np.nan)


def undefined(sums: np.ndarray) -> str | None:
    """Without tokens, or beyond the floats."""
    if sums[1] == 0:
        return "no tokens to score"
    nats = sums[0] / sums[1]
    return None if nats < math.log(np.finfo(np.float64).max) else f"{nats:g} nats a token: e to that is no float"


def row_likelihoods(logits: Any, labels: Any, *, shift: bool = True) -> Any:
    """Nats, tokens and tokens ranked first of each row, float64 (b, 3), from logits (b, t, v) and labels (b, t).

    Works through the tokens in pieces: beside the logits themselves it needs about 20 MB however large the vocabulary.

    Args:
        logits: of any float type.
        labels: -100 does not count.
        shift: whether the logits at a position are about the next label, as in a causal model.
    """
    import torch

    if shift:
        logits, labels = logits[:, :-1], labels[:, 1:]
    rows = torch.zeros(len(labels), 3, dtype=torch.float32 if logits.device.type == "mps" else torch.float64)
    step = max(1, CHUNK // logits.shape[-1])
    for row in range(len(labels)):
        for i in range(0, labels.shape[1], step):
            piece, wanted = logits[row, i : i + step].float(), labels[row, i : i + step]
            counted = wanted != IGNORED
            target = wanted.masked_fill(~counted, 0)
            nll = piece.logsumexp(-1) - piece.gather(-1, target[:, None])[:, 0]
            hits = (piece.argmax(-1) == wanted) & counted
            # Not masked by multiplication: the NaN of a padded position would stay NaN.
            sums = nll.masked_fill(~counted, 0).sum(dtype=rows.dtype), counted.sum(), hits.sum()
            rows[row] += torch.stack([part.to(rows.dtype) for part in sums]).cpu()
    return rows.to(logits.device)


def scoring_signature(log: str, average: str, setting: MetricContext) -> str:
    """With the windows and the policy for the first token, where the table tells them."""
    return "|".join([f"log:{log}", f"average:{average}", "units:rows", *filter(None, [setting.options.get("scoring")])])


def metrics(setting: MetricContext) -> list[Metric]:
    """`perplexity`."""
    return [
        Metric(
            name="perplexity",
            statistics=statistics,
            score=score,
            interval=cluster_bootstrap_interval(score),
            signature=scoring_signature("e", "tokens", setting),
            range=(1.0, math.inf),
            needs=("nll", "tokens"),
            undefined=undefined,
            higher_is_better=False,
            unit="perplexity",
        )
    ]
