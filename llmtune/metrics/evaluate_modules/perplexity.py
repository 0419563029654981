"""Perplexity for `evaluate`."""

from typing import Any

import datasets
import evaluate
import numpy as np

from llmtune.metrics.perplexity import score


class Perplexity(evaluate.Metric):
    """Perplexity e^(nats / tokens) of all rows together, 1 and above, lower is better.

    `predictions` are each row's negative log-likelihood in nats, `references` its number of tokens: no model is loaded.

    Args:
        keep_in_memory: of `evaluate`; no file, no lock.
        kwargs: as `evaluate.Metric`.
    """

    def __init__(self, keep_in_memory: bool = True, **kwargs: Any) -> None:
        super().__init__(keep_in_memory=keep_in_memory, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=str(self.__doc__),
            citation="",
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: list[float], references: list[int]) -> dict[str, float]:
        return {"perplexity": float(score(np.array([[np.sum(predictions), np.sum(references)]], dtype=np.float64))[0])}
