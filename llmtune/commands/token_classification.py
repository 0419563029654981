"""Token classification as `llmtune evaluate` and `llmtune predict` serve it: words with tags, or texts with spans."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import datasets
from transformers import PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.data import Fingerprint, load_split
from llmtune.inference import tabulate_words
from llmtune.predictions import Predictions
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.rows import load_tagged_split
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.tasks.token_classification.windows import Windows
from llmtune.text.spans import unsegmented


@dataclass(frozen=True)
class ServedTokenClassification:
    """Text → character spans; words are cut, and windows made, as the model's config says."""

    task: TokenClassification

    @classmethod
    def from_config(cls, config: Any, model: str) -> "ServedTokenClassification":
        """As the model's config says."""
        return cls(TokenClassification.from_config(config, model))

    def read(
        self, data: DataArguments, columns: Mapping[str, str], *, labelled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """`tokens` and `tags` where they are wanted, in the format that the model was trained on; else `text`."""
        if labelled:
            options = TokenClassificationArguments(
                input_format=self.task.input_format,
                text_column=columns["text"],
                tokens_column=columns["tokens"],
                tags_column=columns["tags"],
                spans_column=columns["spans"],
            )
            return load_tagged_split(data, "test", options)
        return load_split(data, "test", columns={"text": columns["text"]}, label_column=None, text_columns=["text"])

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> tuple[Windows, str]:
        """The model's inputs, and a line on what was cut."""
        words = rows if "tokens" in rows.column_names else self.task.words_of_texts(list(rows["text"]))[0]
        windows = self.task.tokenize(words, tokenizer)
        cut = f"rows cut into windows of {self.task.max_length} tokens: {windows.cut_rows or 'none'}"
        whole = sum(map(unsegmented, rows["text"])) if "text" in rows.column_names else 0
        if whole and self.task.word_format == "tokens":
            cut += (
                f"; {whole:,} texts in a script without spaces are not cut into words, as the training texts were: "
                "separate their words by spaces"
            )
        if windows.empty_words:
            cut += f"; words that the tokenizer turns into nothing, tagged O: {windows.empty_words}"
        return windows, cut

    def table(self, outputs: Any, rows: datasets.Dataset, inputs: Windows) -> Predictions:
        """The predictions table of labelled rows."""
        return tabulate_words(self.task, outputs, rows, inputs, "test")

    def answers(self, outputs: Any, rows: datasets.Dataset, inputs: Windows) -> tuple[dict[str, list[Any]], list[str]]:
        """`text` and `spans`, each with start, end, label, text and score, and lines on them."""
        texts = list(rows["text"])
        tagged = self.task.decode(outputs, inputs)
        spans = self.task.spans(texts, self.task.words_of_texts(texts)[1], tagged)
        counts = Counter(span["label"] for of_text in spans for span in of_text)
        lines = [", ".join(f"{kind} {counts[kind]:,}" for kind in self.task.types)]
        if tagged.nonfinite:
            lines.append(
                f"{tagged.nonfinite:,} words have NaN or infinite outputs and belong to no span: do not use this model"
            )
        return {"text": texts, "spans": spans}, lines
