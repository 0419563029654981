"""Groups of people and sources: how many rows of each, who is missing, and who stands on both sides of a split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from llmtune.diagnosis.data_checks.finding import ERROR, OK, WARNING, Finding, Split, of_rows, percentage
from llmtune.diagnosis.data_checks.labels import SHIFT, labels_of
from llmtune.diagnosis.leakage import EQUAL, Examples, early_rows, shared_ids
from llmtune.errors import truncated_repr
from llmtune.evidence import ENOUGH, SIGNIFICANT
from llmtune.stats import homogeneity_test
from llmtune.text.shorten import join_names, row_count

MOST_GROUPS = 8  # named in a line


def group_balance(splits: Sequence[Split], column: str) -> list[Finding]:
    """Rows of each group, groups too small to judge or absent from train, classes that hang on the group."""
    findings = []
    train = next((set(_groups(split, column)) for split in splits if split.name == "train"), None)
    for split in splits:
        counts = Counter(group for group in _groups(split, column) if group)
        named = [f"{group} {n:,} ({percentage(n, len(split))})" for group, n in counts.most_common(MOST_GROUPS)]
        more = f" and {len(counts) - MOST_GROUPS} more" if len(counts) > MOST_GROUPS else ""
        remarks, remedies = [], []
        small = sorted(group for group, n in counts.items() if n < ENOUGH)
        if small and split.name != "train":
            remarks.append(f"fewer than {ENOUGH} rows of {_named(small)}: too few for a result per group")
            remedies.append(f"add {split.name} rows of these groups")
        new = sorted(set(counts) - train) if train is not None else []
        if new:
            remarks.append(f"train has no row of {_named(new)}")
            remedies.append("add train rows of these groups")
        empty = len(split) - counts.total()
        if empty:
            remarks.append(f"{row_count(empty)} without a group")
        sentence = "; ".join([f"{split.name} by {column}: {', '.join(named)}{more}", *remarks])
        findings.append(Finding("groups", WARNING if remarks else OK, sentence, (), "; ".join(remedies)))
        findings += _class_by_group(split, column)
    return findings


def _class_by_group(split: Split, column: str) -> list[Finding]:
    """The class whose share differs most between the groups, if significantly and by much."""
    pairs = [
        (group, label)
        for group, label in zip(_groups(split, column), labels_of(split), strict=False)
        if group and label
    ]
    rows = Counter(group for group, _ in pairs)
    large = [group for group, n in rows.items() if n >= ENOUGH]
    hits = Counter(pairs)
    found = []
    for label in sorted({label for _, label in pairs}):
        shares = {group: hits[group, label] / rows[group] for group in large}
        p = homogeneity_test([hits[group, label] for group in large], [rows[group] for group in large])
        if len(large) > 1 and p < SIGNIFICANT and max(shares.values()) - min(shares.values()) >= SHIFT:
            most, least = max(large, key=shares.__getitem__), min(large, key=shares.__getitem__)
            gap = shares[most] - shares[least]
            text = f"{split.name}: {label!r} is {shares[most]:.0%} of {most}, {shares[least]:.0%} of {least}"
            found.append((gap, text.replace("%", " %")))
    remedy = "a model may learn the group instead of the class: compare the groups in the report (--group_columns)"
    return [Finding("groups", WARNING, max(found)[1], (), remedy)] if found else []


def ids_on_both_sides(splits: Sequence[Split], column: str) -> list[Finding]:
    """Authors, threads, patients that stand in two splits."""
    findings = []
    for place, first in enumerate(splits):
        for split in splits[place + 1 :]:
            rows = shared_ids(*(Examples((), ids={column: one.columns.get(column, [])}) for one in (first, split)))[
                column
            ]
            if rows:
                places = [f"{split.place(row)}: {split.columns[column][row]}" for row in rows]
                sentence = f"{of_rows(len(rows), split)} with a value of {column!r} that {first.name} has too"
                severity = ERROR if len(rows) > EQUAL * len(split) else WARNING
                findings.append(
                    Finding("ids", severity, sentence, places, f"split by it: --split_group_column {column}")
                )
    return findings or [Finding("ids", OK, f"no value of {column!r} stands in two splits")]


def halves_on_both_sides(splits: Sequence[Split], columns: Mapping[str, str]) -> list[Finding]:
    """Of pairs, texts that stand in two splits, whatever text is beside them; `columns`: canonical → the user's."""
    findings = []
    for place, first in enumerate(splits):
        for split in splits[place + 1 :]:
            examples = (
                Examples((), ids={name: one.columns.get(name, []) for name in columns}) for one in (first, split)
            )
            for name, rows in shared_ids(*examples).items():
                if rows:
                    # May be intended: many data sets set a text beside several others. Whole pairs are duplicates.
                    sentence = f"{of_rows(len(rows), split)} with a {columns[name]!r} that {first.name} has too"
                    places = [f"{split.place(row)}: {truncated_repr(split.columns[name][row])}" for row in rows]
                    remedy = f"to keep them apart, split one file: --split_group_column {columns[name]}"
                    findings.append(Finding("pairs", WARNING, sentence, places, remedy))
    return findings or [Finding("pairs", OK, "no text of a pair stands in two splits")]


def times_before(splits: Sequence[Split], column: str) -> list[Finding]:
    """Rows of validation and test that are not after all of train."""
    times = dict(
        zip([split.name for split in splits], _comparable([s.columns.get(column, []) for s in splits]), strict=True)
    )
    train = Examples((), times=times.get("train"))
    findings = []
    for split in splits:
        rows = early_rows(train, Examples((), times=times[split.name])) if split.name != "train" else []
        if rows:
            places = [f"{split.place(row)}: {split.columns[column][row]}" for row in rows]
            sentence = f"{of_rows(len(rows), split)} with a {column!r} that is not after all of train"
            findings.append(Finding("time", ERROR, sentence, places, f"cut by time: {split.name} after train"))
    return findings or [Finding("time", OK, f"{column!r} of validation and test is after all of train")]


def _comparable(columns: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Numbers where all are numbers, else text (ISO 8601 sorts as text)."""
    try:
        return [[float(cell) for cell in cells] for cells in columns]
    except (TypeError, ValueError):
        return [[str(cell) for cell in cells] for cells in columns]


def _groups(split: Split, column: str) -> list[str]:
    return ["" if cell is None else str(cell) for cell in split.columns.get(column, [])]


def _named(groups: Sequence[str]) -> str:
    return join_names([repr(group) for group in groups])
