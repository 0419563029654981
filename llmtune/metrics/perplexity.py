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


def row_likelihoods(logits: Any, labels: Any, *, shift: bool = True, tokens_at_once: int | None = None) -> Any:
    """Nats, tokens and tokens ranked first of each row, float64 (b, 3), from logits (b, t, v) and labels (b, t).

    Works through the tokens that count in pieces: beside the logits themselves it needs about 20 MB however large the
    vocabulary.

    Args:
        logits: of any float type; or `PendingLogits`, of which a piece is computed when it is read.
        labels: -100 does not count.
        shift: whether the logits at a position are about the next label, as in a causal model.
        tokens_at_once: of a piece; a product of few tokens takes as long as one of many. Default: 8 MiB of logits.
    """
    import torch

    if shift:
        logits, labels = logits[:, :-1], labels[:, 1:]
    labels = labels.to(logits.device)
    places = (labels != IGNORED).nonzero(as_tuple=True)
    wide = torch.float32 if logits.device.type == "mps" else torch.float64
    # By place and then summed, not added up piece by piece: on a GPU such sums come out in another order each time.
    tokens = torch.zeros(*labels.shape, 3, dtype=wide, device=logits.device)
    step = tokens_at_once or max(1, CHUNK // logits.shape[-1])
    for i in range(0, len(places[0]), step):
        piece = places[0][i : i + step], places[1][i : i + step]
        scores, target = logits[piece].float(), labels[piece]
        nll = scores.logsumexp(-1) - scores.gather(-1, target[:, None])[:, 0]
        tokens[piece] = torch.stack([nll, torch.ones_like(nll), (scores.argmax(-1) == target).float()], -1).to(wide)
    return tokens.sum(dim=1)


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
