"""Arguments of forecasting: columns, windows, scaling and what is asked of gaps."""

from dataclasses import dataclass, field

from llmtune.errors import InputError
from llmtune.tasks.arguments import TaskArguments
from llmtune.tasks.forecasting.rows import SeriesColumns


@dataclass
class ForecastingArguments(TaskArguments):
    """What a forecaster reads and how it is judged.

    Attributes:
        columns: of the series; the target alone is the input where none is named.
    """

    time_column: str = field(default="time", metadata={"help": "dates as 2018-02-07 (with a time or not), or numbers"})
    target_column: str = field(default="target", metadata={"help": "the number to predict"})
    input_columns: list[str] = field(
        default_factory=list,
        metadata={"help": "the numbers of a step that the model reads; default the target alone"},
    )
    series_column: str | None = field(
        default=None, metadata={"help": "of several series in one file: the key that tells them apart"}
    )
    lookback: int = field(default=60, metadata={"help": "steps that a forecast reads"})
    horizon: int = field(default=1, metadata={"help": "steps that it predicts"})
    past_across_splits: bool = field(
        default=False,
        metadata={
            "help": "the first forecasts of validation and test read the last steps of the split before, as in use; "
            "without it they begin a lookback later"
        },
    )
    scaler: str = field(
        default="standard", metadata={"help": "standard, minmax or none; of each series, fitted on its train steps"}
    )
    predict_change: bool = field(
        default=False,
        metadata={"help": "predict the change from the last known value, not the level; 0 is then persistence"},
    )
    fill: str = field(
        default="none",
        metadata={
            "help": "none: gaps are counted, windows with an empty cell left out; values: an empty cell takes the last "
            "value known; steps: missing steps are inserted likewise. What was filled is never scored"
        },
    )
    season: int | None = field(
        default=None, metadata={"help": "steps of a season, for the seasonal naive forecast and for MASE"}
    )
    loss: str = field(default="mse", metadata={"help": "mse, mae or huber, of the scaled target"})
    interval_level: float = field(
        default=0.9, metadata={"help": "coverage that the prediction intervals aim at (split conformal, on validation)"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.season is not None and self.season > self.lookback:
            raise InputError(
                f"--season {self.season}: is longer than --lookback {self.lookback}, so no window holds the value of a "
                "season before; raise --lookback, or leave --season out"
            )
        inputs = tuple(self.input_columns) or (self.target_column,)
        repeated = next((name for name in inputs if inputs.count(name) > 1), None)
        if repeated is not None:
            raise InputError(f"--input_columns: {repeated!r} is named twice; name each input once")
        self.columns = SeriesColumns(self.time_column, self.target_column, inputs, self.series_column)
