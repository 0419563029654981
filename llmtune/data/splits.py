"""The splits of a run: read, checked, held out of train where one is missing, counted and fingerprinted."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import pyarrow as pa

from llmtune.arguments import DataArguments
from llmtune.arguments.data import SPLITS
from llmtune.arguments.ranges import check_number
from llmtune.data.columns import check_cells, check_labels, each_label, find_label_names, pick_columns, unread_texts
from llmtune.data.files import read_rows
from llmtune.data.holdout import TRAIN, Labels, connected_groups, stratified_group_folds, stratified_group_split
from llmtune.data.hub_datasets import load_named_dataset
from llmtune.data.in_memory import InMemoryData
from llmtune.data.rows import Rows, to_arrow
from llmtune.errors import InputError
from llmtune.progress import waiting
from llmtune.text.label_names import match_positions
from llmtune.text.normalize import normalize

# What a task makes of a source's checked cells, before anything is held out: a message can still name the row.
Convert = Callable[[Rows, Mapping[str, list[Any]]], dict[str, list[Any]]]
Regroup = Callable[[Rows], Rows]


@dataclass(frozen=True)
class Fingerprint:
    """What a split's rows were.

    Args:
        rows: how many.
        sha256: over the canonical columns of the rows in order; the file format does not matter.
        source: where they came from.
    """

    rows: int
    sha256: str
    source: str


@dataclass(frozen=True)
class Splits:
    """Train, validation and test with `id` (row number in the source, from 0), canonical and carried columns.

    Labels are text.

    Args:
        train: rows in source order, as are those of the others.
        validation: given, or held out of train.
        test: given, or held out of train.
        label_names: the classes of train, in the order of their ids; empty without a label column.
        fingerprints: by split.
        duplicates: rows whose text, folded in case, punctuation and space, stood before: "train" within the split,
            "train/test" rows of test that also stand in train.
        class_counts: by split, label name → rows.
        made: by split, how it came about, in words.
        unread_texts: columns of train that hold running text and are not read.
    """

    train: datasets.Dataset
    validation: datasets.Dataset
    test: datasets.Dataset
    label_names: tuple[str, ...]
    fingerprints: dict[str, Fingerprint]
    duplicates: dict[str, int]
    class_counts: dict[str, dict[str, int]]
    made: dict[str, str]
    unread_texts: tuple[str, ...] = ()

    def __getitem__(self, split: str) -> datasets.Dataset:
        return {TRAIN: self.train, "validation": self.validation, "test": self.test}[split]

    def texts(self, split: str, *columns: str) -> Iterator[str]:
        """All texts of some columns, row after row, those of lists one by one: for a tokenizer."""
        for row in zip(*(self[split][column] for column in columns), strict=True):
            for cell in row:
                yield from [cell] if isinstance(cell, str) else cell

    def describe(self) -> dict[str, dict[str, Any]]:
        """By split: rows, classes (label → rows), duplicates, made, source, sha256. JSON values."""
        return {
            split: {
                "rows": self.fingerprints[split].rows,
                "classes": self.class_counts[split],
                "duplicates": {pair: count for pair, count in self.duplicates.items() if pair.endswith(split)},
                "made": self.made[split],
                "source": self.fingerprints[split].source,
                "sha256": self.fingerprints[split].sha256,
            }
            for split in SPLITS
        }


@dataclass(frozen=True)
class _Part:
    """Checked cells of one split, and how they came about. `numbers`: which of the source's rows they are."""

    rows: Rows
    cells: dict[str, list[Any]]
    made: str
    numbers: Sequence[int]

    def take(self, numbers: Sequence[int], made: str) -> "_Part":
        cells = {name: [column[number] for number in numbers] for name, column in self.cells.items()}
        return _Part(self.rows, cells, made, [self.numbers[number] for number in numbers])

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class _Reader:
    """How the caller wants rows read."""

    data: DataArguments
    columns: Mapping[str, str]
    label_column: str | None
    text_columns: Sequence[str]
    convert: Convert | None = None
    together: Sequence[str] = ()
    regroup: Regroup | None = None
    label_sets: bool = False

    def open(self, only: str | None = None) -> dict[str, Rows]:
        sources = open_sources(self.data, only)
        return {split: self.regroup(rows) for split, rows in sources.items()} if self.regroup else sources

    def read(self, rows: Rows) -> _Part:
        cells = pick_columns(rows, columns=self.columns, data=self.data)
        checked = check_cells(
            rows,
            cells,
            columns=self.columns,
            text_columns=self.text_columns,
            label_column=None if self.label_sets else self.label_column,  # sets are checked where they are gathered
            split_group_column=self.data.split_group_column,
        )
        if self.convert:
            checked = self.convert(rows, checked)
        return _Part(rows, checked, "as given", range(len(rows)))

    def is_unlabeled(self, rows: Rows) -> bool:
        """The Hub publishes some test splits with every label -1."""
        user_name = self.columns[self.label_column] if self.label_column else ""
        return user_name in rows.class_names and all(cell is None for cell in rows.cells(user_name))

    def keys(self, part: _Part) -> list[str]:
        """The text that tells duplicates, folded; of several columns together."""
        if not self.text_columns:
            return [f"row {number}" for number in part.numbers]
        folded = [[normalize(text) for text in part.cells[name]] for name in self.text_columns]
        return ["\n".join(texts) for texts in zip(*folded, strict=True)]

    def fingerprint(self, part: _Part) -> Fingerprint:
        return fingerprint_cells({name: part.cells[name] for name in self.columns}, part.rows.source)

    def dataset(self, part: _Part) -> datasets.Dataset:
        table = {name: to_arrow(part.rows, name, cells, part.numbers) for name, cells in part.cells.items()}
        return datasets.Dataset(pa.table({"id": pa.array(part.numbers, pa.int64()), **table}))


