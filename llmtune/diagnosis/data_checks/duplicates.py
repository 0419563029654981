"""Texts that stand twice: within a split, on two sides of a split, under different labels."""

from collections.abc import Sequence

from llmtune.diagnosis.data_checks.finding import ERROR, OK, WARNING, Finding, Split, of_rows, percentage
from llmtune.diagnosis.data_checks.labels import labels_of
from llmtune.diagnosis.leakage import Duplicates, Examples, find_copies
from llmtune.errors import truncated_repr
from llmtune.text.near_duplicates import NearDuplicate, NearDuplicates
from llmtune.text.shorten import join_names

CONFLICTING = 0.01  # share of rows whose text has another label elsewhere, from which on it bounds every score
Findings = list[Finding]


def find_duplicates(splits: Sequence[Split]) -> Findings:
    """Everything about copies, between the splits first; one line says so where there are none."""
    between, within = _Both(), _Both()
    conflicts: Findings = []
    examples = {split.name: _examples(split) for split in splits}
    for place, first in enumerate(splits):
        index = NearDuplicates(examples[first.name].texts)
        later = {split.name: split for split in splits[place + 1 :]}
        found = find_copies(examples[first.name], {name: examples[name] for name in later}, index)
        for name, copies in found.items():
            _add_between(between, first, later[name], copies)
        equal = [[row, *later_rows] for row, later_rows in index.repeats.items()]
        _add_within(within, first, equal, index.find_within())
        conflicts += _conflicts(first, examples[first.name].labels, equal)
    repeated, near = between.equal + within.equal, between.near + within.near
    return [
        *(repeated or [Finding("duplicates", OK, "no duplicate texts")]),
        *(near or [Finding("near duplicates", OK, "no near-duplicate texts")]),
        *conflicts,
    ]


class _Both:
    """Findings on equal and on edited texts, told apart."""

    def __init__(self) -> None:
        self.equal: Findings = []
        self.near: Findings = []


def _examples(split: Split) -> Examples:
    # Of words, the tags are the label.
    labels = [label or "" for label in labels_of(split)] or [str(tags) for tags in split.columns.get("tags", [])]
    return Examples(split.texts, labels or None)


def _add_between(found: _Both, first: Split, split: Split, copies: Duplicates) -> None:
    remedy = f"delete them from {split.name}, or give the recipe one file to split: equal texts then stay together"
    severity = ERROR if copies.many_equal or copies.many else WARNING
    conflicting = set(copies.conflicting)

    def other_labels(rows: Sequence[int]) -> str:
        count = len(conflicting.intersection(rows))
        return f", {count:,} of them under another label" if count else ""

    if copies.equal:
        places = [f"{split.place(row)} = {first.place(at)}: {_cut(split, row)}" for row, at in copies.equal.items()]
        share = percentage(len(copies.equal), len(split))
        sentence = f"{of_rows(len(places), split)} ({share}) also in {first.name}{other_labels(list(copies.equal))}"
        found.equal.append(Finding("duplicates", severity, sentence, places, remedy))
    if copies.near:
        share = percentage(len(copies.near), len(split))
        other = other_labels([one.row for one in copies.near])
        sentence = f"{of_rows(len(copies.near), split)} ({share}) in {first.name}, edited{other}"
        if copies.is_templated:
            severity, remedy = (
                WARNING,
                "nothing, if the texts follow a template: their labels differ too often for near-duplicates",
            )
        places = [_edited(one, split, first) for one in copies.near]
        found.near.append(Finding("near duplicates", severity, sentence, places, remedy))


def _add_within(found: _Both, split: Split, groups: Sequence[Sequence[int]], near: Sequence[NearDuplicate]) -> None:
    if groups:
        places = [
            f"{split.place(row)} = {first.removeprefix(split.name).strip()}: {_cut(split, row)}"
            for group in groups
            for first in [split.place(group[0])]
            for row in group[1:]
        ]
        sentence = f"repeats of an earlier row: {of_rows(len(places), split)} ({percentage(len(places), len(split))})"
        remedy = "keep one of each, unless they are as frequent in use"
        found.equal.append(Finding("duplicates", WARNING, sentence, places, remedy))
    if near:
        sentence = f"edited copies of an earlier row: {of_rows(len(near), split)} ({percentage(len(near), len(split))})"
        places = [_edited(one, split, split) for one in near]
        remedy = "keep them on one side if you split this file"
        found.near.append(Finding("near duplicates", OK, sentence, places, remedy))


def _conflicts(split: Split, labels: Sequence[str] | None, equal: Sequence[Sequence[int]]) -> Findings:
    if labels is None:
        return []
    groups = [group for group in equal if len({labels[row] for row in group}) > 1]
    if not groups:
        return []
    rows = sum(map(len, groups))
    places = [
        " and ".join(f"{split.place(row) if at == 0 else split.rows.place(row)} {labels[row]!r}" for at, row in some)
        + f": {_cut(split, group[0])}"
        for group in groups
        for some in [list(enumerate(_one_of_each(group, labels)))]
    ]
    sentence = f"equal texts, different labels: {of_rows(rows, split)} ({percentage(rows, len(split))})"
    severity = ERROR if rows > CONFLICTING * len(split) else WARNING
    return [Finding("conflicting labels", severity, sentence, places, "decide for one label of each text")]


def _one_of_each(group: Sequence[int], labels: Sequence[str]) -> list[int]:
    return list({labels[row]: row for row in reversed(group)}.values())[::-1]


def _edited(one: NearDuplicate, split: Split, first: Split) -> str:
    original = first.place(one.original) if first is not split else first.rows.place(one.original)
    edits = join_names([f"{old or '(nothing)'} → {new or '(nothing)'}" for old, new in one.edits], 3)
    return f"{split.place(one.row)} ~ {original}: {edits} in {_cut(split, one.row)}"


def _cut(split: Split, row: int) -> str:
    text = split.texts[row]
    return truncated_repr(text if isinstance(text, str) else " ".join(text))
