"""What the tasks share that read a text, or a pair of texts, and answer the row: classes, several labels, scores.

A subclass names its answers; the texts are read, encoded and shown here: `options.text_columns` are the columns to
read, `super().to_config()` and `reading_of_config` keep and restore how, `inputs` are the columns of texts that a table
shows, `joined_texts` what a baseline reads.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Self

import datasets
import numpy as np
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.arguments.parser import Arguments
from llmtune.data import Splits
from llmtune.data.lengths import input_lengths
from llmtune.data.padding import PaddingCollator
from llmtune.diagnosis.leakage import Examples
from llmtune.errors import InputError
from llmtune.models.families import families_serving
from llmtune.models.loaded import LoadedModel
from llmtune.predictions import Predictions
from llmtune.progress import progress
from llmtune.tasks.arguments import WINDOWS, SequenceArguments
from llmtune.tasks.control_tokens import encode_text
from llmtune.tasks.task import Encoded, Metric, Task, count_splits
from llmtune.tasks.text_windows import WindowCollator, Windows
from llmtune.terminal.console import split_lines
from llmtune.text.shorten import row_count
from llmtune.text.text_pairs import join_pairs

AT_ONCE = 1_000  # texts given to the tokenizer together, so that a bar can move between
PREFIX_OF_DECODERS = "\n"  # before the second text of a pair, after what their tokenizers set between two texts


@dataclass(frozen=True)
class SequenceTask(Task):
    """Rows of texts → model inputs of a sequence classification head; its subclasses say what the outputs mean.

    Args:
        max_length: tokens that a text, or both texts of a pair together, are cut at.
        pair_prefix: what stands before the second text of a pair: a line break for a decoder, nothing for an encoder,
            whose tokenizer has a form for pairs; None where rows have one text.
        windows: how rows of more than `max_length` tokens are read; None where they are cut.
        is_foreign: whether the model was made elsewhere: then a command may say that it reads pairs.
    """

    max_length: int = field(kw_only=True)
    pair_prefix: str | None = field(default=None, kw_only=True)
    windows: Windows | None = field(default=None, kw_only=True)
    is_foreign: bool = field(default=False, kw_only=True, compare=False)

    auto_model = AutoModelForSequenceClassification
    families = families_serving("classification")
    reads_labels = False
    onnx_outputs = ("logits",)

    answer_column: ClassVar[str] = "label"
    """The canonical column of the references."""

    problem_type: ClassVar[str]
    """Of the model's config, in transformers' words."""

    def __post_init__(self) -> None:
        if self.max_length < 3:
            raise InputError(f"--max_length {self.max_length}: expected 3 or more, [CLS], one token and [SEP]")

    @property
    def reads_pairs(self) -> bool:
        """Whether a row has two texts."""
        return self.pair_prefix is not None

    @property
    def text_names(self) -> tuple[str, ...]:
        """The canonical columns of text."""
        return ("text", "text_pair") if self.reads_pairs else ("text",)

    @classmethod
    def from_arguments(cls, args: Arguments, splits: Splits, *, metrics: Sequence[Metric] | None = None) -> Self:
        """The task of a recipe, reading the columns that its arguments name, as they say."""
        options = args.task
        windows = Windows(options.stride, options.window_pooling) if options.long_text == WINDOWS else None
        task = super().from_arguments(args, splits, metrics=metrics)
        return replace(task, windows=windows, pair_prefix=None if options.text_pair_column is None else "")

    def for_model(self, loaded: LoadedModel) -> Self:
        """The task with texts as long as the model reads, and pairs as its family reads them."""
        prefix = PREFIX_OF_DECODERS if self.reads_pairs and loaded.facts.is_causal else self.pair_prefix
        return replace(self, max_length=loaded.max_length, pair_prefix=prefix)

    def to_config(self) -> dict[str, Any]:
        """What the model's config keeps of the reading; `reading_of_config` reads it."""
        kept = {"task": self.name, "max_length": self.max_length}
        if self.reads_pairs:
            kept["pair_prefix"] = self.pair_prefix
        return kept if self.windows is None else {**kept, **asdict(self.windows)}

    @staticmethod
    def reading_of_config(config: Any) -> dict[str, Any]:
        """How the model of this config reads its texts, as arguments of the task; of one made elsewhere our usual."""
        kept = config.to_dict().get("llmtune", {})
        limit = min(config.max_position_embeddings, SequenceArguments.max_length)
        names = ("max_length", "pair_prefix")
        reading = {name: kept[name] for name in names if name in kept}
        windows = Windows(kept["stride"], kept["pooling"]) if "pooling" in kept else None
        return {"max_length": limit, **reading, "windows": windows, "is_foreign": not kept}

    def read_as(self, **options: Any) -> Self:
        """With pairs, where a command names their column and the model was made elsewhere.

        Raises:
            InputError: a model of ours that was trained on one text, or another option.
        """
        pair_column = options.pop("text_pair_column", None)
        task = super().read_as(**options)
        if pair_column is None or self.reads_pairs:
            return task
        if not self.is_foreign:
            raise InputError(
                f"--text_pair_column {pair_column}: this {self.name} model was trained on one text a row; leave it "
                "out, or train a model of pairs with it"
            )
        return replace(task, pair_prefix="")

    def input_columns(self, columns: Mapping[str, str]) -> dict[str, str]:
        """The columns of text; of a pair the second is looked for under its own name where none is given."""
        return {name: columns.get(name, name) for name in self.text_names}

    def train_texts(self, splits: Splits) -> list[str]:
        """The texts of train."""
        return list(splits.texts("train", *self.text_names))

    def inputs(self, rows: datasets.Dataset) -> dict[str, list[str]]:
        """The texts of rows by their canonical columns."""
        return {name: list(rows[name]) for name in self.text_names}

    def joined_texts(self, rows: datasets.Dataset) -> list[str]:
        """The text of each row; the two of a pair as one, for what reads one text a row."""
        return join_pairs(rows["text"], rows["text_pair"] if self.reads_pairs else None)

    @abstractmethod
    def label_values(self, rows: datasets.Dataset) -> list[Any]:
        """The references of rows as the loss reads them, one a row."""

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, split: str = "test") -> Encoded:
        """Rows with their texts (and references) → `input_ids`, `attention_mask` (and `labels`).

        Of pairs also `token_type_ids` where the tokenizer has them; the longer text is cut first. With windows each of
        them is a list of a row's windows.
        """
        texts = self.inputs(rows)
        columns: dict[str, list[Any]] = {}
        truncated = 0
        encode = self._encode_cut if self.windows is None else self._encode_windows
        for begin in progress(range(0, len(rows), AT_ONCE), "tokenizing", unit="batches"):
            part = {name: cells[begin : begin + AT_ONCE] for name, cells in texts.items()}
            encoded, cut = encode(part, tokenizer)
            for name, cells in encoded.items():
                columns.setdefault(name, []).extend(cells)
            truncated += cut
        facts = {"truncated": truncated}
        notes = [self._cut_note(truncated, len(rows))]
        if self.windows is not None:
            facts["windows"] = sum(map(len, columns["input_ids"]))
            notes = [f"{facts['windows']:,} windows of {self.max_length} tokens of {len(rows):,} rows"]
        if self.answer_column in rows.column_names:
            columns["labels"] = self.label_values(rows)
        return Encoded(rows, datasets.Dataset.from_dict(columns), split, tokenizer, facts, notes)

    def _encode_cut(
        self, texts: Mapping[str, Sequence[str]], tokenizer: PreTrainedTokenizerBase
    ) -> tuple[dict[str, list[Any]], int]:
        """The inputs of some rows, each text cut at `max_length`, and how many were."""
        second = {}
        if self.reads_pairs:
            second = {"text_pair": [f"{self.pair_prefix}{text}" for text in texts["text_pair"]]}
        # Of one text they are 0, which a model takes anyway.
        types = self.reads_pairs and "token_type_ids" in tokenizer.model_input_names
        encoded = encode_text(
            tokenizer,
            list(texts["text"]),
            **second,
            truncation=True,
            max_length=self.max_length,
            return_token_type_ids=types,
        )
        return dict(encoded), sum(bool(encoding.overflowing) for encoding in encoded.encodings)

    def _encode_windows(
        self, texts: Mapping[str, Sequence[str]], tokenizer: PreTrainedTokenizerBase
    ) -> tuple[dict[str, list[Any]], int]:
        """The inputs of some rows, each a list of windows, and how many have a text that was cut nevertheless."""
        assert self.windows is not None
        prefix = self.pair_prefix or ""
        rows, cut = self.windows.encode(tokenizer, texts, prefix=prefix, max_length=self.max_length)
        return {name: [row[name] for row in rows] for name in rows[0]}, cut

    def _cut_note(self, truncated: int, count: int) -> str:
        share = (
            f" ({truncated / count:.1%} of the rows; --long_text windows in training reads all)" if truncated else ""
        )
        return f"texts truncated at {self.max_length} tokens: {truncated or 'none'}{share}"

    def carried(self, encoded: Encoded) -> dict[str, Any]:
        """What a predictions table carries: every column of the rows but the references, and `length` in tokens."""
        rows = encoded.rows
        columns = {name: list(rows[name]) for name in rows.column_names if name != self.answer_column}
        return {**columns, "length": input_lengths(encoded.dataset)}

    def rescored(self, table: Predictions) -> datasets.Dataset:
        """Texts and references."""
        columns = {name: table.column(name) for name in self.text_names}
        return datasets.Dataset.from_dict({**columns, self.answer_column: table.column("reference")})

    def data_collator(self, tokenizer: PreTrainedTokenizerBase, model: Any = None) -> Any:
        """Pads each micro-batch to its longest row, or to its longest window."""
        return PaddingCollator(tokenizer) if self.windows is None else WindowCollator(tokenizer, self.windows)

    def leakage_examples(self, rows: datasets.Dataset, data: DataArguments) -> Examples:
        """Texts, references, and the groups that must stay on one side of a split."""
        group = data.split_group_column
        ids = {} if group is None or group not in rows.column_names else {group: list(rows[group])}
        halves = self.inputs(rows) if self.reads_pairs else {}
        return Examples(self.joined_texts(rows), list(rows[self.answer_column]), ids=ids, halves=halves)

    def summary(self, splits: Splits, encoded: Mapping[str, Encoded]) -> list[str]:
        """Rows of each split, repeated texts, how many were truncated, and columns of text that are not read."""
        truncated = {split: of_split.facts["truncated"] for split, of_split in encoded.items()}
        unread = [
            f"column {name!r} holds texts too, and is not read: the answer is told without it (pairs of texts: "
            f"--text_pair_column {name})"
            for name in splits.unread_texts
        ]
        return split_lines(splits.describe(), truncated, self.max_length) + self._length_lines(encoded) + unread

    def _length_lines(self, encoded: Mapping[str, Encoded]) -> list[str]:
        """How many rows are longer than the model reads at once, and how they are read or could be."""
        if self.windows is None:
            rows = sum(len(of_split.rows) for of_split in encoded.values())
            cut = sum(of_split.facts["truncated"] for of_split in encoded.values())
            return [f"{cut / rows:.1%} of all rows are truncated; --long_text windows reads them whole"] if cut else []
        counts = count_splits({split: of_split.facts["windows"] for split, of_split in encoded.items()})
        how = f"{self.max_length} tokens that share {self.windows.stride}, {self.windows.pooling} of their logits"
        return [f"long texts are read in windows of {how}: {counts} windows"]


def only_finite(answers: Sequence[Any], finite: np.ndarray) -> tuple[list[Any], list[str]]:
    """The answers of rows, None where the model's outputs are not `finite` (n,), and a line on these rows."""
    told = [answer if is_finite else None for answer, is_finite in zip(answers, finite, strict=True)]
    count = int((~finite).sum())
    line = f"no prediction of {row_count(count)} with NaN or infinite outputs: do not use this model"
    return told, [line] if count else []
