"""ROUGE for `evaluate`."""

from typing import Any

import datasets
import evaluate

from llmtune.metrics.rouge import TYPES, RowScores, is_unread, scorer
from llmtune.metrics.rouge_unicode import statistics


class Rouge(evaluate.Metric):
    """Mean F1 over rows of ROUGE-1, -2, -L and -Lsum by rouge_score, 0 to 1; the same on every call.

    Args:
        use_stemmer: English Porter stemmer on words of more than three letters.
        unicode: read every script, folded by NFKC and case; the scores are those of `rouge1_unicode` ….
        keep_in_memory: of `evaluate`; no file, no lock.
        kwargs: as `evaluate.Metric`.
    """

    def __init__(
        self, use_stemmer: bool = False, unicode: bool = False, keep_in_memory: bool = True, **kwargs: Any
    ) -> None:
        if use_stemmer and unicode:
            raise ValueError("rouge: use_stemmer is a stemmer of English; with unicode=True leave it out")
        self.use_stemmer, self.unicode = use_stemmer, unicode
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
        columns = {"prediction": predictions, "reference": listed}
        if not self.unicode:
            _refuse_other_scripts(listed)
        sums = (statistics(columns) if self.unicode else RowScores(self.use_stemmer)(columns)).sum(axis=0)
        return {name: float(sums[position] / sums[-1]) for position, name in enumerate(TYPES)}


def _refuse_other_scripts(references: list[list[str]]) -> None:
    """rouge_score gives 0 to two equal texts in Hindi: as the score of a model that would be wrong."""
    tokenize = scorer(stemmer=False)._tokenizer.tokenize
    unread = sum(all(not text.isascii() and is_unread(text, tokenize) for text in row) for row in references if row)
    if unread > 0.1 * len(references):
        raise ValueError(
            f"rouge: {unread:,} of {len(references):,} references are not in letters that rouge_score reads (a-z and "
            "0-9 alone); load the metric with unicode=True, which reads every script"
        )
