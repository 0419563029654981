"""Windows of a series: the steps that a forecast reads, and those that it predicts.

A window lies in one series of one split. Letters: n steps, m windows, t = lookback, h = horizon, f inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from llmtune.metrics.core.base import IGNORED
from llmtune.tasks.forecasting.scaling import Scale, scale_of
from llmtune.tasks.forecasting.steps import Steps


@dataclass(frozen=True)
class Windows:
    """m windows over some steps.

    Args:
        steps: n.
        first: place of the first step that each window predicts, (m,); n where it is after the last one.
        keys: series of each window.
        left_out: windows that are none for an empty cell in what they read, or an empty or filled one in what they
            predict.
        lookback: t.
        horizon: h.
        scales: by series.
        target_input: which of the inputs is the target; None where none is.
        predicts_change: whether the model predicts changes from the last value. The target among its inputs then
            counts from there too.
    """

    steps: Steps
    first: np.ndarray
    keys: tuple[str, ...]
    left_out: int
    lookback: int
    horizon: int
    scales: Mapping[str, Scale]
    target_input: int | None
    predicts_change: bool

    def __len__(self) -> int:
        return len(self.first)

    @property
    def last_values(self) -> np.ndarray:
        """The target at the last step that each window reads, (m,)."""
        return self.steps.target[self.first - 1]

    @property
    def targets(self) -> np.ndarray:
        """What comes, (m, h), in the target's unit."""
        return self.steps.target[self.first[:, None] + np.arange(self.horizon)]

    @property
    def past_targets(self) -> np.ndarray:
        """The target of the steps that each window reads, (m, t), in its unit."""
        return self.steps.target[self.first[:, None] + np.arange(-self.lookback, 0)]

    def past_values(self) -> np.ndarray:
        """What the model reads, scaled, float32 of shape (m, t, f)."""
        values = self.steps.inputs[self.first[:, None] + np.arange(-self.lookback, 0)]
        centers, sizes = (self._of_series(name)[:, None, :] for name in ("input_centers", "input_sizes"))
        if self.predicts_change and self.target_input is not None:
            centers = np.array(centers)
            centers[:, 0, self.target_input] = self.last_values
        return ((values - centers) / sizes).astype(np.float32)

    def labels(self) -> np.ndarray:
        """What the model shall say, scaled, float32 of shape (m, h)."""
        scaled = ((self.targets - self._origin) / self._size).astype(np.float32)
        # The Trainer takes this number for padding.
        return np.where(scaled == IGNORED, np.nextafter(np.float32(IGNORED), np.float32(0)), scaled)

    def to_unit(self, outputs: np.ndarray) -> np.ndarray:
        """What the model said, (m, h), in the target's unit."""
        return outputs.astype(np.float64).reshape(len(self), self.horizon) * self._size + self._origin

    def to_dataset(self) -> datasets.Dataset:
        """`past_values`, and `labels` where the steps after the windows are known."""
        columns = {"past_values": _nested(self.past_values())}
        if self.steps.has_future:
            columns["labels"] = _nested(self.labels())
        return datasets.Dataset(pa.table(columns))

    @cached_property
    def _origin(self) -> np.ndarray:
        return self.last_values[:, None] if self.predicts_change else self._of_series("target_center")[:, None]

    @cached_property
    def _size(self) -> np.ndarray:
        return self._of_series("change_size" if self.predicts_change else "target_size")[:, None]

    def _of_series(self, name: str) -> np.ndarray:
        scales = {key: scale_of(self.scales, key) for key in set(self.keys)}
        return np.array([getattr(scales[key], name) for key in self.keys], dtype=np.float64)


def make_windows(steps: Steps, *, lookback: int, horizon: int, **options: Any) -> Windows:
    """Every window of the steps, the next one a step later; of steps without a future the last one of each series.

    Args:
        steps: of one split.
        lookback: t.
        horizon: h.
        options: the other fields of `Windows`.
    """
    empty = np.isnan(steps.inputs).any(axis=1) | np.isnan(steps.target)
    empty_before = np.concatenate([[0], np.cumsum(empty)])
    untrue_before = np.concatenate([[0], np.cumsum(~steps.observed)])
    first: list[int] = []
    keys: list[str] = []
    left_out = 0
    for key, begin, end in steps.spans():
        begins = range(begin + lookback, end - horizon + 1) if steps.has_future else range(end, end + 1)
        for place in begins:
            if place - lookback < begin or (steps.has_future and steps.is_past[place]):
                continue
            reads_empty = empty_before[place] > empty_before[place - lookback]
            predicts = steps.has_future and untrue_before[place + horizon] > untrue_before[place]
            if reads_empty or predicts:
                left_out += 1
            else:
                first.append(place)
                keys.append(key)
    return Windows(steps, np.array(first, dtype=np.int64), tuple(keys), left_out, lookback, horizon, **options)


def _nested(values: np.ndarray) -> pa.Array:
    """An array of any number of axes as lists in lists."""
    nested = pa.array(values.ravel())
    for size in values.shape[:0:-1]:
        nested = pa.LargeListArray.from_arrays(np.arange(0, len(nested) + 1, size, dtype=np.int64), nested)
    return nested
