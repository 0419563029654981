"""Entities in texts (names, personal data): one IOB2 tag a word.

The first token of a word carries its tag; the others, and words shown again by an overlapping window, are ignored.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import datasets
import numpy as np
import torch
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.arguments.parser import Arguments
from llmtune.baselines import gazetteer
from llmtune.data import Fingerprint, load_split
from llmtune.data.padding import PaddingCollator
from llmtune.diagnosis.leakage import Examples
from llmtune.errors import InputError
from llmtune.metrics import Score, score_predictions
from llmtune.metrics.core.base import IGNORED
from llmtune.metrics.core.entity_errors import compare_entities
from llmtune.models.families import families_serving
from llmtune.models.loaded import LoadedModel
from llmtune.predictions import Predictions, make_predictions
from llmtune.tasks.losses import ClassificationLoss, classification_loss
from llmtune.tasks.task import Encoded, Task, count_splits
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.candidate_tags import candidate_tags
from llmtune.tasks.token_classification.rows import TaggedSplits, check_types, load_tagged_split, load_tagged_splits
from llmtune.tasks.token_classification.windows import Windows, make_windows
from llmtune.terminal.console import label_typo_lines
from llmtune.text.likeliest_tags import likeliest_iob2
from llmtune.text.shorten import counted
from llmtune.text.spans import Bounds, spans_of_tags, split_words, unsegmented
from llmtune.text.tag_schemes import check_tag_names, count_types, iob2_tag_names, repair_iob2


@dataclass(frozen=True)
class TagPredictions:
    """What a model says of n rows of words.

    Args:
        tags: of each row, the likeliest that IOB2 allows; of a model whose scheme is not known `repair_iob2`'s.
        raw: of each word the likeliest by itself.
        probabilities: of each word's tag; 1.0 where the word has no token, NaN where the output is not finite.
        highest: of each word's likeliest tag.
        repairs: places at which the raw tags broke IOB2.
        nonfinite: words whose output held NaN or infinity; they are tagged O.
    """

    tags: list[list[str]]
    raw: list[list[str]]
    probabilities: list[list[float]]
    highest: list[list[float]]
    repairs: int
    nonfinite: int


@dataclass(frozen=True)
class TokenClassification(Task):
    """What a tagger does to rows of words and to logits.

    Args:
        tag_names: the c tags, in the order of the logits.
        max_length: tokens of a window.
        stride: tokens that neighboring windows share.
        input_format: of the training rows, tokens or spans.
        is_causal: whether the model sees only what stands left of a word.
        word_format: how a raw text is cut into words, a key of `llmtune.text.spans.WORDS`.
        in_iob2: whether the model learned IOB2, as all do here; others may begin an entity with I, as IOB1 does.
    """

    tag_names: tuple[str, ...]
    max_length: int
    stride: int
    input_format: str = "tokens"
    is_causal: bool = False
    word_format: str = "tokens"
    in_iob2: bool = True

    name = kind = "token-classification"
    auto_model = AutoModelForTokenClassification
    architecture = "ForTokenClassification"
    families = families_serving("classification")
    reads_labels = False
    index_type = Windows
    onnx_outputs = ("logits",)
    counted = ("repairs", "nonfinite_words")
    deciding_metric = "entity_f1"
    shown = ("entity_f1", "entity_f2")

    @classmethod
    def read(cls, args: Arguments) -> TaggedSplits:
        """Words with IOB2 tags, whatever the files hold, and as many entities as they hold."""
        return load_tagged_splits(args.data, args.task, seed=args.training.seed)

    @classmethod
    def _make(cls, args: Arguments, splits: TaggedSplits) -> Self:
        return cls.from_options(args.task, splits.types, word_format=splits.word_format)

    @classmethod
    def from_options(
        cls, options: TokenClassificationArguments, types: Sequence[str], *, word_format: str = ""
    ) -> Self:
        """The task for the entity types of train and the words that it is made of."""
        return cls(
            iob2_tag_names(types),
            options.max_length,
            options.stride,
            options.input_format,
            word_format=word_format or options.input_format,
        )

    @classmethod
    def from_config(cls, config: Any, name: str) -> Self:
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
            in_iob2=bool(kept),
        )

    @property
    def types(self) -> tuple[str, ...]:
        """The entity types, in the order of the tags."""
        return tuple(dict.fromkeys(tag[2:] for tag in self.tag_names if tag != "O"))

    def head_config(self) -> dict[str, Any]:
        """Config values that size and name the classification head."""
        return {
            "num_labels": len(self.tag_names),
            "id2label": dict(enumerate(self.tag_names)),
            "label2id": {name: i for i, name in enumerate(self.tag_names)},
        }

    def to_config(self) -> dict[str, Any]:
        """What the model's config keeps, so that prediction does what evaluation did."""
        return {
            "task": self.name,
            "max_length": self.max_length,
            "stride": self.stride,
            "input_format": self.input_format,
            "word_format": self.word_format,
            "left_context_only": self.is_causal,
        }

    def for_model(self, loaded: LoadedModel) -> Self:
        """The task with windows as long as the model reads; a causal model sees only the words to the left."""
        return replace(self, max_length=loaded.max_length, is_causal=loaded.facts.is_causal)

    def read_split(
        self, data: DataArguments, columns: Mapping[str, str], *, labeled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """`tokens` and `tags` where they are wanted, in the format that the model was trained on; else `text`."""
        if not labeled:
            return load_split(data, "test", columns={"text": columns["text"]}, label_column=None, text_columns=["text"])
        options = TokenClassificationArguments(
            input_format=self.input_format,
            text_column=columns["text"],
            tokens_column=columns["tokens"],
            tags_column=columns["tags"],
            spans_column=columns["spans"],
            sentence_column=columns.get("sentence"),
            label_names=columns.get("label_names"),
        )
        rows, fingerprint = load_tagged_split(data, "test", options)
        check_types(fingerprint.source, count_types(rows["tags"]), self.types)
        return rows, fingerprint

    def train_texts(self, splits: TaggedSplits) -> list[str]:
        """The rows of train as texts."""
        return splits.train_texts()

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, split: str = "test") -> Encoded:
        """Rows with `tokens` (and IOB2 `tags`), or with `text`, → windows of model inputs.

        A tag that the model has no class for (a type that train never shows) is ignored by the loss, not by the scores.
        """
        words = rows if "tokens" in rows.column_names else self.words_of_texts(list(rows["text"]))[0]
        windows = make_windows(
            list(words["tokens"]),
            tokenizer,
            max_length=self.max_length,
            stride=self.stride,
            is_causal=self.is_causal,
            labels=self._label_ids(rows) if "tags" in rows.column_names else None,
        )
        notes = [f"rows cut into windows of {self.max_length} tokens: {windows.cut_rows or 'none'}"]
        if windows.empty_words:
            notes.append(f"words that the tokenizer turns into nothing, tagged O: {windows.empty_words}")
        counts = count_types(rows["tags"]) if "tags" in rows.column_names else {}
        if unknown := [f"{kind} {n:,}" for kind, n in counts.items() if kind not in self.types]:
            notes.append(f"types that the model does not know, so all missed: {', '.join(unknown)}")
        whole = sum(map(unsegmented, rows["text"])) if "text" in rows.column_names else 0
        if whole and self.word_format == "tokens":
            notes.append(
                f"{whole:,} texts in a script without spaces are not cut into words, as the training texts were: "
                "separate their words by spaces"
            )
        return Encoded(rows, windows.inputs, split, tokenizer, {"windows": windows.describe()}, notes, windows)

    def label_ids(self, rows: datasets.Dataset) -> list[int]:
        """The tag of each word of all rows, as its place among the logits."""
        return [label for labels in self._label_ids(rows) for label in labels]

    def _label_ids(self, rows: datasets.Dataset) -> list[list[int]]:
        ids = {name: i for i, name in enumerate(self.tag_names)}
        return [[ids.get(tag, IGNORED) for tag in tags] for tags in rows["tags"]]

    def data_collator(self, tokenizer: PreTrainedTokenizerBase, model: Any = None) -> PaddingCollator:
        """Pads each micro-batch to its longest window, labels with -100."""
        return PaddingCollator(tokenizer, labels_of_tokens=True)

    def loss(self, args: Arguments, splits: TaggedSplits) -> ClassificationLoss:
        """Cross entropy or focal loss of the words, weighted by tag where --class_weights asks for it."""
        return classification_loss(args.task, args.training, self.label_ids(splits["train"]), self.tag_names)

    def reduce_logits(self, logits: Any, labels: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """On the device, for `preprocess_logits_for_metrics`: (m, t, c) → `candidate_tags`, (m, t, k) each."""
        return candidate_tags(logits[0] if isinstance(logits, tuple) else logits, self.tag_names)

    def decode(self, outputs: tuple[np.ndarray, np.ndarray], windows: Windows) -> TagPredictions:
        """The tags of every word, from what `reduce_logits` kept of the windows in their order."""
        ids, at_tokens = outputs
        probabilities = windows.by_word(at_tokens, 1.0).astype(np.float64)
        finite = np.isfinite(probabilities[:, 0])
        candidates = windows.by_word(ids, self.tag_names.index("O"))
        candidates[~finite] = self.tag_names.index("O")
        names = np.array(self.tag_names, dtype=object)[candidates]
        tags, chosen, repairs = names[:, 0].copy(), np.zeros(len(names), dtype=int), 0
        word = np.arange(len(names))
        for words in windows.to_rows(word):
            repaired, broken = repair_iob2(names[words, 0].tolist())
            repairs += broken
            if broken and self.in_iob2:
                weights = np.where(finite[words, None], probabilities[words], 1.0)
                chosen[words] = likeliest_iob2(names[words].tolist(), weights)
                tags[words] = names[words, chosen[words]]
            elif broken:
                tags[words] = repaired
        return TagPredictions(
            tags=[row.tolist() for row in windows.to_rows(tags)],
            raw=[row.tolist() for row in windows.to_rows(names[:, 0])],
            probabilities=[row.tolist() for row in windows.to_rows(probabilities[word, chosen])],
            highest=[row.tolist() for row in windows.to_rows(probabilities[:, 0])],
            repairs=repairs,
            nonfinite=int((~finite).sum()),
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

    def tabulate(self, outputs: Any, encoded: Encoded) -> Predictions:
        """The predictions table of a split whose tags are known, one tag a word; every column of the rows is carried.

        Besides: `raw_prediction` (each word's likeliest tag by itself), `probability` (of that tag), `length` (words).
        """
        rows, windows = encoded.rows, encoded.index
        tagged = self.decode(outputs, windows)
        columns = {"tokens": list(rows["tokens"]), "reference": list(rows["tags"]), "prediction": tagged.tags}
        carried = {name: list(rows[name]) for name in rows.column_names if name not in ("tokens", "tags")}
        carried |= {"raw_prediction": tagged.raw, "probability": tagged.highest, "length": windows.words.tolist()}
        settings = self.settings(scheme="IOB2", repairs=tagged.repairs, nonfinite_words=tagged.nonfinite)
        return make_predictions(self.kind, columns, carried=carried, split=encoded.split, settings=settings)

    def predicted_columns(self, outputs: Any, encoded: Encoded) -> tuple[dict[str, list[Any]], list[str]]:
        """`text` and `spans`, each with start, end, label, text and score."""
        texts = list(encoded.rows["text"])
        tagged = self.decode(outputs, encoded.index)
        spans = self.spans(texts, self.words_of_texts(texts)[1], tagged)
        counts = Counter(span["label"] for of_text in spans for span in of_text)
        lines = [", ".join(f"{kind} {counts[kind]:,}" for kind in self.types)]
        if tagged.nonfinite:
            lines.append(
                f"outputs of {counted(tagged.nonfinite, 'word')} are NaN or infinite, they belong to no span: do not "
                "use this model"
            )
        return {"text": texts, "spans": spans}, lines

    def rescored(self, table: Predictions) -> datasets.Dataset:
        """Words and tags."""
        return datasets.Dataset.from_dict({"tokens": table.column("tokens"), "tags": table.column("reference")})

    def example_table(self, rows: datasets.Dataset | None = None) -> Predictions:
        """An entity of each type, or the tags of a split."""
        tags = [[tag] for tag in self.tag_names if not tag.startswith("I-")] if rows is None else list(rows["tags"])
        return make_predictions(self.kind, {"reference": tags, "prediction": tags})

    def baselines(self, splits: TaggedSplits, test: Predictions) -> dict[str, Predictions]:
        """The names that train shows."""
        train = splits["train"]
        return {"names known from train": gazetteer(list(train["tokens"]), list(train["tags"]), test)}

    def leakage_examples(self, rows: datasets.Dataset, data: DataArguments) -> Examples:
        """The rows as texts."""
        return Examples([" ".join(words) for words in rows["tokens"]])

    def summary(self, splits: TaggedSplits, encoded: Mapping[str, Encoded]) -> list[str]:
        """Rows, words, entities by type; the scheme, the windows, and what no model could find."""
        lines, described = [], splits.describe()
        for split, facts in described.items():
            by_count = sorted(facts["entities"].items(), key=lambda item: -item[1])
            entities = ", ".join(f"{kind} {n:,}" for kind, n in by_count)
            lines.append(f"{split:<11}{facts['rows']:>8,} rows, {facts['words']:,} words: {entities or 'no entity'}")
            widened = f"; {facts['widened_spans']:,} spans widened to whole words" if facts["widened_spans"] else ""
            lines.append(f"{'':<11}{facts['scheme']}, {facts['made']}{widened}")
        windows = {split: of_split.index for split, of_split in encoded.items()}
        cut = count_splits({split: of_split.cut_rows for split, of_split in windows.items()})
        lines.append(f"rows cut into windows of {self.max_length} tokens that share {self.stride}: {cut}")
        empty = count_splits({split: of_split.empty_words for split, of_split in windows.items()})
        if empty != "none":
            lines.append(f"words that the tokenizer turns into nothing, tagged O: {empty}")
        for split, types in splits.unseen().items():
            named = ", ".join(f"{kind} {n}" for kind, n in types.items())
            lines.append(f"absent from train, so all missed: {named} entities of {split}")
        return lines + label_typo_lines([facts["entities"] for facts in described.values()], "entity")

    def run_facts(self, predictions: Mapping[str, Predictions], *, seed: int) -> dict[str, Any]:
        """Where tags broke IOB2, the scores of those tags, and which entities are confused."""
        test = predictions["test"]
        raw = score_predictions(raw_table(test), seed=seed)
        entities = {
            "repairs": {split: table.settings["repairs"] for split, table in predictions.items()},
            "nonfinite_words": {split: table.settings["nonfinite_words"] for split, table in predictions.items()},
            "test_before_repair": {name: raw[name].value for name in ("entity_f1", "entity_f1_lenient")},
            **compare_entities(test).to_json(),
        }
        return {"entities": entities}

    def notes(self, test: Predictions, scores: Mapping[str, Score], facts: Mapping[str, Any]) -> list[str]:
        """Strict against lenient, the share of O."""
        notes = []
        raw = facts["entities"]["test_before_repair"]
        strict, lenient = raw["entity_f1"], raw["entity_f1_lenient"]
        repairs = test.settings["repairs"]
        if strict is not None and lenient is not None:
            notes.append(
                f"strict F1 of the model's own tags {strict:.3f}, lenient (seqeval's default) {lenient:.3f}, gap "
                f"{lenient - strict:.3f}: at {repairs:,} places I-X stood neither after B-X nor I-X; such rows got "
                "their likeliest tags that IOB2 allows"
            )
        tags = [tag for row in test.column("reference") for tag in row]
        share = tags.count("O") / max(1, len(tags))
        notes.append(
            f"token accuracy is inflated: {share:.1%} of the words are O, and predicting O everywhere scores "
            f"{share:.3f}"
        )
        return notes

    def cautions(self, test: Predictions, facts: Mapping[str, Any]) -> list[str]:
        """Types that are probably one, what the model can't see, outputs that are no numbers."""
        cautions = label_typo_lines([split["entities"] for split in facts["data"].values()], "entity")
        if self.is_causal:
            cautions.append("the model sees only the words to the left: an encoder of the same size usually finds more")
        if nonfinite := test.settings["nonfinite_words"]:
            cautions.append(
                f"outputs of {counted(nonfinite, 'word')} were NaN or infinite, tagged O: do not use these weights"
            )
        return cautions

    def confusion(self, table: Predictions) -> tuple[np.ndarray, tuple[str, ...]]:
        """Entities by type; the last row are the spurious ones, the last column the missed ones."""
        comparison = compare_entities(table)
        return comparison.matrix, (*comparison.types, "nothing")


def raw_table(predictions: Predictions) -> Predictions:
    """The table with the likeliest tag of each word by itself in the place of the sentence's likeliest valid ones."""
    table = predictions.table
    position = table.column_names.index("prediction")
    return replace(predictions, table=table.set_column(position, "prediction", table.column("raw_prediction")))
