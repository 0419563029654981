"""Rows with tagged words, or with texts and character spans → words with IOB2 tags, every entity kept.

Read before anything is held out, so that a message names the row of the file and a scheme is judged on all of it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import datasets

from llmtune.arguments import DataArguments
from llmtune.arguments.data import SPLITS
from llmtune.data import Fingerprint, Splits, load_split, load_splits
from llmtune.data.list_cells import read_list_cells
from llmtune.data.named_ids import name_labels, read_label_names
from llmtune.data.rows import RowErrors, Rows
from llmtune.data.tagged_rows import detect_tag_scheme
from llmtune.data.word_rows import group_words
from llmtune.errors import InputError, truncated_repr
from llmtune.predictions.label_spelling import other_spelling
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.text.shorten import row_count
from llmtune.text.spans import span_findings, split_words, tags_of_spans, word_format
from llmtune.text.tag_schemes import count_types, parse_tag, to_iob2

INPUT_FORMATS = ("tokens", "spans")


@dataclass(frozen=True)
class TaggedSplits:
    """Train, validation and test whose rows have `tokens` and `tags` (IOB2), one tag a word.

    Args:
        splits: its class counts are entities by type, its label names the types that occur in train.
        schemes: by source, the scheme its tags were in; "character spans" where they were spans.
        widened: spans that began or ended inside a word and were widened to it, by source.
    """

    splits: Splits
    schemes: dict[str, str]
    widened: dict[str, int]

    def __getitem__(self, split: str) -> datasets.Dataset:
        return self.splits[split]

    @property
    def types(self) -> tuple[str, ...]:
        """The entity types that train can teach."""
        return self.splits.label_names

    @property
    def word_format(self) -> str:
        """How a raw text is cut into words like those of train: a key of `llmtune.text.spans.WORDS`."""
        spans = self.schemes[self.splits.fingerprints["train"].source] == "character spans"
        return word_format("spans" if spans else "tokens", self.splits.train["tokens"])

    def train_texts(self) -> list[str]:
        """The rows of train as texts, to train a tokenizer on."""
        return [" ".join(words) for words in self.splits.train["tokens"]]

    def unseen(self) -> dict[str, dict[str, int]]:
        """By split, the types that train never shows, and how many entities of them there are: all will be missed."""
        counts = self.splits.class_counts
        found = {
            split: {kind: n for kind, n in counts[split].items() if kind not in self.types}
            for split in ("validation", "test")
        }
        return {split: types for split, types in found.items() if types}

    def describe(self) -> dict[str, dict[str, Any]]:
        """As `Splits.describe`, with words, `entities` by type instead of classes, and the scheme. JSON values."""
        described = self.splits.describe()
        for split, said in described.items():
            said["entities"] = said.pop("classes")
            said["words"] = sum(map(len, self.splits[split]["tokens"]))
            said["scheme"] = self.schemes[said["source"]]
            said["widened_spans"] = self.widened[said["source"]]
        return described


def load_tagged_splits(data: DataArguments, task: TokenClassificationArguments, *, seed: int) -> TaggedSplits:
    """Reads the splits and brings all tags to IOB2.

    Raises:
        InputError: anything wrong in the rows, or no entity in train.
    """
    reader = TagReader(task, data.split_group_column)
    splits = load_splits(
        data,
        columns=reader.columns,
        label_column=None,
        text_columns=[reader.text_column],
        seed=seed,
        convert=reader.convert,
        regroup=reader.regroup,
    )
    counts = {split: count_types(splits[split]["tags"]) for split in SPLITS}
    if not counts["train"]:
        raise InputError(
            f"{splits.fingerprints['train'].source}: train has no entity in {row_count(len(splits.train))}, expected "
            "tags B-X or I-X, or spans; check the columns, or raise --max_train_samples"
        )
    return TaggedSplits(
        replace(splits, label_names=tuple(counts["train"]), class_counts=counts), reader.schemes, reader.widened
    )


def load_tagged_split(
    data: DataArguments, split: str, task: TokenClassificationArguments
) -> tuple[datasets.Dataset, Fingerprint]:
    """One given split with `tokens` and `tags` (IOB2).

    Raises:
        InputError: `data` has no such split, or something is wrong in it.
    """
    reader = TagReader(task, data.split_group_column)
    return load_split(
        data,
        split,
        columns=reader.columns,
        label_column=None,
        text_columns=[reader.text_column],
        convert=reader.convert,
        regroup=reader.regroup,
    )


def check_types(source: str, types: Collection[str], known: Sequence[str]) -> None:
    """Raises `InputError` for entity types that are scored 0 whatever a model finds.

    Args:
        source: where they stand.
        types: that it has. Some that the model does not know are missed, and that is its fault; not so all of them,
            or one that the model spells otherwise ("per" for "PER").
        known: the model's.
    """
    unknown = [kind for kind in types if kind not in known]
    meant = {kind: name for kind in unknown if (name := other_spelling(kind, known))}
    if meant or (unknown and len(unknown) == len(types)):
        pairs = "".join(f"; {kind!r}: did you mean {name!r}?" for kind, name in meant.items())
        raise InputError(
            f"{source}: found the entity types {', '.join(unknown)}, the model knows {', '.join(known)}{pairs}; write "
            "the model's types in the file, or evaluate a model of these types"
        )


class TagReader:
    """Turns the cells of each source into `tokens` and `tags`, and keeps what it found out about the source.

    Attributes:
        columns: canonical name → the user's.
        text_column: the canonical column that holds the words.
        schemes: by source.
        widened: by source.
    """

    def __init__(self, task: TokenClassificationArguments, document_column: str | None = None) -> None:
        if task.input_format not in INPUT_FORMATS:
            raise InputError(f"--input_format {task.input_format!r} is not one of {', '.join(INPUT_FORMATS)}")
        self.input_format = task.input_format
        self.sentence_column, self.tags_column = task.sentence_column, task.tags_column
        self.tag_names = read_label_names(task.label_names) if task.label_names else None
        self.document_column = document_column
        if self.input_format == "tokens":
            self.columns = {"tokens": task.tokens_column, "tags": task.tags_column}
            self.text_column = "tokens"
        else:
            self.columns = {"text": task.text_column, "spans": task.spans_column}
            self.text_column = "text"
        self.schemes: dict[str, str] = {}
        self.widened: dict[str, int] = {}

    def regroup(self, rows: Rows) -> Rows:
        """Rows of one sentence each, whatever way the source writes their words, tags and spans.

        Raises:
            InputError: words or tags that are not written as such.
        """
        if self.sentence_column:
            rows = group_words(rows, self.sentence_column, self.document_column)
        else:
            rows = read_list_cells(rows, [*self.columns.values()])
        if self.input_format == "tokens" and self.columns["tokens"] not in rows.columns and "spans" in rows.columns:
            raise InputError(
                f"{rows.source}: no column {self.columns['tokens']!r}, but texts with character spans, in column "
                "'spans'; add --input_format spans"
            )
        if self.tag_names:
            rows = name_labels(rows, self.tags_column, self.tag_names)
        return rows

    def convert(self, rows: Rows, cells: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """The cells with `tokens` and IOB2 `tags`; other columns stay.

        Raises:
            InputError: a row can't be read, or the tags follow no scheme.
        """
        if self.input_format == "tokens":
            return {**cells, **self._from_tags(rows, cells)}
        return {**cells, **self._from_spans(rows, cells)}

    def _from_tags(self, rows: Rows, cells: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        problems = RowErrors(rows.source)
        tokens_column, tags_column = self.columns["tokens"], self.columns["tags"]
        for row, (tokens, tags) in enumerate(zip(cells["tokens"], cells["tags"], strict=True)):
            finding, remedy = _row_finding(tokens, tags, tokens_column, tags_column)
            if finding:
                problems.add(row, rows.place(row), finding, remedy=remedy)
        problems.stop()
        sentences = cells["tags"]
        scheme = detect_tag_scheme(rows, sentences, tags_column)
        converted = [to_iob2(tags) for tags in sentences]
        self.schemes[rows.source], self.widened[rows.source] = scheme, 0
        return {"tags": converted}

    def _from_spans(self, rows: Rows, cells: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        problems = RowErrors(rows.source)
        remedy = (
            f"write column {self.columns['spans']!r} as [{{'start': 0, 'end': 5, 'label': 'PERSON'}}, …], characters "
            "counted from 0, end not included, spans apart from each other"
        )
        tokens: list[list[str]] = []
        tags: list[list[str]] = []
        widened = 0
        for row, (text, spans) in enumerate(zip(cells["text"], cells["spans"], strict=True)):
            findings = span_findings(text, spans)
            words = split_words(text, "spans")
            if not findings:
                row_tags, row_widened, findings = tags_of_spans(text, words, spans)
                widened += row_widened
                tokens.append([text[start:end] for start, end in words])
                tags.append(row_tags)
            for finding in findings:
                problems.add(row, rows.place(row), finding, remedy=remedy)
        problems.stop()
        found, kept = sum(map(len, cells["spans"])), sum(count_types(tags).values())
        assert found == kept, f"{rows.source}: {found} spans became {kept} entities"
        self.schemes[rows.source], self.widened[rows.source] = "character spans", widened
        return {"tokens": tokens, "tags": tags}


def _row_finding(tokens: Any, tags: Any, tokens_column: str, tags_column: str) -> tuple[str, str]:
    """What is wrong with a row of words and tags, and the remedy; two empty texts where nothing is."""
    lists = (
        "write words and tags as two lists (jsonl, parquet), or as a .conll file with one word a line; of one word a "
        "row name the column that numbers the sentences by --sentence_column"
    )
    if not isinstance(tokens, list):
        return f"found {truncated_repr(tokens)}, expected a list of words in column {tokens_column!r}", lists
    if not isinstance(tags, list):
        return f"found {truncated_repr(tags)}, expected a list of tags in column {tags_column!r}", lists
    if len(tokens) != len(tags):
        return f"{len(tokens)} words and {len(tags)} tags", "give each word one tag, O outside entities"
    wrong = [(word, tag) for word, tag in enumerate(tags) if parse_tag(tag) is None]
    if wrong:
        word, tag = wrong[0]
        finding = f"{truncated_repr(tag)} (word {word + 1}) in column {tags_column!r} is not a tag"
        if isinstance(tag, int):
            return (
                finding,
                "name the tags in the order of their ids with --label_names O,B-PER,I-PER,…, or give the data set's "
                "column the feature ClassLabel, which names them",
            )
        return finding, "write O, B-X and I-X (or E-X, S-X; L-X, U-X; M-X) with X the type of the entity"
    return "", ""