def fingerprint_cells(cells: Mapping[str, Sequence[Any]], source: str) -> Fingerprint:
    """Of the canonical columns of a split, which came from `source`."""
    names = sorted(cells)
    digest = hashlib.sha256(json.dumps(names).encode())
    for values in zip(*(cells[name] for name in names), strict=True):
        digest.update(json.dumps(values, ensure_ascii=False, default=str).encode() + b"\n")
    return Fingerprint(len(cells[names[0]]), digest.hexdigest(), source)


def load_splits(
    data: Any,
    *,
    columns: Mapping[str, str],
    label_column: str | None,
    text_columns: Sequence[str],
    seed: int,
    convert: Convert | None = None,
    together: Sequence[str] = (),
    regroup: Regroup | None = None,
    label_sets: bool = False,
) -> Splits:
    """Reads what `data` names and holds out of train what is missing; validation and test never stand in for another.

    Args:
        data: `DataArguments`: files or a data set, fractions, columns to carry, limits; or rows in memory: a
            `datasets.Dataset`, a `DatasetDict`, a pandas DataFrame, or `InMemoryData` of one with such options.
        columns: canonical name → the user's name.
        label_column: canonical name of the class; None where the task has no classes, then nothing is stratified.
        text_columns: canonical columns that must hold text, and that together tell duplicates.
        seed: of the hold-out.
        convert: what the task makes of the cells of a source.
        together: canonical columns of which equal texts stay on one side, as the paragraph of several questions.
        regroup: what becomes the rows of a source, as one sentence of several words; before anything is checked.
        label_sets: whether the cells of `label_column` are lists, which `regroup` has checked.

    Raises:
        InputError: anything in the data that would make a result wrong, by file, row and column.
    """
    data = data if isinstance(data, DataArguments) else InMemoryData(data)
    reader = _Reader(data, columns, label_column, text_columns, convert, together, regroup, label_sets)
    sources = reader.open()
    if TRAIN not in sources:
        raise InputError(f"no train split: found {sorted(sources)}; give --train_file or a data set that has one")
    return _make_splits(reader, sources, seed)


