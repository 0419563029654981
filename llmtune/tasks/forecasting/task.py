"""Forecasting: the last t steps of a series, f inputs each → its next h values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import datasets
import numpy as np
from transformers import AutoModelForTimeSeriesPrediction

from llmtune.arguments import DataArguments
from llmtune.arguments.data import SPLITS
from llmtune.arguments.parser import Arguments
from llmtune.data import Fingerprint
from llmtune.diagnosis.leakage import Examples
from llmtune.errors import InputError
from llmtune.metrics import Score
from llmtune.metrics.core.base import with_interval
from llmtune.models.families import families_serving
from llmtune.models.loaded import LoadedModel
from llmtune.predictions import Predictions, make_predictions
from llmtune.tasks.forecasting import simple
from llmtune.tasks.forecasting.arguments import ForecastingArguments
from llmtune.tasks.forecasting.collator import collate_windows
from llmtune.tasks.forecasting.rows import SeriesColumns
from llmtune.tasks.forecasting.scaling import Scale, fit_scales, scale_of
from llmtune.tasks.forecasting.splits import SeriesSplits, load_series, load_steps
from llmtune.tasks.forecasting.steps import Steps
from llmtune.tasks.forecasting.windows import Windows, make_windows
from llmtune.tasks.losses import RegressionLoss
from llmtune.tasks.task import Encoded, Task


@dataclass(frozen=True)
class Forecasting(Task):
    """What a forecaster does to series and to outputs.

    Args:
        columns: of the series, under the user's names.
        lookback: t.
        horizon: h.
        scales: of each series, fitted on train.
        predict_change: whether outputs are changes from the last known value.
        fill: what becomes of gaps: none, values or steps.
        season: steps of a season; None where none was named.
        naive_mae: the error of the naive forecast on train, for MASE.
        interval_level: coverage that the prediction intervals aim at, 0 to 1.
        interval_widths: of each step of the horizon the half width, in units of the series' size of the target (or of
            its change); chosen by `tune`, empty where validation is too short to tell.
    """

    columns: SeriesColumns
    lookback: int
    horizon: int
    scales: Mapping[str, Scale]
    predict_change: bool = False
    fill: str = "none"
    season: int | None = None
    naive_mae: float | None = None
    interval_level: float = 0.9
    interval_widths: tuple[float, ...] = ()

    name = "forecasting"
    kind = "regression"
    auto_model = AutoModelForTimeSeriesPrediction
    families = families_serving("forecasting")
    reads_labels = False
    reads_text = False
    answers_rows = False

    @property
    def deciding_metric(self) -> str:
        """RMSE, in the unit of the target."""
        return "rmse"

    @property
    def max_length(self) -> int:
        """Steps that the model reads."""
        return self.lookback

    @classmethod
    def read(cls, args: Arguments) -> SeriesSplits:
        """Steps of each split, cut in time."""
        options = args.task
        return load_series(
            args.data,
            options.columns,
            fill=options.fill,
            lookback=options.lookback,
            past_across_splits=options.past_across_splits,
        )

    @classmethod
    def _make(cls, args: Arguments, splits: SeriesSplits) -> "Forecasting":
        task = cls.from_options(args.task, splits.steps["train"])
        for split in SPLITS:
            task.windows(splits[split], split)  # too short a split is told before anything else is made of it
        return task

    @classmethod
    def from_options(cls, options: ForecastingArguments, train: Steps) -> "Forecasting":
        """The task for the series of train.

        Raises:
            InputError: a scaler that is none, or a series without numbers.
        """
        task = cls(
            columns=options.columns,
            lookback=options.lookback,
            horizon=options.horizon,
            scales=fit_scales(train, options.scaler),
            predict_change=options.predict_change,
            fill=options.fill,
            season=options.season,
            interval_level=options.interval_level,
        )
        return replace(task, naive_mae=simple.naive_mae(train, options.season or 1))

    @classmethod
    def from_config(cls, config: Any, name: str) -> "Forecasting":
        """The task that a trained model's config describes.

        Raises:
            InputError: the config holds no scales.
        """
        kept = config.to_dict().get("llmtune", {})
        if "scales" not in kept:
            raise InputError(f"{name}: its config holds no scales of series; give a run of recipes/forecasting.py")
        columns = SeriesColumns(**{**kept["columns"], "inputs": tuple(kept["columns"]["inputs"])})
        scales = {
            key: Scale(**{name: _frozen(value) for name, value in one.items()}) for key, one in kept["scales"].items()
        }
        rest = {name: _frozen(kept[name]) for name in KEPT}
        return cls(columns=columns, scales=scales, **rest)

    def to_config(self) -> dict[str, Any]:
        """What the model's config keeps, so that prediction does what evaluation did."""
        return {
            "task": self.name,
            "columns": {**vars(self.columns), "inputs": list(self.columns.inputs)},
            "scales": {key: scale.to_json() for key, scale in self.scales.items()},
            **{name: getattr(self, name) for name in KEPT},
            "interval_widths": list(self.interval_widths),
        }

    def head_config(self) -> dict[str, Any]:
        """Config values that size the model."""
        return {"num_features": len(self.columns.inputs), "lookback": self.lookback, "horizon": self.horizon}

    def for_model(self, loaded: LoadedModel) -> "Forecasting":
        """The task as it is: the model was sized for it."""
        return self

    def input_columns(self, columns: Mapping[str, str]) -> dict[str, str]:
        """None that holds texts: an empty cell is a value that is missing, and is filled as the model was told."""
        return {}

    def read_split(
        self, data: DataArguments, columns: Mapping[str, str], *, labeled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """The steps of a file, under the names that the model was trained with."""
        steps, fingerprint = load_steps(data, self.columns, fill=self.fill, labeled=labeled)
        for key in dict.fromkeys(steps.series):
            scale_of(self.scales, key)
        return steps.to_dataset(), fingerprint

    def train_texts(self, splits: SeriesSplits) -> list[str]:
        """None: numbers need no tokenizer."""
        return []

    def windows(self, rows: datasets.Dataset, split: str = "test") -> Windows:
        """The windows of a split's steps.

        Raises:
            InputError: not one window fits.
        """
        inputs = self.columns.inputs
        windows = make_windows(
            Steps.from_dataset(rows),
            lookback=self.lookback,
            horizon=self.horizon,
            scales=self.scales,
            target_input=inputs.index(self.columns.target) if self.columns.target in inputs else None,
            predicts_change=self.predict_change,
        )
        if not len(windows):
            asked = f"--lookback {self.lookback}"
            asked += f" and --horizon {self.horizon}" if windows.steps.has_future else ""
            raise InputError(
                f"{split}: {asked} fit no window into its {len(rows):,} steps ({windows.left_out:,} windows were left "
                "out for empty cells); lower them, give more steps (--validation_fraction, --test_fraction), let "
                "windows read the split before with --past_across_splits, or fill gaps with --fill values"
            )
        return windows

    def encode(self, rows: datasets.Dataset, tokenizer: Any, split: str = "test") -> Encoded:
        """Windows: `past_values` (m, t, f), and where the steps after them are known `labels` (m, h).

        Raises:
            InputError: not one window fits.
        """
        windows = self.windows(rows, split)
        facts = {"windows": len(windows), "windows_left_out": windows.left_out}
        notes = [
            f"{len(windows):,} windows of {self.lookback} steps"
            + (f", {windows.left_out:,} left out for gaps" if windows.left_out else "")
        ]
        return Encoded(rows, windows.to_dataset(), split, tokenizer, facts, notes, windows)

    def data_collator(self, tokenizer: Any, model: Any = None) -> Any:
        """Stacks windows, which are all of one length."""
        return collate_windows

    def loss(self, args: Arguments, splits: SeriesSplits) -> RegressionLoss:
        """Of the scaled target."""
        if args.training.label_smoothing_factor:
            raise InputError(
                f"--label_smoothing_factor {args.training.label_smoothing_factor}: numbers have no classes to smooth "
                "over; leave it out"
            )
        return RegressionLoss(args.task.loss)

    def reduce_logits(self, logits: Any, labels: Any) -> Any:
        """The forecasts (m, h), scaled; of a model with several outputs its first."""
        return (logits[0] if isinstance(logits, tuple) else logits).float()

    def tabulate(self, outputs: Any, encoded: Encoded) -> Predictions:
        """A row a window: what came and what was foretold, in the target's unit, at the time of the first step."""
        windows: Windows = encoded.index
        return self.table(windows, windows.to_unit(outputs), encoded.split)

    def table(self, windows: Windows, forecasts: np.ndarray, split: str) -> Predictions:
        """Of forecasts (m, h) in the target's unit; no intervals on validation, whose errors made them."""
        steps = windows.steps
        columns = {"reference": windows.targets, "prediction": forecasts}
        if self.interval_widths and split != "validation":
            half = self.half_widths(windows)
            columns |= {"lower": forecasts - half, "upper": forecasts + half}
        cells: dict[str, Any] = {name: _cells(values) for name, values in columns.items()}
        cells |= {"time": [steps.times[place] for place in windows.first], "last_value": windows.last_values}
        carried: dict[str, Any] = {"id": steps.ids[windows.first]}
        carried |= {} if self.columns.series is None else {"series": windows.keys}
        carried |= {name: [column[place] for place in windows.first] for name, column in steps.carried.items()}
        return make_predictions(self.kind, cells, carried=carried, split=split, settings=self.settings())

    def settings(self, **more: Any) -> dict[str, Any]:
        """Of a table: what metrics and checks need beyond its columns."""
        known: dict[str, Any] = {"task": self.name, "interval_level": self.interval_level}
        if self.naive_mae is not None:
            known |= {"naive_mae": self.naive_mae}
        if not self.predict_change and len(self.scales) == 1:
            known["target_size"] = next(iter(self.scales.values())).target_size
        return super().settings(**known, **more)

    def half_widths(self, windows: Windows) -> np.ndarray:
        """Of the prediction intervals, (m, h), in the target's unit."""
        return np.array(self.interval_widths) * self._sizes(windows.keys)[:, None]

    def _sizes(self, keys: Sequence[str]) -> np.ndarray:
        name = "change_size" if self.predict_change else "target_size"
        return np.array([getattr(self.scales[key], name) for key in keys])

    def predicted_columns(self, outputs: Any, encoded: Encoded) -> tuple[dict[str, list[Any]], list[str]]:
        """`horizon` rows a series, after its last step: `step` counts from 1, `prediction`, `lower` and `upper`."""
        windows: Windows = encoded.index
        forecasts = windows.to_unit(outputs)
        h = self.horizon
        columns: dict[str, list[Any]] = {}
        if self.columns.series is not None:
            columns["series"] = [key for key in windows.keys for _ in range(h)]
        columns["after"] = [windows.steps.times[place - 1] for place in windows.first for _ in range(h)]
        columns |= {"step": list(range(1, h + 1)) * len(windows), "prediction": forecasts.ravel().tolist()}
        lines = [f"{h} step{'' if h == 1 else 's'} after the last one of {len(windows):,} series"]
        if self.interval_widths:
            half = self.half_widths(windows)
            columns |= {"lower": (forecasts - half).ravel().tolist(), "upper": (forecasts + half).ravel().tolist()}
            lines.append(f"lower and upper: {self.interval_level:.0%} intervals, of the errors on validation")
        return columns, lines

    def tune(self, validation: Predictions, *, seed: int) -> "Forecasting":
        """The task with the widths of its intervals: split conformal (Vovk et al. 2005) on the errors on validation."""
        reference, prediction = (_matrix(validation.column(name)) for name in ("reference", "prediction"))
        keys = validation.column("series") if validation.has("series") else [""] * len(validation)
        errors = np.abs(reference - prediction) / self._sizes(keys)[:, None]
        rank = math.ceil((len(errors) + 1) * self.interval_level)
        is_enough = rank <= len(errors) and np.isfinite(errors).all()
        return replace(self, interval_widths=tuple(np.sort(errors, axis=0)[rank - 1].tolist()) if is_enough else ())

    def example_table(self, rows: datasets.Dataset | None = None) -> Predictions:
        """The windows of a split, or one made up, all foretold right."""
        if rows is not None:
            windows = self.windows(rows)
            return self.table(windows, windows.targets, "test")
        values = np.arange(2.0 * self.horizon).reshape(2, self.horizon)
        cells: dict[str, Any] = {name: _cells(values) for name in ("reference", "prediction", "lower", "upper")}
        return make_predictions(
            self.kind, {**cells, "time": [0, 1], "last_value": [-1.0, 0.5]}, settings=self.settings()
        )

    def baselines(self, splits: SeriesSplits, test: Predictions) -> dict[str, Predictions]:
        """Persistence, seasonal naive (where a season was named), drift, and ridge on the same windows."""
        windows, train = self.windows(splits["test"]), self.windows(splits["train"])
        forecasts = {"persistence": simple.persistence(windows), "drift": simple.drift(windows, train)}
        if self.season is not None:
            forecasts[f"seasonal naive ({self.season})"] = simple.seasonal_naive(windows, self.season)
        forecasts["ridge"] = simple.ridge(windows, train)
        plain = replace(self, interval_widths=())  # the intervals are the model's
        return {name: plain.table(windows, values, test.split) for name, values in forecasts.items()}

    def leakage_examples(self, rows: datasets.Dataset, data: DataArguments) -> Examples:
        """Series and times: a step must stand in one split, and train's before all others."""
        steps = Steps.from_dataset(rows)
        own = steps.take(np.flatnonzero(~steps.is_past))
        texts = [f"{key} {time}" for key, time in zip(own.series, own.times, strict=True)]
        return Examples(texts, times=own.times, row_ids=own.ids.tolist())

    def summary(self, splits: SeriesSplits, encoded: Mapping[str, Encoded]) -> list[str]:
        """Steps and windows of each split, its times, and what is missing."""
        lines = [
            f"{split:<11}{said['rows']:>8,} steps, {said['first']} to {said['last']}: "
            f"{'; '.join(encoded[split].notes)}; {said['made']}"
            for split, said in splits.describe().items()
        ]
        kind = "changes of" if self.predict_change else ""
        inputs = ", ".join(self.columns.inputs)
        lines.append(
            f"{inputs} of {self.lookback} steps → {kind} {self.columns.target} of {self.horizon}".replace("  ", " ")
        )
        several = len(splits.gaps) > 1
        return lines + [
            f"{source}: {line}" if several else line for source, gaps in splits.gaps.items() for line in gaps.lines()
        ]

    def run_facts(self, predictions: Mapping[str, Predictions], *, seed: int) -> dict[str, Any]:
        """The prediction intervals."""
        return {"intervals": {"level": self.interval_level, "half_widths": list(self.interval_widths)}}

    def notes(self, test: Predictions, scores: Mapping[str, Score], facts: Mapping[str, Any]) -> list[str]:
        """How series are compared, and what the intervals cover."""
        notes = ["brackets and paired tests by a block bootstrap over time: errors of neighboring steps are alike"]
        if "coverage" in scores:
            covered = with_interval(scores["coverage"])
            notes.append(f"{self.interval_level:.0%} prediction intervals cover {covered} of test")
        return notes

    def cautions(self, test: Predictions, facts: Mapping[str, Any]) -> list[str]:
        """Intervals that are not there."""
        if self.interval_widths:
            return []
        return [
            f"validation is too short for prediction intervals of {self.interval_level:.0%}: give a longer one "
            "(--validation_fraction), or lower --interval_level"
        ]


KEPT = ("lookback", "horizon", "predict_change", "fill", "season", "naive_mae", "interval_level", "interval_widths")


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _cells(values: np.ndarray) -> Any:
    """Numbers where the horizon is one step, else lists."""
    return values[:, 0] if values.shape[1] == 1 else values


def _matrix(cells: Sequence[Any]) -> np.ndarray:
    return np.array(cells, dtype=np.float64).reshape(len(cells), -1)
