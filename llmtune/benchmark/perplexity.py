"""Perplexity: how well a model predicts texts; across tokenizers only the bits of a byte compare."""

from collections.abc import Mapping
from typing import Any

import datasets

from llmtune.arguments import DataArguments
from llmtune.baselines import byte_ngram
from llmtune.benchmark.language_models import LanguageModel
from llmtune.benchmark.task import BenchmarkTask
from llmtune.data import Fingerprint
from llmtune.errors import InputError
from llmtune.predictions import Predictions, make_predictions
from llmtune.tasks.causal_lm.task import CausalLM
from llmtune.text.byte_ngrams import ORDER
from llmtune.text.words import split_at_spaces


class PerplexityBenchmark(BenchmarkTask):
    """Texts, each scored whole. A local model reads them in windows, as `llmtune evaluate` does."""

    name = "perplexity"
    kind = "language-modeling"
    needs_likelihood = True

    def read(self, data: DataArguments) -> tuple[datasets.Dataset, Fingerprint]:
        """`text`."""
        return CausalLM().read_split(data, {"text": self.column("text")}, labeled=True)

    def row_fields(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Nothing: there is no prompt."""
        return {}

    def answer(self, row: Mapping[str, Any]) -> str:
        """The text."""
        return str(row["text"])

    def asked_texts(self) -> list[str]:
        """The texts."""
        return list(self.test[0]["text"])

    def predicted_by(self, model: LanguageModel) -> Predictions:
        """Nats and tokens of each text."""
        texts = list(self.test[0]["text"])
        likelihoods = model.likelihoods([("", text) for text in texts])
        return self.table([each.nats for each in likelihoods], [each.tokens for each in likelihoods])

    def table(self, nats: list[float], tokens: list[int]) -> Predictions:
        """The predictions table of the rows."""
        rows = self.test[0]
        texts = list(rows["text"])
        columns = {
            "nll": nats,
            "tokens": tokens,
            "bytes": [len(text.encode()) for text in texts],
            "words": [len(split_at_spaces(text)) for text in texts],
        }
        return make_predictions(self.kind, columns, carried={name: list(rows[name]) for name in rows.column_names})

    def baselines(self) -> dict[str, Predictions]:
        """An n-gram model of the bytes of train; its nats are given as if a token were a byte."""
        if not len(self.train):
            raise InputError(
                "--models baselines: the n-gram model is trained on the texts of train; add --train_file FILE"
            )
        sizes = [len(text.encode()) for text in self.test[0]["text"]]
        right = self.table([0.0] * len(sizes), sizes)
        return {f"{ORDER}-gram of bytes": byte_ngram(right, list(self.train["text"]))}
