"""Accuracy for `evaluate`."""

from typing import Any

import datasets
import evaluate

from llmtune.metrics.accuracy import score
from llmtune.metrics.core.class_ids import confusion_of


class Accuracy(evaluate.Metric):
    """Share of rows whose class id is right, 0 to 1, higher is better."""

    def __init__(self, keep_in_memory: bool = True, **kwargs: Any) -> None:
        super().__init__(keep_in_memory=keep_in_memory, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        # float64, not int: an int feature would cut 0.9 to 0 before we could refuse it.
        value = datasets.Value("float64")
        return evaluate.MetricInfo(
            description=str(self.__doc__),
            citation="",
            features=datasets.Features({"predictions": value, "references": value}),
        )

    def _compute(self, predictions: list[float], references: list[float]) -> dict[str, float]:
        return {"accuracy": float(score(confusion_of(predictions, references, ())[None])[0])}
