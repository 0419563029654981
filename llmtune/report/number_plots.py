"""The plots of numbers and forecasts: predicted beside actual, over time with the interval, by step, what is read."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from llmtune.predictions import Predictions
from llmtune.report.plots import Axes, PagePlot, Series, line_plot

MOST_STEPS = 400  # of a line over time: the last ones
MOST_DOTS = 2_000  # of a scatter plot: more are a blot
MIDDLE = (0.05, 0.95)  # quantiles of the errors of a step
ATTENTION = (
    "attention_by_step"  # of the table's settings: mean weight of each step that a window reads, the first first
)


def number_plots(test: Predictions) -> list[PagePlot]:
    """Those that the table allows, of its rows whose numbers are finite."""
    test = _finite_rows(test)
    if not len(test):
        return []
    reference, prediction = (_matrix(test, name) for name in ("reference", "prediction"))
    plots = [_scatter(reference.ravel(), prediction.ravel())]
    if not test.has("time"):
        plots.append(_residuals(reference.ravel(), prediction.ravel()))
    if test.has("time") and len(test) > 1:
        plots.append(_over_time(test, reference, prediction))
    if reference.shape[1] > 1:
        plots.append(_by_step(prediction - reference))
    if weights := test.settings.get(ATTENTION):
        plots.append(_attention(weights))
    return plots


def _finite_rows(test: Predictions) -> Predictions:
    """Without the rows that the check `numerics` names: an axis can't reach infinity."""
    names = [name for name in ("reference", "prediction", "lower", "upper") if test.has(name)]
    finite = np.all([np.isfinite(_matrix(test, name)).all(axis=1) for name in names], axis=0)
    return test if finite.all() else replace(test, table=test.table.filter(pa.array(finite)))


def _matrix(test: Predictions, name: str) -> np.ndarray:
    return np.array(test.column(name), dtype=np.float64).reshape(len(test), -1)


def _scatter(actual: np.ndarray, predicted: np.ndarray) -> PagePlot:
    """Of a horizon every step is a dot."""
    thin = slice(None, None, max(1, -(-len(actual) // MOST_DOTS)))
    dots = Series("rows", actual[thin].tolist(), predicted[thin].tolist(), "points")
    ends = (min(*dots.xs, *dots.ys), max(*dots.xs, *dots.ys))
    ends = ends if ends[0] < ends[1] else (ends[0] - 1, ends[1] + 1)
    axes = Axes("Predicted over actual values", "actual", "predicted", ends, ends)
    drawing = Markup(line_plot(axes, [dots], diagonal=True))
    return PagePlot("Actual and predicted", "On the diagonal the prediction is exact.", drawing)


def _residuals(actual: np.ndarray, predicted: np.ndarray) -> PagePlot:
    """Actual less predicted, over what was predicted."""
    thin = slice(None, None, max(1, -(-len(actual) // MOST_DOTS)))
    dots = Series("rows", predicted[thin].tolist(), (actual - predicted)[thin].tolist(), "points")
    ends = [float(predicted.min()), float(predicted.max())]
    axes = Axes("Residuals over predicted values", "predicted", "actual - predicted")
    caption = (
        "Above 0 the prediction is too low. A slope or a bend says that the model is off in the same way each time; "
        f"half of the errors are below {np.median(np.abs(actual - predicted)):.3g}."
    )
    return PagePlot("Residuals", caption, Markup(line_plot(axes, [dots, Series("no error", ends, [0.0, 0.0])])))


def _over_time(test: Predictions, reference: np.ndarray, prediction: np.ndarray) -> PagePlot:
    """The first step of each horizon, of the first series where there are several."""
    times = test.column("time")
    keys = test.column("series") if test.has("series") else [""] * len(test)
    shown = [row for row in range(len(test)) if keys[row] == keys[0]]
    order = sorted(shown, key=times.__getitem__)[-MOST_STEPS:]
    places = [float(place) for place in range(len(order))]
    sides = (("actual", reference), ("predicted", prediction))
    lines = [Series(name, places, values[order, 0].tolist()) for name, values in sides]
    if test.has("lower") and test.has("upper"):
        ends = [_matrix(test, name)[order, 0].tolist() for name in ("lower", "upper")]
        level = test.settings.get("interval_level")
        name = "interval" if level is None else f"{100 * level:g} % interval"
        lines.append(Series(name, places, [], "band", list(zip(*ends, strict=True))))
    caption = f"The {len(order):,} rows from {times[order[0]]} to {times[order[-1]]}"
    caption += f", of series {keys[0]}" if len(set(keys)) > 1 else ""
    caption += "; of each the first step of its horizon." if reference.shape[1] > 1 else "."
    axes = Axes("Actual and predicted values over time", "row, by time", "value")
    return PagePlot("Over time", caption, Markup(line_plot(axes, lines)), [line.name for line in lines])


def _by_step(errors: np.ndarray) -> PagePlot:
    """Mean error (predicted less actual) of each step ahead, with the middle of its errors; errors (n, h)."""
    steps = [float(step) for step in range(1, errors.shape[1] + 1)]
    low, high = np.quantile(errors, MIDDLE, axis=0)
    bars = list(zip(low.tolist(), high.tolist(), strict=True))
    means = Series("mean error", steps, errors.mean(axis=0).tolist(), "both", bars)
    axes = Axes("Errors by the step ahead", "step ahead", "predicted - actual")
    caption = (
        "Mean of predicted less actual; bars hold 90 % of the errors. Off 0 the forecasts are too high or too low."
    )
    return PagePlot("Errors by step", caption, Markup(line_plot(axes, [means])))


def _attention(weights: Sequence[float]) -> PagePlot:
    before = [float(step - len(weights)) for step in range(len(weights))]
    axes = Axes("Attention over the steps read", "steps before the first one foretold", "mean weight")
    caption = f"The weights of a window sum to 1: all alike would be {1 / len(weights):.3g} each."
    return PagePlot("What the model attends to", caption, Markup(line_plot(axes, [Series("weight", before, weights)])))
