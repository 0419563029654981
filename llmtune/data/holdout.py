"""Holds parts of train out: stratified by class, seeded, with rows that belong together on one side.

Iterative stratification (Sechidis, Tsoumakas, Vlahavas 2011) on groups instead of rows: the rarest class first, each
group to the part that still needs the most rows of that class. A row may have several labels, or none, which counts as
one more class.
"""

import hashlib
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

TRAIN = "train"
NO_LABEL = ""  # the class of rows with an empty set of labels; no label is called so

Labels = Sequence[str] | Sequence[Sequence[str]]  # one a row, or a set a row


def connected_groups(keys: Sequence[Sequence[Hashable]]) -> list[list[int]]:
    """Rows that share a key in any of the columns of `keys` (each of n rows), also over other rows: union-find."""
    n = len(keys[0])
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for column in keys:
        first: dict[Hashable, int] = {}
        for row, key in enumerate(column):
            a, b = root(first.setdefault(key, row)), root(row)
            parent[max(a, b)] = min(a, b)
    groups: dict[int, list[int]] = {}
    for row in range(n):
        groups.setdefault(root(row), []).append(row)
    return list(groups.values())


def stratified_group_split(
    groups: Sequence[Sequence[int]],
    labels: Labels,
    texts: Sequence[str],
    *,
    fractions: Mapping[str, float],
    seed: int,
) -> dict[str, list[int]]:
    """Row numbers, ascending, of train and of each part named in `fractions`.

    A class of at least as many groups as there are parts is in every part; one of fewer stays in train. The draw
    depends on the seed and the texts, not on the order of the rows. Of several labels a row the rarest one that still
    waits is placed first; what it takes along of other labels they do not need again.
    """
    parts = [TRAIN, *fractions]
    shares = {TRAIN: 1 - sum(fractions.values()), **fractions}
    of_row = [[label] if isinstance(label, str) else label or [NO_LABEL] for label in labels]
    counts = [Counter(label for row in group for label in of_row[row]) for group in groups]
    draw = [min(_draw(texts[row], seed) for row in group) for group in groups]
    of_class: dict[str, list[int]] = {}
    for group, count in enumerate(counts):
        for label in count:
            of_class.setdefault(label, []).append(group)
    rows_of_class = Counter(label for row in of_row for label in row)
    need = {part: {label: shares[part] * rows for label, rows in rows_of_class.items()} for part in parts}
    need_of_all = {part: sum(need[part].values()) for part in parts}
    part_of: dict[int, str] = {}
    left = dict(of_class)
    several = not all(isinstance(label, str) for label in labels)
    while left:
        # Of one label a row, the splits of a seed stay what they were.
        still = {
            name: sum(group not in part_of for group in members) if several else len(members)
            for name, members in left.items()
        }
        label = min(left, key=lambda name: (still[name], name))
        del left[label]
        # A group larger than a whole part is placed while train still has room for it.
        large = max(1.0, min(need[part][label] for part in fractions))
        waiting = sorted(
            (group for group in of_class[label] if group not in part_of),
            key=lambda group: (-len(groups[group]) if len(groups[group]) > large else 0, draw[group]),
        )
        present = {part_of[group] for group in of_class[label] if group in part_of}
        for position, group in enumerate(waiting):
            lacking = [part for part in parts if part not in present]
            if len(of_class[label]) < len(parts):
                part = TRAIN
            elif len(waiting) - position <= len(lacking):
                part = lacking[0]
            else:
                part = max(parts, key=lambda name: (need[name][label], need_of_all[name]))
            part_of[group] = part
            present.add(part)
            for name, rows_in_group in counts[group].items():
                need[part][name] -= rows_in_group
            need_of_all[part] -= len(groups[group])
    rows: dict[str, list[int]] = {part: [] for part in parts}
    for group, part in part_of.items():
        rows[part].extend(groups[group])
    return {part: sorted(found) for part, found in rows.items()}


def stratified_group_folds(
    groups: Sequence[Sequence[int]], labels: Labels, texts: Sequence[str], *, count: int
) -> list[list[int]]:
    """Row numbers, ascending, of each of `count` folds: every row is in one, equal shares of each class in all.

    They hang on the texts alone, not on a seed: the folds of runs with several seeds are the same.
    """
    names = [f"fold {number}" for number in range(1, count)]
    parts = stratified_group_split(groups, labels, texts, fractions=dict.fromkeys(names, 1 / count), seed=0)
    return [*(parts[name] for name in names), parts[TRAIN]]


def _draw(text: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
