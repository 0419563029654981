"""The time steps of series: numbers in the order of time, with what stood in the source and what did not.

Letters: n steps of all series, f inputs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

INSERTED = -1  # the id of a step that the source lacks


@dataclass(frozen=True)
class Steps:
    """Steps of one or more series, a series after the other, each in the order of time.

    Args:
        ids: row number of each step in the source, (n,).
        times: numbers, or dates as ISO text; they sort.
        series: key of each step; empty text where there is one series.
        inputs: (n, f), NaN where there is no value.
        target: (n,), likewise.
        observed: whether the target stood in the source, (n,): what was filled is no truth to score by.
        is_past: steps of an earlier split, which forecasts may read and that are not foretold, (n,).
        carried: further columns of the source.
        has_future: whether the steps after a window are known: False where a forecast begins after the last one.
    """

    ids: np.ndarray
    times: Sequence[Any]
    series: Sequence[str]
    inputs: np.ndarray
    target: np.ndarray
    observed: np.ndarray
    is_past: np.ndarray
    carried: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    has_future: bool = True

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, places: np.ndarray) -> "Steps":
        """Some of the steps, in the order given."""
        return replace(
            self,
            ids=self.ids[places],
            times=[self.times[i] for i in places],
            series=[self.series[i] for i in places],
            inputs=self.inputs[places],
            target=self.target[places],
            observed=self.observed[places],
            is_past=self.is_past[places],
            carried={name: [cells[i] for i in places] for name, cells in self.carried.items()},
        )

    def spans(self) -> Iterator[tuple[str, int, int]]:
        """Key, begin and end of each series."""
        keys = np.array(self.series, dtype=object)
        begins = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist()] if len(keys) else []
        for begin, end in zip(begins, [*begins[1:], len(keys)], strict=True):
            yield str(keys[begin]), begin, end

    def to_dataset(self) -> datasets.Dataset:
        """The steps as rows; without a future there is no column `observed`."""
        columns = {
            "id": pa.array(self.ids, pa.int64()),
            "time": pa.array(list(self.times)),
            "series": pa.array(list(self.series), pa.string()),
            "inputs": pa.array(list(self.inputs), pa.list_(pa.float64())),
            "target": pa.array(self.target, pa.float64()),
            "is_past": pa.array(self.is_past),
        }
        if self.has_future:
            columns["observed"] = pa.array(self.observed)
        return datasets.Dataset(pa.table({**columns, **{name: pa.array(c) for name, c in self.carried.items()}}))

    @classmethod
    def from_dataset(cls, rows: datasets.Dataset) -> "Steps":
        """What `to_dataset` made."""
        own = ("id", "time", "series", "inputs", "target", "is_past", "observed")
        columns = rows.with_format("arrow")[:]
        inputs = columns.column("inputs").combine_chunks()
        width = len(inputs[0]) if len(inputs) else 0
        has_future = "observed" in rows.column_names
        target = _array(columns, "target")
        return cls(
            ids=_array(columns, "id"),
            times=columns.column("time").to_pylist(),
            series=columns.column("series").to_pylist(),
            inputs=inputs.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(inputs), width),
            target=target.astype(np.float64),
            observed=_array(columns, "observed") if has_future else np.zeros(len(target), dtype=bool),
            is_past=_array(columns, "is_past"),
            carried={name: columns.column(name).to_pylist() for name in rows.column_names if name not in own},
            has_future=has_future,
        )


def _array(columns: pa.Table, name: str) -> np.ndarray:
    values: np.ndarray = columns.column(name).combine_chunks().to_numpy(zero_copy_only=False)
    return values


def joined(parts: Sequence[Steps]) -> Steps:
    """Steps of several splits as one, ordered by series, then by time."""
    first = parts[0]
    series = [key for part in parts for key in part.series]
    times = [time for part in parts for time in part.times]
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("ids", "inputs", "target", "observed", "is_past")
    }
    whole = replace(
        first,
        times=times,
        series=series,
        **arrays,
        carried={name: [cell for part in parts for cell in part.carried[name]] for name in first.carried},
    )
    return whole.take(np.array(sorted(range(len(times)), key=lambda i: (series[i], times[i])), dtype=np.int64))
