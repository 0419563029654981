"""Train, validation and test of series: cut in time, the same time for every series, never shuffled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import datasets
import numpy as np

from llmtune.arguments import DataArguments
from llmtune.arguments.data import SPLITS
from llmtune.data import Fingerprint
from llmtune.data.splits import fingerprint_cells, open_sources
from llmtune.errors import InputError
from llmtune.tasks.forecasting.rows import Gaps, SeriesColumns, read_steps
from llmtune.tasks.forecasting.steps import Steps, joined

# What is drawn or grouped by row elsewhere; a series is cut by time alone.
BY_ROW = ("fold", "split_group_column", "max_train_samples", "max_eval_samples")


@dataclass(frozen=True)
class SeriesSplits:
    """The steps of each split as rows (`Steps.to_dataset`), and how they came about.

    Args:
        steps: by split; those of an earlier split that its forecasts may read stand before its own.
        fingerprints: by split.
        made: by split, in words.
        gaps: by source.
        columns: of the sources.
    """

    steps: Mapping[str, Steps]
    fingerprints: Mapping[str, Fingerprint]
    made: Mapping[str, str]
    gaps: Mapping[str, Gaps]
    columns: SeriesColumns

    def __getitem__(self, split: str) -> datasets.Dataset:
        return self.steps[split].to_dataset()

    def describe(self) -> dict[str, dict[str, Any]]:
        """By split: rows, first and last time, made, source, sha256. JSON values."""
        return {
            split: {
                "rows": self.fingerprints[split].rows,
                "series": len(set(steps.series)),
                "first": min(_own(steps).times),
                "last": max(_own(steps).times),
                "made": self.made[split],
                "source": self.fingerprints[split].source,
                "sha256": self.fingerprints[split].sha256,
            }
            for split, steps in self.steps.items()
        }


def load_series(
    data: DataArguments, columns: SeriesColumns, *, fill: str, lookback: int, past_across_splits: bool
) -> SeriesSplits:
    """Reads what `data` names; what is missing of validation and test is the last part of train, in time.

    Args:
        data: files or a data set, and the fractions.
        columns: of every source.
        fill: as `read_steps` takes it.
        lookback: steps of the splits before that are kept with validation and test.
        past_across_splits: whether they are.

    Raises:
        InputError: anything in the data that would make a result wrong.
    """
    refuse_rows(data)
    sources = open_sources(data)
    if "train" not in sources:
        raise InputError(f"no train split: found {sorted(sources)}; give --train_file, or a data set that has one")
    if "test" not in sources and "validation" in sources:
        raise InputError(
            "--validation_file without --test_file: the test steps must be after those of validation; give both, or "
            "train alone, whose last steps are then held out"
        )
    parts, gaps = {}, {}
    for split, rows in sources.items():
        parts[split], gaps[split] = read_steps(rows, columns, data=data, fill=fill)
    made = dict.fromkeys(sources, "as given")
    missing = [split for split in ("test", "validation") if split not in sources]
    for split in missing:  # the last steps are those of test
        fraction = getattr(data, f"{split}_fraction")
        share = fraction / (1 - sum(getattr(data, f"{name}_fraction") for name in missing[: missing.index(split)]))
        parts["train"], parts[split], begin = _cut(parts["train"], split, fraction, share)
        made[split] = f"the steps from {begin} on"
        made["train"] = "what is before them"
    names = {split: sources.get(split, sources["train"]).source for split in SPLITS}
    fingerprints = {split: _fingerprint(parts[split], names[split]) for split in SPLITS}
    if past_across_splits:
        own = dict(parts)
        for split, before in (("validation", ["train"]), ("test", ["train", "validation"])):
            parts[split] = _with_past(own[split], [own[name] for name in before], lookback)
            made[split] += f", read with up to {lookback} steps before them"
    return SeriesSplits({split: parts[split] for split in SPLITS}, fingerprints, made, gaps, columns)


def load_steps(data: DataArguments, columns: SeriesColumns, *, fill: str, labeled: bool) -> tuple[Steps, Fingerprint]:
    """The test split alone; unlabeled, what comes after its steps is foretold.

    Raises:
        InputError: no such split, or something wrong in it.
    """
    refuse_rows(data)
    sources = open_sources(data, "test")
    if "test" not in sources:
        raise InputError(f"no test split among {sorted(sources)}: a trained forecaster reads one; give --test_file")
    steps, _ = read_steps(sources["test"], columns, data=data, fill=fill, has_future=labeled)
    return steps, _fingerprint(steps, sources["test"].source)


def refuse_rows(data: DataArguments) -> None:
    """Raises InputError for arguments that pick rows one by one."""
    for name in BY_ROW:
        if getattr(data, name) is not None:
            raise InputError(
                f"--{name} {getattr(data, name)}: picks rows, and a series is cut in time alone; leave it out, and use "
                "--validation_fraction and --test_fraction"
            )


def _cut(train: Steps, split: str, fraction: float, share: float) -> tuple[Steps, Steps, Any]:
    """Steps before the last `share` of the times, those after, and the first time of these."""
    times = sorted(set(train.times))
    count = round(share * len(times)) if 0 < fraction < 1 and 0 < share < 1 else 0
    if not 0 < count < len(times):
        raise InputError(
            f"--{split}_fraction {fraction}: of {len(times):,} times in train it takes {count:,}, expected 1 or more "
            f"and a rest; change it, or give --{split}_file"
        )
    begin = times[-count]
    late = np.array([time >= begin for time in train.times])
    return train.take(np.flatnonzero(~late)), train.take(np.flatnonzero(late)), begin


def _with_past(steps: Steps, before: Sequence[Steps], lookback: int) -> Steps:
    """The steps with the last ones of each series in earlier splits, which are marked as past."""
    earlier = joined(before)
    places = [place for _, begin, end in earlier.spans() for place in range(max(begin, end - lookback), end)]
    past = earlier.take(np.array(places, dtype=np.int64))
    return joined([replace(past, is_past=np.ones(len(past), dtype=bool)), steps])


def _own(steps: Steps) -> Steps:
    return steps.take(np.flatnonzero(~steps.is_past))


def _fingerprint(steps: Steps, source: str) -> Fingerprint:
    cells = {"time": steps.times, "series": steps.series}
    return fingerprint_cells({**cells, "inputs": steps.inputs.tolist(), "target": steps.target.tolist()}, source)
