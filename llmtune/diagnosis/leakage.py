"""Held-out rows that train has seen: equal or edited texts, shared ids, times that train already knows.

A model may remember such rows: a score that counts them promises more than it keeps. So the score is also given without
them, with the interval of the drop over rows drawn again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llmtune.comparison.score_drop import Drop, score_drop
from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, not_applicable, percent
from llmtune.evidence import FEWEST
from llmtune.predictions import Predictions
from llmtune.stats import wilson_interval
from llmtune.text.near_duplicates import NearDuplicate, NearDuplicates
from llmtune.text.normalize import normalize

NAME = "leakage"
EQUAL = 0.01  # share of equal rows above which a split is unfit
COPIED = 0.05  # of equal and edited ones: real, carefully split data (SMS Spam) have 3 % of the second kind
FEW = 3  # copies that are no matter: "ok", "thanks"
COPIES_AGREE = 0.9  # copies have the label of their original; rows of a template only as often as any two rows
MOST_LISTED = 1_000  # rows in verdict.json

Pair = tuple[str, str]  # the split that should be new, and the one that was there before


@dataclass(frozen=True)
class Examples:
    """The rows of a split, so far as leakage can be seen in them.

    Args:
        texts: a text, or its words, a row.
        labels: where rows have one.
        ids: column → what must not stand on two sides of a split: author, thread, patient.
        times: of a series, comparable values.
        halves: of pairs, the texts by column: one may stand in two splits beside different ones, which is told.
        row_ids: what verdict.json calls each row; default their number from 0.
    """

    texts: Sequence[Any]
    labels: Sequence[str] | None = None
    ids: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    times: Sequence[Any] | None = None
    halves: Mapping[str, Sequence[str]] = field(default_factory=dict)
    row_ids: Sequence[Any] | None = None

    def row_id(self, row: int) -> Any:
        """Of the row at this position."""
        return row if self.row_ids is None else self.row_ids[row]


@dataclass(frozen=True)
class Duplicates:
    """Rows of a split that stand in another.

    Args:
        rows: of the split.
        equal: row → first row of the other split with this text.
        near: edited copies.
        conflicting: rows, equal or edited, whose label is another than that of the row they copy.
        labeled: whether both splits have labels.
    """

    rows: int
    equal: Mapping[int, int]
    near: Sequence[NearDuplicate]
    conflicting: Sequence[int]
    labeled: bool

    @property
    def is_templated(self) -> bool:
        """Whether the labels of the edited copies differ significantly too often for copies: they only look alike."""
        if not self.near or not self.labeled:
            return False
        differing = set(self.conflicting)
        agreeing = sum(one.row not in differing for one in self.near)
        highest = wilson_interval(agreeing, len(self.near)).high
        return highest is not None and highest < COPIES_AGREE

    @property
    def leaked(self) -> list[int]:
        """The rows that a model may remember."""
        near = [] if self.is_templated else [one.row for one in self.near]
        return sorted([*self.equal, *near])

    @property
    def many_equal(self) -> bool:
        """Whether equal copies alone make the split unfit."""
        return len(self.equal) >= FEW and len(self.equal) > EQUAL * self.rows

    @property
    def many(self) -> bool:
        """Whether equal and edited copies together are more than carefully split data have."""
        return len(self.leaked) >= FEW and len(self.leaked) > COPIED * self.rows

    def to_json(self, split: Examples, first: Examples) -> dict[str, Any]:
        """For verdict.json; each row of the split, and its original in the first, is called by its id."""
        equal = [{"row": split.row_id(row), "original": first.row_id(at)} for row, at in self.equal.items()]
        near = [
            {"row": split.row_id(one.row), "original": first.row_id(one.original), "changed": one.changed}
            for one in self.near
        ]
        return {
            "rows": self.rows,
            "equal": len(equal),
            "edited": len(near),
            "other_label": len(self.conflicting),
            "template": self.is_templated,
            "equal_rows": equal[:MOST_LISTED],
            "edited_rows": near[:MOST_LISTED],
        }


def leakage(
    train: Examples, held_out: Mapping[str, Examples], predictions: Predictions | None = None, *, seed: int = 0
) -> Check:
    """Judges validation and test against train, and test against validation, on which thresholds are chosen.

    Args:
        train: the rows a model learns from.
        held_out: split → rows.
        predictions: of the rows of `test`, in order, for the score without leaked rows; default none.
        seed: of the bootstrap.
    """
    if not held_out:
        return not_applicable(NAME, "no validation and test rows to look up in train")
    if "test" in held_out and len(held_out["test"].texts) < FEWEST:
        return Check(NAME, NOT_ENOUGH_DATA, f"{len(held_out['test'].texts)} test rows are too few to judge")
    splits = {"train": train, **held_out}
    copies: dict[Pair, Duplicates] = {}
    names = list(splits)
    for place, first in enumerate(names[:-1], start=1):
        later = {name: splits[name] for name in names[place:]}
        copies |= {(name, first): found for name, found in find_copies(splits[first], later).items()}
    shared = {(late, first): shared_ids(splits[first], splits[late]) for late, first in copies}
    early = {(name, "train"): early_rows(train, rows) for name, rows in held_out.items()}
    drop = None
    if predictions is not None and ("test", "train") in copies:
        drop = score_drop(predictions, copies["test", "train"].leaked, seed=seed)
    listed = {f"{late}/{first}": found.to_json(splits[late], splits[first]) for (late, first), found in copies.items()}
    judged = _judged(copies, shared, early, drop)
    halves = shared_halves(train, held_out["test"], copies["test", "train"]) if "test" in held_out else {}
    numbers = {"copies": listed, **judged.numbers, **({"shared_halves": halves} if halves else {})}
    listed_halves = ", ".join(f"the {name} of {count:,}" for name, count in halves.items() if count)
    noted = f"; of the other test rows {listed_halves} stands in train beside another text" if listed_halves else ""
    return replace(judged, finding=judged.finding + noted, numbers=numbers)


def shared_halves(train: Examples, test: Examples, copies: Duplicates) -> dict[str, int]:
    """By column of a pair, rows of test whose text there stands in train, the whole pair not being a copy."""
    leaked = set(copies.leaked)
    counts = {}
    for name, texts in test.halves.items():
        known = set(map(normalize, train.halves[name]))
        counts[name] = sum(normalize(text) in known for row, text in enumerate(texts) if row not in leaked)
    return counts


def find_copies(
    corpus: Examples, splits: Mapping[str, Examples], index: NearDuplicates | None = None
) -> dict[str, Duplicates]:
    """Of each split, the rows whose text stands in the corpus, as it is or with a word or two changed.

    Args:
        corpus: what was there before.
        splits: what should be new.
        index: of the corpus, where it is made already.
    """
    index = index or NearDuplicates(corpus.texts)
    found = {}
    for name, rows in splits.items():
        equal, near = index.find(rows.texts)
        pairs = [*equal.items(), *((one.row, one.original) for one in near)]
        ours, theirs = rows.labels, corpus.labels
        if ours is None or theirs is None:
            found[name] = Duplicates(len(rows.texts), equal, near, [], labeled=False)
        else:
            conflicting = sorted(row for row, original in pairs if ours[row] != theirs[original])
            found[name] = Duplicates(len(rows.texts), equal, near, conflicting, labeled=True)
    return found


def shared_ids(first: Examples, second: Examples) -> dict[str, list[int]]:
    """By id column, the rows of the second whose value stands in the first too; empty values are none."""
    found = {}
    for column in first.ids:
        known = {value for value in first.ids[column] if value not in (None, "")}
        found[column] = [row for row, value in enumerate(second.ids.get(column, ())) if value in known]
    return found


def early_rows(train: Examples, rows: Examples) -> list[int]:
    """Rows of a time that is not after all of train."""
    if train.times is None or rows.times is None or not len(train.times):
        return []
    last = max(train.times)
    return [row for row, time in enumerate(rows.times) if time <= last]


def _judged(
    copies: Mapping[Pair, Duplicates],
    shared: Mapping[Pair, Mapping[str, list[int]]],
    early: Mapping[Pair, list[int]],
    drop: Drop | None,
) -> Check:
    numbers = {
        "shared_ids": {
            f"{late}/{first}": {column: len(rows) for column, rows in found.items()}
            for (late, first), found in shared.items()
            if found
        },
        "not_after_train": {late: len(rows) for (late, _), rows in early.items()},
        "drop": None if drop is None else drop.to_json(),
    }
    faults = [
        *_copy_faults(copies, drop),
        *_id_faults(copies, shared),
        *_time_faults(copies, early),
    ]
    if faults:
        findings, remedies = zip(*faults, strict=True)
        return Check(NAME, FAIL, "; ".join(findings), numbers, "; ".join(dict.fromkeys(remedies)))
    some = [_copies_sentence(late, first, found) for (late, first), found in copies.items() if found.leaked]
    if not some:
        splits = " and ".join(dict.fromkeys(late for late, _ in copies))
        alike = any(found.is_templated for found in copies.values())
        template = " (rows that differ in a word or two follow a template: their labels differ too)" if alike else ""
        return Check(NAME, PASS, f"No row of {splits} is in train, neither identical nor edited{template}", numbers)
    kept = "" if drop is None else f"; {_drop_sentence(drop)}"
    remedy = "delete these rows for a cleaner number (llmtune check lists them)"
    if any(found.many for found in copies.values()):
        finding = f"{'; '.join(some)}; too few rows to tell whether they raise the score{kept}"
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, remedy)
    return Check(NAME, PASS, f"{'; '.join(some)}: too few to change the result{kept}", numbers, remedy)


def _copy_faults(copies: Mapping[Pair, Duplicates], drop: Drop | None) -> list[tuple[str, str]]:
    faults = []
    for (late, first), found in copies.items():
        measured = drop if (late, first) == ("test", "train") else None
        lifted = measured is not None and measured.matters and len(found.leaked) >= FEW
        # Texts of one form (a grammar, a ticket system) look edited and need not be: there the score must tell.
        if found.many_equal or lifted or (found.many and drop is None):
            said = _copies_sentence(late, first, found)
            if measured is not None:
                said += f"; {_drop_sentence(measured)}"
            faults.append(
                (
                    said,
                    f"delete the copies from {late} (llmtune check lists their rows), or give one file "
                    "and let a recipe split it: equal texts then stay together",
                )
            )
    return faults


def _id_faults(
    copies: Mapping[Pair, Duplicates], shared: Mapping[Pair, Mapping[str, list[int]]]
) -> list[tuple[str, str]]:
    return [
        (
            f"{_of_rows(len(rows), late, copies[late, first].rows)} {_have(rows)} a value of {column!r} "
            f"that {first} has",
            f"split by it: --split_group_column {column}",
        )
        for (late, first), found in shared.items()
        for column, rows in found.items()
        if len(rows) > EQUAL * copies[late, first].rows
    ]


def _time_faults(copies: Mapping[Pair, Duplicates], early: Mapping[Pair, list[int]]) -> list[tuple[str, str]]:
    return [
        (
            f"{_of_rows(len(rows), late, copies[late, first].rows)} {_have(rows)} a time not after all of {first}",
            f"cut the series by time: {late} after the last row of {first}",
        )
        for (late, first), rows in early.items()
        if len(rows) > EQUAL * copies[late, first].rows
    ]


def _copies_sentence(late: str, first: str, found: Duplicates) -> str:
    equal, edited = len(found.equal), len(found.leaked) - len(found.equal)
    kinds = {"word for word": equal, "with a word or two changed": edited}
    how = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
    if found.conflicting:
        how += f", {len(found.conflicting):,} under another label"
    return f"{_of_rows(len(found.leaked), late, found.rows)} also {_stand(found.leaked)} in {first} ({how})"


def _drop_sentence(drop: Drop) -> str:
    ends = drop.interval
    interval = "" if ends.low is None or ends.high is None else f" [{ends.low:.3f}, {ends.high:.3f}]"
    return (
        f"{drop.name} is {drop.with_leaked:.3f} with them and {drop.without:.3f} without "
        f"(inflated by {drop.value:.3f}{interval})"
    )


def _of_rows(count: int, split: str, rows: int) -> str:
    return f"{count:,} of {rows:,} {split} rows ({percent(count / rows)})"


def _have(rows: Sequence[int]) -> str:
    return "has" if len(rows) == 1 else "have"


def _stand(rows: Sequence[int]) -> str:
    return "stands" if len(rows) == 1 else "stand"
