"""Classes: balance, missing labels, slips of the pen, classes that train never shows."""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmtune.data.columns import label_text
from llmtune.data.label_sets import find_joined
from llmtune.diagnosis.data_checks.finding import ERROR, OK, WARNING, Finding, Split, of_rows, percentage, worse_of
from llmtune.errors import truncated_repr
from llmtune.evidence import ENOUGH, SIGNIFICANT
from llmtune.predictions.cells import spelled_value
from llmtune.predictions.label_spelling import fold_label
from llmtune.stats import homogeneity_test
from llmtune.text.label_names import parse_number
from llmtune.text.shorten import join_names, row_count

SEVERAL = "labels"  # the canonical column of rows with several labels each
MOST_CLASSES = 10  # named in a line
RARE = 0.02  # of the rows of a class: what is so rare and spelled alike is a slip
MOST_COMPARED = 100  # labels that a rare one is compared with, the most frequent
UNBALANCED = 0.8  # share of one class from which on accuracy says little
SHIFT = 0.1  # difference of a class's share between splits that matters


@dataclass(frozen=True)
class LabelTypo:
    """A label that is probably another."""

    label: str
    meant: str

    @property
    def names(self) -> tuple[str, str]:
        """Both as they are told apart: where they look the same, as ASCII with escapes."""
        write = (
            ascii if unicodedata.normalize("NFKC", self.label) == unicodedata.normalize("NFKC", self.meant) else repr
        )
        return write(self.label), write(self.meant)


def labels_of(split: Split) -> list[str | None]:
    """The label of each row as text, of several all in one; None where it has none."""
    if SEVERAL in split.columns:
        return [None if labels is None else ", ".join(sorted(labels)) for labels in label_sets_of(split)]
    return [label_text(cell) for cell in split.columns.get("label", [])]


def label_sets_of(split: Split) -> list[list[str] | None]:
    """The labels of each row: one where rows have one, or any number; None where there are none to be read."""
    if SEVERAL not in split.columns:
        return [None if label is None else [label] for label in labels_of(split)]
    found: list[list[str] | None] = []
    for cell in split.columns[SEVERAL]:
        items = spelled_value(cell) if isinstance(cell, str) else cell
        texts = [label_text(item) for item in items] if isinstance(items, list) else [None]
        found.append(None if None in texts else [text for text in dict.fromkeys(texts) if text is not None])
    return found


def all_labels(split: Split) -> Counter[str]:
    """How many rows have each label."""
    return Counter(label for labels in label_sets_of(split) for label in labels or ())


def is_labeled(split: Split) -> bool:
    """Whether the rows have a label, or labels, each."""
    return "label" in split.columns or SEVERAL in split.columns


def missing_labels(split: Split) -> list[Finding]:
    """Rows without a label, or with one that is no class; where a row has several, without a list of them."""
    several = SEVERAL in split.columns
    cells = split.columns[SEVERAL] if several else split.columns.get("label", [])
    rows = [row for row, labels in enumerate(label_sets_of(split)) if labels is None]
    if not rows:
        return []
    places = [f"{split.place(row)}: {truncated_repr(cells[row])}" for row in rows]
    if several:
        remedy = 'write a list, as ["toxic", "insult"], [] for none; or name another column with --label_column'
        return [Finding("labels", ERROR, f"no list of labels in {of_rows(len(rows), split)}", places, remedy)]
    remedy = "write the class, as text or whole number, or delete the rows"
    return [Finding("labels", ERROR, f"no class in {of_rows(len(rows), split)}", places, remedy)]


def balance(splits: Sequence[Split]) -> Finding:
    """Rows of each class in each split."""
    lines, remedies, severity = [], [], OK
    for split in splits:
        counts = all_labels(split)
        total = len(split) if SEVERAL in split.columns else counts.total()
        named = [f"{label} {n:,} ({percentage(n, total)})" for label, n in counts.most_common()]
        lines.append(f"{split.name}: {join_names(named, MOST_CLASSES, 'classes') or 'no labels'}")
        if len(counts) < 2:
            severity = ERROR if split.name == "train" else worse_of(severity, WARNING)
            lines[-1] += "; one class alone"
            remedies.append(f"add {split.name} rows of another class, or name another column with --label_column")
            continue
        scarce = sorted(label for label, n in counts.items() if n < ENOUGH)
        if counts.most_common(1)[0][1] > UNBALANCED * total:
            severity = worse_of(severity, WARNING)
            remedies.append(
                "most rows are of one class: judge by F1 and recall, not by accuracy; consider --class_weights balanced"
            )
        if scarce and split.name != "train":
            severity = worse_of(severity, WARNING)
            lines[-1] += f"; too few of {_named(scarce)} for an interval"
            remedies.append(f"add {split.name} rows, {ENOUGH} or more of each class")
    return Finding("classes", severity, "\n".join(lines), (), "; ".join(dict.fromkeys(remedies)))


