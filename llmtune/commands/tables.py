"""Predictions tables as commands name them: a file, or a run folder."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from llmtune.errors import InputError
from llmtune.predictions import Predictions, read_predictions
from llmtune.predictions.table import METADATA_KEY


def find_tables(source: str, split: str = "*") -> list[Path]:
    """The file itself, or the tables in a run's predictions folder.

    Raises:
        InputError: a folder without such tables.
    """
    path = Path(source)
    if not path.is_dir():
        return [path]
    found = sorted((path / "predictions").glob(f"{split}.parquet"))
    if not found:
        raise InputError(
            f"{source}: no predictions/{split}.parquet in this folder; give a run, an --output_dir of llmtune "
            "evaluate, or a predictions table"
        )
    return found


def open_table(path: Path, *, kind: str | None, labels: str | None, positive_label: str | None) -> Predictions:
    """Reads a table of ours or one made elsewhere.

    Args:
        path: .parquet, .csv or .jsonl.
        kind: of a table made elsewhere.
        labels: its label names in the order of `probabilities`, joined by commas.
        positive_label: of two labels, the one that precision, recall and F1 are about.

    Raises:
        InputError: it is no such table, or contradicts the arguments.
    """
    names = [name.strip() for name in labels.split(",")] if labels else []
    repeated = [name for name in names if names.count(name) > 1 or not name]
    if repeated:
        raise InputError(f"--labels {labels}: {repeated[0]!r} is empty or named twice; give each label once, as a,b,c")
    try:
        own = _own_labels(path)
        if names and own and names != own:
            raise InputError(f"--labels {labels}: {path} names its own labels, {', '.join(own)}; leave --labels out")
        table = read_predictions(path, kind=kind, label_names=names)
    except (ValueError, OSError, pa.ArrowException) as error:
        message = str(error)
        named = message.startswith(("--", str(path)))
        raise InputError(message if named else f"{path}: not readable as predictions: {message}") from error
    return _with_positive(table, str(path), positive_label)


def run_settings(folder: str) -> dict[str, Any]:
    """What run.json of a folder says; empty where there is none."""
    path = Path(folder) / "run.json"
    if not path.exists():
        return {}
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{path}: not JSON ({error}); restore it, or name the tables in {folder} one by one"
        ) from error
    return settings


def _own_labels(path: Path) -> list[str]:
    """The label names that a table of ours carries."""
    if path.suffix != ".parquet" or not path.exists():
        return []
    metadata = pa.parquet.read_schema(path).metadata or {}
    labels: list[str] = json.loads(metadata.get(METADATA_KEY, b"{}")).get("label_names", [])
    return labels


def _with_positive(table: Predictions, source: str, positive_label: str | None) -> Predictions:
    if positive_label is None:
        return table
    if positive_label not in table.label_names:
        raise InputError(
            f"--positive_label {positive_label!r}: {source} has the labels {', '.join(table.label_names) or '(none)'}; "
            "name one of them"
        )
    was = table.positive_label or table.label_names[-1]
    # The predictions were made at the threshold of the other label.
    threshold = table.threshold if was == positive_label else 1 - table.threshold
    return replace(table, positive_label=positive_label, threshold=threshold)
