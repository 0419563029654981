"""Predictions tables as a command line names them: a file, or a run folder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from llmtune.errors import InputError
from llmtune.predictions import Predictions, read_predictions


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
    path: Path, *, kind: str | None = None, labels: Sequence[str] = (), positive_label: str | None = None
) -> Predictions:
    """Reads a table of ours or one made elsewhere.

    Args:
        path: .parquet, .csv, .tsv or .jsonl.
        kind: of a table made elsewhere.
        labels: its label names in the order of `probabilities`.
        positive_label: of two labels, the one that precision, recall and F1 are about.

    Raises:
        InputError: it is no such table, or contradicts the arguments.
    """
    check_labels_argument(labels)
    try:
        table = read_predictions(path, kind=kind, label_names=labels)
    except (ValueError, OSError, pa.ArrowException) as error:
        message = str(error)
        named = message.startswith(("--", str(path)))
        raise InputError(message if named else f"{path}: not readable as predictions: {message}") from error
    return with_positive_label(table, str(path), positive_label)


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
