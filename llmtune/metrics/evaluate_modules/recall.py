"""Recall for `evaluate`."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from llmtune.metrics.core.class_ids import average_of
from llmtune.metrics.recall import RECALL


class Recall(evaluate.Metric):
    """Share of the rows of a class that are predicted as it, 0 to 1, higher is better; 0 where undefined.

    Args:
        average: "binary" (of `pos_label`), "macro", "micro", "weighted", or None for each class.
        labels: all class ids; without them a class that no row shows drops out of the average, as in sklearn.
        pos_label: the class that "binary" is about.
        keep_in_memory: of `evaluate`; no file, no lock.
        kwargs: as `evaluate.Metric`.
    """

    def __init__(
        self,
        average: str | None = "binary",
        labels: Sequence[int] = (),
        pos_label: int = 1,
        keep_in_memory: bool = True,
        **kwargs: Any,
    ) -> None:
        self.settings = {"average": average, "labels": labels, "pos_label": pos_label}
        super().__init__(keep_in_memory=keep_in_memory, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        # float64, not int: an int feature would cut 0.9 to 0 before we could refuse it.
        value = datasets.Value("float64")
        return evaluate.MetricInfo(
            description=str(self.__doc__),
            citation="",
            features=datasets.Features({"predictions": value, "references": value}),
        )

    def _compute(self, predictions: list[float], references: list[float], **settings: Any) -> dict[str, Any]:
        return {"recall": average_of(RECALL, predictions, references, **(self.settings | settings))}