def slips(splits: Sequence[Split]) -> list[Finding]:
    """Labels that are probably another, misspelled or in other case."""
    counts = sum((all_labels(split) for split in splits), Counter[str]())
    findings = []
    for slip in find_label_typos(counts):
        label, meant = slip.names
        places = [
            split.place(row)
            for split in splits
            for row, labels in enumerate(label_sets_of(split))
            if slip.label in (labels or ())
        ]
        sentence = f"label {label} ({row_count(len(places))}) is probably {meant} ({row_count(counts[slip.meant])})"
        findings.append(Finding("labels", ERROR, sentence, places, f"write {meant}"))
    return findings


def find_label_typos(counts: Mapping[str, int]) -> list[LabelTypo]:
    """Of labels and their rows, those that are a more frequent one spelled otherwise, or rare and alike.

    Spelled otherwise: up to case, space, Unicode form, the spelling of a number (1.0) or a truth value.

    >>> find_label_typos({"spam": 400, "ham": 3000, "spma": 2, "Ham": 9})
    [LabelTypo(label='Ham', meant='ham'), LabelTypo(label='spma', meant='spam')]
    """
    typos = []
    by_rows = sorted(counts, key=lambda label: (-counts[label], label))
    first: dict[str, str] = {}  # of the labels of one folded form, the most frequent
    words: list[tuple[str, str]] = []  # folded forms of labels that are no numbers, the most frequent first
    for label in by_rows:
        folded = _folded(label)
        # Numbers are what they say, however written: 1.0 is 1, but -1 is not 1 misspelled, nor 4.0 a slip of 4.5.
        is_number = parse_number(label) is not None
        meant = first.setdefault(folded, label)
        # Very short names are alike without being slips: A and B.
        if meant == label and not is_number and len(folded) >= 3:
            # Each label with each would take minutes of thousands.
            rare = [pair for pair in words[:MOST_COMPARED] if counts[label] <= max(1, RARE * counts[pair[1]])]
            forms = dict(reversed(rare))
            near = difflib.get_close_matches(folded, forms, n=1, cutoff=0.75)
            meant = forms[near[0]] if near else label
        if meant != label:
            typos.append(LabelTypo(label, meant))
        if not is_number:
            words.append((folded, label))
    return typos


def unseen(splits: Sequence[Split]) -> list[Finding]:
    """Classes of validation or test that train never shows, and classes of train that they lack."""
    by_name = {split.name: set(all_labels(split)) for split in splits if is_labeled(split)}
    known = by_name.get("train")
    if known is None:
        return []
    slipped = {slip.label for slip in find_label_typos(sum(map(all_labels, splits), Counter[str]()))}
    findings = []
    for split in splits:
        if split.name not in by_name or split.name == "train":
            continue
        sets = label_sets_of(split)
        for label in sorted(by_name[split.name] - known - slipped, key=str):
            places = [split.place(row) for row, labels in enumerate(sets) if label in (labels or ())]
            sentence = f"label {label!r} of {of_rows(len(places), split)} never occurs in train"
            findings.append(
                Finding("labels", ERROR, sentence, places, "add rows of that class to train, or correct the label")
            )
        lacking = sorted(known - by_name[split.name] - slipped, key=str)
        if lacking:
            sentence = f"{split.name} has no row of {_named([str(label) for label in lacking])}, which train has"
            findings.append(
                Finding("labels", WARNING, sentence, (), f"add rows: {split.name} cannot evaluate these classes")
            )
    return findings


def shifts(splits: Sequence[Split]) -> list[Finding]:
    """Classes whose share in validation or test differs significantly and by much from train."""
    counts = {split.name: all_labels(split) for split in splits}
    # Of one label a row, the rows that have one.
    rows = {split.name: len(split) if SEVERAL in split.columns else counts[split.name].total() for split in splits}
    if not counts.get("train"):
        return []
    train = counts.pop("train")
    findings = []
    for name, here in counts.items():
        for label in sorted(train):
            share, before = here[label] / max(1, rows[name]), train[label] / rows["train"]
            if abs(share - before) < SHIFT:
                continue
            if homogeneity_test([here[label], train[label]], [rows[name], rows["train"]]) < SIGNIFICANT:
                sentence = f"{label!r} is {share:.0%} of {name}, {before:.0%} of train".replace("%", " %")
                remedy = "choose the threshold on rows as in use; a score holds for the class shares it was measured on"
                findings.append(Finding("classes", WARNING, sentence, (), remedy))
    return findings[:MOST_CLASSES]


def _folded(label: str) -> str:
    return fold_label(label if parse_number(label) is not None else re.sub("[_-]", " ", label))


def _named(labels: Sequence[str]) -> str:
    return join_names([repr(label) for label in labels], what="classes")


def joined(splits: Sequence[Split]) -> list[Finding]:
    """Labels that are several others in one cell."""
    cells = {split.name: find_joined(split.columns["label"]) for split in splits if "label" in split.columns}
    remedy = "for several labels a text --label_separator {!r}; if it is a class of its own, leave it"
    return [
        Finding("labels", WARNING, f"{name} holds {cell[0]!r}, and each part of it alone", (), remedy.format(cell[1]))
        for name, cell in cells.items()
        if cell is not None
    ]