@waiting("checking and splitting the rows")
def _make_splits(reader: _Reader, sources: Mapping[str, Rows], seed: int) -> Splits:
    data, columns, label_column = reader.data, reader.columns, reader.label_column
    is_published = bool(data.dataset_name) or isinstance(data, InMemoryData)
    unlabeled = [split for split in sources if split != TRAIN and is_published and reader.is_unlabeled(sources[split])]
    parts = {split: reader.read(rows) for split, rows in sources.items() if split not in unlabeled}
    label_names: tuple[str, ...] = ()
    if label_column:
        user_name = columns[label_column]
        label_names = find_label_names(parts[TRAIN].rows, parts[TRAIN].cells[label_column], user_name)
        for part in parts.values():
            check_labels(part.rows, part.cells[label_column], label_names, label_column=user_name)
    if data.fold is not None:
        parts.update(_take_fold(reader, parts, data.fold))
    missing = [split for split in SPLITS if split not in parts]
    if missing:
        parts.update(_hold_out(reader, parts[TRAIN], missing, seed=seed, unlabeled=unlabeled))
    parts = {split: _limited(parts[split], split, data) for split in SPLITS}
    if label_column:
        _check_classes_left(parts[TRAIN], label_names, label_column)
    return Splits(
        train=reader.dataset(parts[TRAIN]),
        validation=reader.dataset(parts["validation"]),
        test=reader.dataset(parts["test"]),
        label_names=label_names,
        fingerprints={split: reader.fingerprint(part) for split, part in parts.items()},
        duplicates=_count_duplicates({split: reader.keys(part) for split, part in parts.items()}),
        class_counts={
            split: _count_classes(part.cells[label_column], label_names) if label_column else {}
            for split, part in parts.items()
        },
        made={split: part.made for split, part in parts.items()},
        unread_texts=unread_texts(parts[TRAIN].rows, [*columns.values(), *parts[TRAIN].cells]),
    )


def load_split(
    data: DataArguments,
    split: str,
    *,
    columns: Mapping[str, str],
    label_column: str | None,
    text_columns: Sequence[str],
    label_names: Sequence[str] = (),
    convert: Convert | None = None,
    regroup: Regroup | None = None,
    label_sets: bool = False,
) -> tuple[datasets.Dataset, Fingerprint]:
    """One given split, checked as `load_splits` does, against the classes of a trained model. Nothing is held out.

    Raises:
        InputError: `data` has no such split, or something is wrong in it.
    """
    reader = _Reader(data, columns, label_column, text_columns, convert, regroup=regroup, label_sets=label_sets)
    sources = reader.open(only=split)
    if split not in sources:
        raise InputError(f"no {split} split: found {sorted(sources)}; give --{split}_file")
    part = reader.read(sources[split])
    if label_column:
        renamed = match_positions(each_label(part.cells[label_column]), label_names)
        labels = part.cells[label_column] = [
            renamed.get(own, own) if isinstance(own, str) else [renamed.get(label, label) for label in own]
            for own in part.cells[label_column]
        ]
        check_labels(part.rows, labels, label_names, label_column=columns[label_column], known_to="the model")
    part = _limited(part, split, data)
    return reader.dataset(part), reader.fingerprint(part)


def open_sources(data: DataArguments, only: str | None = None) -> dict[str, Rows]:
    """The rows of each split that `data` names, or of one, as they are.

    Raises:
        InputError: files beside a data set, or a source that can't be read.
    """
    if isinstance(data, InMemoryData):
        return {split: rows for split, rows in data.splits.items() if only in (None, split)}
    files = {TRAIN: data.train_file, "validation": data.validation_file, "test": data.test_file}
    named = {split: path for split, path in files.items() if path}
    if data.dataset_name:
        if named:
            raise InputError(
                f"--dataset_name {data.dataset_name} and --{next(iter(named))}_file are both given; give one of the two"
            )
        return load_named_dataset(data)
    return {split: read_rows(path) for split, path in named.items() if only in (None, split)}


