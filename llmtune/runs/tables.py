"""Predictions tables as a command line names them: a file, or a run folder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from llmtune.errors import InputError
from llmtune.predictions import Predictions, read_predictions
from llmtune.predictions.median_classes import DECIDED_BY, median_classes
from llmtune.text.label_names import parse_number


def find_tables(source: str, split: str = "*") -> list[Path]:
    """The file itself, or the tables in a run's predictions folder.

    Raises:
        InputError: a folder without such tables.
    """
    path = Path(source)
    if not path.is_dir():
        return [path]
    tables = sorted((path / "predictions").glob(f"{split}.parquet"))
    if not tables:
        raise InputError(
            f"{source}: no predictions/{split}.parquet in this folder; give a run, an --output_dir of llmtune "
            "evaluate, or a predictions table"
        )
    return tables


def open_table(
    path: Path,
    *,
    kind: str | None = None,
    labels: Sequence[str] = (),
    positive_label: str | None = None,
    label_separator: str | None = None,
    ordinal: bool = False,
) -> Predictions:
    """Reads a table of ours or one made elsewhere.

    Args:
        path: .parquet, .csv, .tsv or .jsonl.
        kind: of a table made elsewhere.
        labels: its label names in the order of `probabilities`.
        positive_label: of two labels, the one that precision, recall and F1 are about.
        label_separator: of several labels in one text, what is between them.
        ordinal: whether its classes have an order: of numbers their size, else that of `labels`.

    Raises:
        InputError: it is no such table, or contradicts the arguments.
    """
    check_labels_argument(labels)
    check_separator(label_separator)
    try:
        table = read_predictions(path, kind=kind, label_names=labels, label_separator=label_separator)
    except (ValueError, OSError, pa.ArrowException) as error:
        message = str(error)
        named = message.startswith(("--", str(path)))
        raise InputError(message if named else f"{path}: not readable as predictions: {message}") from error
    table = with_positive_label(table, str(path), positive_label)
    return with_order(table, str(path), labels) if ordinal else table


def split_labels(labels: str | None) -> list[str]:
    """What `--labels a,b` names; empty where it is not given."""
    return [name.strip() for name in labels.split(",")] if labels else []


def check_labels_argument(labels: Sequence[str]) -> None:
    """Raises InputError where a label is empty or named twice."""
    repeated = [name for name in labels if labels.count(name) > 1 or not name]
    if repeated:
        raise InputError(
            f"--labels {','.join(labels)}: {repeated[0]!r} is empty or named twice; give each label once, as a,b,c"
        )


def with_positive_label(table: Predictions, where: str, positive_label: str | None) -> Predictions:
    """The table about another of its labels; None leaves it as it is.

    Raises:
        InputError: it has no such label.
    """
    if positive_label is None:
        return table
    if positive_label not in table.label_names:
        raise InputError(
            f"--positive_label {positive_label!r}: {where} has the labels {', '.join(table.label_names) or '(none)'}; "
            "name one of them"
        )
    before = table.positive_label or table.label_names[-1]
    # The predictions were made at the threshold of the other label.
    threshold = table.threshold if before == positive_label else 1 - table.threshold
    return replace(table, positive_label=positive_label, threshold=threshold)


def check_separator(label_separator: str | None) -> None:
    """Raises InputError where nothing is said to stand between two labels."""
    if label_separator == "":
        raise InputError("--label_separator '': expected what stands between two labels, such as ';'")


def with_order(table: Predictions, where: str, labels: Sequence[str] = ()) -> Predictions:
    """The table with its classes in an order, as `--ordinal` of a recipe: qwk and the steps off are scored too.

    Args:
        table: of three classes or more.
        where: begins the message.
        labels: as they were named in their order.

    Raises:
        InputError: other tables; names that are no numbers and were not given in their order.
    """
    names = table.label_names
    if not table.kind.single_label or len(names) < 3:
        holding = f"the labels {', '.join(names)}" if table.kind.single_label else f"a {table.kind} table"
        raise InputError(f"--ordinal: {where} is of {holding}, expected three or more classes; leave it out")
    if not labels and not table.settings.get("ordinal") and any(parse_number(name) is None for name in names):
        raise InputError(
            f"--ordinal: the labels {', '.join(names)} of {where} are no numbers, whose order is known; name them from "
            "the lowest to the highest with --labels a,b,c"
        )
    return replace(table, settings={**table.settings, "ordinal": True, DECIDED_BY: _decision(table)})


def _decision(table: Predictions) -> str:
    """How the classes were decided, by what the probabilities tell."""
    if table.has("probabilities"):
        predicted, probabilities = table.label_ids("prediction"), table.probabilities()
        decisions = {"median": median_classes(probabilities), "argmax": np.nan_to_num(probabilities).argmax(axis=1)}
        for name, ids in decisions.items():
            if (ids == predicted).all():
                return name
    return "given"
