"""Processes that train or predict together must have read the same: each takes its share of rows by their number alone.

A file that is older on one host, or was still being written when a process read it, gives no error: rows are trained
twice or never, and predictions stand beside other rows' labels.
"""

from collections.abc import Mapping
from typing import Any

import datasets
from accelerate.utils import gather_object

from llmtune.data.fingerprint import fingerprint
from llmtune.errors import InputError
from llmtune.training.resume import COMPARED, plain_value

MOST_NAMED = 3  # processes, and differences of each


def describe_inputs(training: Any, rows: Mapping[str, Any], labels: Any = None) -> dict[str, Any]:
    """What every process must have alike, as JSON values.

    Args:
        training: the arguments of training.
        rows: the encoded data sets by split.
        labels: the names of the classes, by id.
    """
    described = {f"--{name}": plain_value(getattr(training, name)) for name in COMPARED}
    described["labels"] = plain_value(labels)
    for split, dataset in rows.items():
        described[f"rows of {split}"] = len(dataset)
        if isinstance(dataset, datasets.Dataset):
            described[f"sha256 of the tokens of {split}"] = fingerprint(dataset)
    return described


def check_same_inputs(described: Mapping[str, Any]) -> None:
    """Raises `InputError`, on every process, where one was given other rows or flags than the first.

    Call it on every process.

    Args:
        described: of `describe_inputs`, on this process.
    """
    first, *others = gather_object([dict(described)])
    differences = [
        f"process {number} has {', '.join(_differences(first, other)[:MOST_NAMED])}"
        for number, other in enumerate(others, start=1)
        if other != first
    ]
    if differences:
        more = f", and {len(differences) - MOST_NAMED} more processes" * (len(differences) > MOST_NAMED)
        raise InputError(
            f"the processes don't have the same rows and flags: {'; '.join(differences[:MOST_NAMED])}{more}. Expected "
            "what process 0 has: start every process with the same flags, and copy the data files to each host anew"
        )


def _differences(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys([*first, *other])
    return [
        f"{name} {other.get(name)} (process 0: {first.get(name)})"
        for name in names
        if first.get(name) != other.get(name)
    ]
