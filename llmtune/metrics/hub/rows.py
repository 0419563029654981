"""Reads a predictions table into the columns that metrics take, and says which columns have broken numbers."""

from typing import Any

import numpy as np

from llmtune.metrics.parts.base import Columns, Setting
from llmtune.predictions import Predictions


def setting_of(predictions: Predictions) -> Setting:
    """What the metrics need to know of the table."""
    two = predictions.kind == "classification" and len(predictions.label_names) == 2
    return Setting(
        kind=predictions.kind,
        label_names=predictions.label_names,
        positive_id=predictions.positive_id if two else None,
        threshold=predictions.threshold,
        options=predictions.settings,
    )


def rows_of(predictions: Predictions) -> tuple[Columns, dict[str, str]]:
    """The columns as arrays or lists, and for each column that holds NaN or infinity, a reason."""
    columns: dict[str, Any] = {}
    if predictions.kind == "classification":
        columns = {name: predictions.label_ids(name) for name in ("reference", "prediction")}
        if predictions.has("probabilities"):
            columns["probabilities"] = predictions.probabilities()
        return columns, broken(columns, ("probabilities",))
    raise NotImplementedError(predictions.kind)


def broken(columns: Columns, names: tuple[str, ...]) -> dict[str, str]:
    """For each of these columns with a NaN or infinity: how many rows, as the reason why a metric can't be given."""
    found = {}
    for name in names:
        if name not in columns:
            continue
        finite = np.isfinite(columns[name])
        rows = int((~finite.reshape(len(finite), -1).all(axis=1)).sum()) if len(finite) else 0
        if rows:
            found[name] = f"{rows} of {len(finite)} rows have a {name} that is not finite"
    return found
