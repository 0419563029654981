"""Scales of each series, fitted on its train steps alone, and kept with the model. Letters: n steps, f inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmtune.errors import InputError
from llmtune.tasks.forecasting.steps import Steps

SCALERS = ("standard", "minmax", "none")


@dataclass(frozen=True)
class Scale:
    """(value - center) / size of one series.

    Args:
        input_centers: (f,).
        input_sizes: (f,).
        target_center: in the target's unit.
        target_size: likewise.
        change_size: of a change from one step to the next, in the target's unit.
    """

    input_centers: tuple[float, ...]
    input_sizes: tuple[float, ...]
    target_center: float
    target_size: float
    change_size: float

    def to_json(self) -> dict[str, Any]:
        """For the model's config; `Scale(**…)` reads it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


def fit_scales(train: Steps, scaler: str) -> dict[str, Scale]:
    """By series, from train: mean and standard deviation, or least value and range; 0 and 1 for none.

    Raises:
        InputError: no such scaler, or a series without one value of a column.
    """
    if scaler not in SCALERS:
        raise InputError(f"--scaler {scaler!r} is not one of {', '.join(SCALERS)}")
    scales = {}
    for key, begin, end in train.spans():
        numbers = np.column_stack([train.inputs[begin:end], train.target[begin:end]])
        if np.isnan(numbers).all(axis=0).any():
            raise InputError(
                f"train: series {key!r} has an input or target without one number in its {end - begin:,} steps; leave "
                "the series or the column out"
            )
        centers, sizes = _fit(numbers, scaler)
        changes = np.diff(train.target[begin:end])
        change = float(np.nanstd(changes)) if np.isfinite(changes).any() and scaler != "none" else 1.0
        scales[key] = Scale(
            tuple(centers[:-1]), tuple(sizes[:-1]), centers[-1], sizes[-1], change if change > 0 else 1.0
        )
    return scales


def _fit(numbers: np.ndarray, scaler: str) -> tuple[list[float], list[float]]:
    """Centers and sizes of columns (n, f); a column that never changes has size 1."""
    if scaler == "none":
        return [0.0] * numbers.shape[1], [1.0] * numbers.shape[1]
    if scaler == "minmax":
        center = np.nanmin(numbers, axis=0)
        size = np.nanmax(numbers, axis=0) - center
    else:
        center, size = np.nanmean(numbers, axis=0), np.nanstd(numbers, axis=0)
    return center.tolist(), np.where(size > 0, size, 1.0).tolist()


def scale_of(scales: Mapping[str, Scale], key: str) -> Scale:
    """Of a series that train had.

    Raises:
        InputError: it had none of this key.
    """
    if key not in scales:
        known = ", ".join(map(repr, list(scales)[:10]))
        raise InputError(
            f"series {key!r} was not in train, so its scale is not known; known are {known}; leave its rows out, or "
            "train with it"
        )
    return scales[key]
