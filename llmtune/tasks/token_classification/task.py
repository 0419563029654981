"""Entities in texts (names, personal data): one IOB2 tag a word.

The first token of a word carries its tag; the others, and words shown again by an overlapping window, are ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import torch
from transformers import AutoModelForTokenClassification, DataCollatorForTokenClassification, PreTrainedTokenizerBase

from llmtune.arguments.data import SPLITS
from llmtune.errors import InputError
from llmtune.metrics.core.base import IGNORED
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.windows import Windows, make_windows
from llmtune.text.spans import Bounds, spans_of_tags, split_words
from llmtune.text.tag_schemes import check_tag_names, iob2_tag_names, repair_iob2

KIND = "token-classification"


@dataclass(frozen=True)
class TagPredictions:
    """What a model says of n rows of words.

    Args:
        tags: of each row, valid IOB2.
        raw: as the model gave them.
        probabilities: of each word's tag; 1.0 where the word has no token, NaN where the output is not finite.
        repairs: places at which the raw tags broke IOB2.
        nonfinite: words whose output held NaN or infinity; they are tagged O.
    """

    tags: list[list[str]]
    raw: list[list[str]]
    probabilities: list[list[float]]
    repairs: int
    nonfinite: int


@dataclass(frozen=True)
class TokenClassification:
    """What a tagger does to rows of words and to logits.

    Args:
        tag_names: the c tags, in the order of the logits.
        max_length: tokens of a window.
        stride: tokens that neighbouring windows share.
        input_format: of the training rows, tokens or spans.
        is_causal: whether the model sees only what stands left of a word.
        word_format: how a raw text is cut into words, a key of `llmtune.text.spans.WORDS`.
    """

    tag_names: tuple[str, ...]
    max_length: int
    stride: int
    input_format: str = "tokens"
    is_causal: bool = False
    word_format: str = "tokens"

    auto_model = AutoModelForTokenClassification
    families = ("encoder", "decoder")

    @classmethod
    def from_arguments(
        cls, arguments: TokenClassificationArguments, types: Sequence[str], *, word_format: str = ""
    ) -> "TokenClassification":
        """The task of a recipe, for the entity types of train and the words that it is made of."""
        return cls(
            iob2_tag_names(types),
            arguments.max_length,
            arguments.stride,
            arguments.input_format,
            word_format=word_format or arguments.input_format,
        )

    @classmethod
    def from_config(cls, config: Any, name: str) -> "TokenClassification":
        """The task that a trained model's config describes.

        Raises:
            InputError: its classes are no entity tags.
        """
        if not config.id2label or config.num_labels < 2:
            raise InputError(f"{name}: its config names no classes (id2label); is it a token classifier?")
        tags = check_tag_names([config.id2label[i] for i in range(config.num_labels)], name)
        kept = config.to_dict().get("llmtune", {})
        return cls(
            tags,
            kept.get("max_length", min(config.max_position_embeddings, TokenClassificationArguments.max_length)),
            kept.get("stride", TokenClassificationArguments.stride),
            kept.get("input_format", "tokens"),
            kept.get("left_context_only", False),
            kept.get("word_format", kept.get("input_format", "tokens")),
        )

    @property
    def types(self) -> tuple[str, ...]:
        """The entity types, in the order of the tags."""
        return tuple(dict.fromkeys(tag[2:] for tag in self.tag_names if tag != "O"))

    def head(self) -> dict[str, Any]:
        """Config values that size and name the classification head."""
        return {
            "num_labels": len(self.tag_names),
            "id2label": dict(enumerate(self.tag_names)),
            "label2id": {name: i for i, name in enumerate(self.tag_names)},
        }

    def settings(self) -> dict[str, Any]:
        """What the model's config keeps, so that prediction does what evaluation did."""
        return {
            "task": KIND,
            "max_length": self.max_length,
            "stride": self.stride,
            "input_format": self.input_format,
            "word_format": self.word_format,
            "left_context_only": self.is_causal,
        }

    def tokenize(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> Windows:
        """Rows with `tokens` (and IOB2 `tags`) → windows of model inputs.

        A tag that the model has no class for (a type that train never shows) is ignored by the loss, not by the scores.
        """
        labels = None
        if "tags" in rows.column_names:
            labels = self._label_ids(rows)
        return make_windows(
            list(rows["tokens"]),
            tokenizer,
            max_length=self.max_length,
            stride=self.stride,
            is_causal=self.is_causal,
            labels=labels,
        )

    def label_ids(self, rows: datasets.Dataset) -> list[int]:
        """The tag of each word of all rows, as its place among the logits."""
        return [label for labels in self._label_ids(rows) for label in labels]

    def _label_ids(self, rows: datasets.Dataset) -> list[list[int]]:
        ids = {name: i for i, name in enumerate(self.tag_names)}
        return [[ids.get(tag, IGNORED) for tag in tags] for tags in rows["tags"]]

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> DataCollatorForTokenClassification:
        """Pads each micro-batch to its longest window, labels with -100."""
        return DataCollatorForTokenClassification(tokenizer)

    def reduce(self, logits: Any, labels: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """On the device, for `preprocess_logits_for_metrics`: (m, t, c) → tag ids and probabilities, (m, t) each."""
        logits = logits[0] if isinstance(logits, tuple) else logits
        probabilities, ids = logits.float().softmax(dim=-1).max(dim=-1)  # one NaN or infinity makes all of them NaN
        return ids, probabilities

    def decode(self, outputs: tuple[np.ndarray, np.ndarray], windows: Windows) -> TagPredictions:
        """The tags of every word, from what `reduce` kept of the windows in their order."""
        ids, at_tokens = outputs
        probabilities = windows.by_word(at_tokens.astype(np.float64), 1.0)
        outside = self.tag_names.index("O")
        by_word = np.where(np.isfinite(probabilities), windows.by_word(ids, outside), outside)
        names = np.array(self.tag_names, dtype=object)
        raw = [list(row) for row in windows.to_rows(names[by_word])]
        repaired = [repair_iob2(tags) for tags in raw]
        return TagPredictions(
            tags=[tags for tags, _ in repaired],
            raw=raw,
            probabilities=[row.tolist() for row in windows.to_rows(probabilities)],
            repairs=sum(places for _, places in repaired),
            nonfinite=int((~np.isfinite(probabilities)).sum()),
        )

    def words_of_texts(self, texts: Sequence[str]) -> tuple[datasets.Dataset, list[list[Bounds]]]:
        """Rows of words to tag, and where each word stands in its text."""
        bounds = [split_words(text, self.word_format) for text in texts]
        words = [[text[start:end] for start, end in row] for text, row in zip(texts, bounds, strict=True)]
        features = datasets.Features({"tokens": datasets.List(datasets.Value("string"))})
        return datasets.Dataset.from_dict({"tokens": words}, features=features), bounds

    def spans(
        self, texts: Sequence[str], bounds: Sequence[Sequence[Bounds]], tagged: TagPredictions
    ) -> list[list[dict[str, Any]]]:
        """Of each text the entities found: start, end, label, text and score."""
        rows = zip(texts, bounds, tagged.tags, tagged.probabilities, strict=True)
        return [spans_of_tags(text, words, tags, probabilities) for text, words, tags, probabilities in rows]


def tokenize_splits(
    task: TokenClassification, splits: Mapping[str, datasets.Dataset] | Any, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Windows]:
    """Train, validation and test as windows of model inputs."""
    return {split: task.tokenize(splits[split], tokenizer) for split in SPLITS}
