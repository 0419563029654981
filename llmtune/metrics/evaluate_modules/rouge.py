"""ROUGE for `evaluate`."""

from typing import Any

import datasets
import evaluate

from llmtune.metrics.rouge import TYPES, RowScores


class Rouge(evaluate.Metric):
    """Mean F1 over rows of ROUGE-1, -2, -L and -Lsum by rouge_score, 0 to 1; the same on every call.

    Args:
        use_stemmer: English Porter stemmer on words of more than three letters.
        keep_in_memory: of `evaluate`; no file, no lock.
        kwargs: as `evaluate.Metric`.
    """

    def __init__(self, use_stemmer: bool = False, keep_in_memory: bool = True, **kwargs: Any) -> None:
        self.use_stemmer = use_stemmer
        super().__init__(keep_in_memory=keep_in_memory, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=str(self.__doc__),
            citation="",
            features=[
                datasets.Features({"predictions": text, "references": datasets.Sequence(text)}),
                datasets.Features({"predictions": text, "references": text}),
            ],
        )

    def _compute(self, predictions: list[str], references: list[Any]) -> dict[str, float]:
        listed = [[row] if isinstance(row, str) else row for row in references]
        sums = RowScores(self.use_stemmer)({"prediction": predictions, "reference": listed}).sum(axis=0)
        return {name: float(sums[position] / sums[-1]) for position, name in enumerate(TYPES)}
