"""ROUGE for `evaluate`."""

from typing import Any

import datasets
import evaluate

from llmtune.metrics.rouge import TYPES, RowScores, undefined
from llmtune.metrics.rouge_unicode import statistics


class Rouge(evaluate.Metric):
    """Mean F1 over rows of ROUGE-1, -2, -L and -Lsum by rouge_score, 0 to 1; the same on every call.

    Args:
        tokenizer: "a-z0-9" (rouge_score's own, for which a text in another script has no word) or "unicode".
        use_stemmer: English Porter stemmer on words of more than three letters.
        keep_in_memory: of `evaluate`; no file, no lock.
        kwargs: as `evaluate.Metric`.
    """

    def __init__(
        self, use_stemmer: bool = False, keep_in_memory: bool = True, tokenizer: str = "a-z0-9", **kwargs: Any
    ) -> None:
        if tokenizer not in ("a-z0-9", "unicode"):
            raise ValueError(f"rouge: tokenizer {tokenizer!r} is not one of a-z0-9, unicode")
        self.use_stemmer, self.tokenizer = use_stemmer, tokenizer
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
        score_rows = statistics if self.tokenizer == "unicode" else RowScores(self.use_stemmer)
        sums = score_rows({"prediction": predictions, "reference": listed}).sum(axis=0)
        reason = undefined(sums, hint=" (a-z and 0-9 alone); construct Rouge(tokenizer='unicode')")
        if reason is not None:
            raise ValueError(f"rouge: {reason}")
        return {name: float(sums[position] / sums[-1]) for position, name in enumerate(TYPES)}
