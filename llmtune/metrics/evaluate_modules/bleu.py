"""BLEU for `evaluate`."""

from typing import Any

import datasets
import evaluate

from llmtune.metrics.bleu import NgramCounts, sacrebleu_metric, score, tokenizer_for


class Bleu(evaluate.Metric):
    """BLEU by sacrebleu, 0 to 100, with its signature; rows may have unequal numbers of references.

    Args:
        language: of the target; the tokenizer follows from it.
        tokenize: sacrebleu's tokenizer instead; 13a is refused for Chinese and Japanese.
        keep_in_memory: of `evaluate`; no file, no lock.
        kwargs: as `evaluate.Metric`.
    """

    def __init__(
        self, language: str = "", tokenize: str | None = None, keep_in_memory: bool = True, **kwargs: Any
    ) -> None:
        self.tokenizer = tokenizer_for(language, tokenize)
        super().__init__(keep_in_memory=keep_in_memory, **kwargs)

    def _info(self) -> list[evaluate.MetricInfo] | evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=str(self.__doc__),
            citation="",
            features=[
                datasets.Features({"predictions": text, "references": datasets.Sequence(text)}),
                datasets.Features({"predictions": text, "references": text}),
            ],
        )

    def _compute(self, predictions: list[str], references: list[Any]) -> dict[str, Any]:
        listed = [[row] if isinstance(row, str) else row for row in references]
        sums = NgramCounts(self.tokenizer)({"prediction": predictions, "reference": listed}).sum(axis=0)
        signature = str(sacrebleu_metric(self.tokenizer).get_signature())
        return {"bleu": float(score(sums[None])[0]), "signature": signature}