def _hold_out(
    reader: _Reader, train: _Part, missing: Sequence[str], *, seed: int, unlabeled: Sequence[str]
) -> dict[str, _Part]:
    data = reader.data
    fractions = {"validation": data.validation_fraction, "test": data.test_fraction}
    fractions = {split: fractions[split] for split in missing}
    for split, fraction in fractions.items():
        if not 0 < fraction < 1 or sum(fractions.values()) >= 1:
            raise InputError(
                f"--{split}_fraction {fraction}: {' and '.join(missing)} come out of train, so the fractions must be "
                f"above 0 and together below 1; change it or give --{split}_file"
            )
    by = data.split_group_column
    groups, labels, texts = _grouped(reader, train)
    rows = stratified_group_split(groups, labels, texts, fractions=fractions, seed=seed)
    empty = [split for split, numbers in rows.items() if not numbers]
    if empty:
        together = " or ".join(["share a text", *(f"a {name!r}" for name in (*reader.together, by) if name)])
        counted = f"{len(groups):,} group{'s' if len(groups) > 1 else ''} (rows that {together})"
        raise InputError(
            f"{train.rows.source}: {len(train):,} rows in {counted} are too few to "
            f"hold out {' and '.join(missing)}: {empty[0]} would be empty; each class needs {len(rows)} groups. "
            f"Add rows or give {' and '.join(f'--{split}_file' for split in missing)}"
        )
    stratified = f"stratified by {reader.columns[reader.label_column]!r}, " if reader.label_column else ""
    kept = (
        " and ".join(["equal texts", *(f"equal {name!r}" for name in (*reader.together, by) if name)])
        + " kept together"
    )
    made = {TRAIN: f"what is left of train without {' and '.join(missing)}"}
    for split in missing:
        why = ", for its labels are not public" if split in unlabeled else ""
        made[split] = f"held out of train ({fractions[split]:.1%}, {stratified}{kept}, seed {seed}){why}"
    return {split: train.take(numbers, made[split]) for split, numbers in rows.items()}


def _grouped(reader: _Reader, train: _Part) -> tuple[list[list[int]], Labels, list[str]]:
    """Rows that belong together, and of each row its class and its text."""
    texts = reader.keys(train)
    by = reader.data.split_group_column
    same = [[normalize(text) for text in train.cells[name]] for name in reader.together]
    groups = connected_groups([texts, *same, *([train.cells[by]] if by else [])])
    return groups, train.cells[reader.label_column] if reader.label_column else [""] * len(train), texts


def _take_fold(reader: _Reader, parts: Mapping[str, _Part], fold: str) -> dict[str, _Part]:
    """Test is the fold, train the others."""
    match = re.fullmatch(r"(\d+)/(\d+)", fold)
    if not match or not 1 <= int(match[1]) <= int(match[2]) or int(match[2]) < 2:
        raise InputError(f"--fold {fold}: expected i/K with 1 <= i <= K and K 2 or more, such as 1/5")
    if "test" in parts:
        raise InputError(f"--fold {fold} takes the test rows out of train, but a test split is given; leave one out")
    train = parts[TRAIN]
    folds = stratified_group_folds(*_grouped(reader, train), count=int(match[2]))
    if not all(folds):
        raise InputError(f"--fold {fold}: {len(train):,} rows are too few for {match[2]} folds; take fewer")
    test = folds[int(match[1]) - 1]
    inside = set(test)
    rest = [number for number in range(len(train)) if number not in inside]
    made = f"fold {fold} of train (equal texts kept together, the same for every seed)"
    return {TRAIN: train.take(rest, f"train without fold {fold}"), "test": train.take(test, made)}


def _limited(part: _Part, split: str, data: DataArguments) -> _Part:
    flag = "max_train_samples" if split == TRAIN else "max_eval_samples"
    limit = data.max_train_samples if split == TRAIN else data.max_eval_samples
    check_number(flag, limit)
    if limit is None or limit >= len(part):
        return part
    return part.take(range(limit), f"{part.made}; the first {limit:,} of {len(part):,} rows (--{flag})")


def _check_classes_left(train: _Part, label_names: Sequence[str], label_column: str) -> None:
    left = set(each_label(train.cells[label_column]))
    absent = [name for name in label_names if name not in left]
    if absent:
        raise InputError(
            f"{train.rows.source}: train ({train.made}) has no row of class {absent[0]!r}; raise --max_train_samples, "
            f"shuffle the file, or give --validation_file and --test_file instead of holding them out"
        )


def _count_duplicates(keys: Mapping[str, Sequence[str]]) -> dict[str, int]:
    seen = {split: set(texts) for split, texts in keys.items()}
    counts = {split: len(texts) - len(seen[split]) for split, texts in keys.items()}
    for position, first in enumerate(SPLITS):
        for second in SPLITS[position + 1 :]:
            counts[f"{first}/{second}"] = sum(text in seen[first] for text in keys[second])
    return counts


def _count_classes(labels: Labels, label_names: Sequence[str]) -> dict[str, int]:
    counts = Counter(each_label(labels))
    return {name: counts[name] for name in label_names}
