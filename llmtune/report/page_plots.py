"""The plots of report.html: calibration, what training did step by step, numbers beside the actual ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from llmtune.predictions.kinds import REGRESSION
from llmtune.report.judged_table import JudgedTable
from llmtune.report.number_plots import number_plots
from llmtune.report.plots import Axes, PagePlot, Series, line_plot
from llmtune.stats import wilson_interval

SHARE = (0.0, 1.0)


def page_plots(report: JudgedTable) -> list[PagePlot]:
    """Those that the table and its run allow."""
    plots = [_calibration(report.calibration)] if report.calibration else []
    is_of_numbers = report.test.kind == REGRESSION
    plots += _curves(report.run.get("training", {}), "scaled, squared" if is_of_numbers else "nats")
    return plots + number_plots(report.test) if is_of_numbers else plots


def _calibration(bins: Sequence[tuple[float, float, int]]) -> PagePlot:
    axes = Axes(
        "Observed frequency over predicted probability", "probability given", "observed frequency", SHARE, SHARE
    )
    caption = "On the diagonal a probability of 0.8 is right 8 times of 10. Bars: 95 % intervals. Rows in each bin: "
    caption += ", ".join(f"{n:,}" for _, _, n in bins) + "."
    intervals = [wilson_interval(round(frequency * n), n) for _, frequency, n in bins]
    bars = [(interval.low or 0.0, interval.high or 0.0) for interval in intervals]
    points = Series("model", [confidence for confidence, _, _ in bins], [y for _, y, _ in bins], "points", bars)
    return PagePlot("Calibration", caption, Markup(line_plot(axes, [points], diagonal=True)))


def _curves(training: Mapping[str, Any], unit: str) -> list[PagePlot]:
    """Losses of train and validation, in a unit, and the metric that chose the checkpoint; none of one evaluation."""
    evaluations = training.get("evaluations", [])
    if len(evaluations) < 2:
        return []
    kept_weights = training.get("kept", {"step": None, "chosen": False})
    step = kept_weights["step"]
    caption = f"Validation chose step {step}."
    if not kept_weights["chosen"]:
        caption = f"The last weights, of step {step}, were kept."
    chosen: Mapping[str, Any] = next((evaluation for evaluation in evaluations if evaluation["step"] == step), {})
    metric = (training.get("best_checkpoint") or {}).get("metric", "")
    plots = [_loss_plot(evaluations, chosen, caption, unit), _metric_plot(metric, evaluations, chosen, caption)]
    return [plot for plot in plots if plot is not None]


def _loss_plot(
    evaluations: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any], caption: str, unit: str
) -> PagePlot | None:
    lines = []
    for side in ("train", "validation"):
        losses = {one["step"]: one["curves"][side]["loss"] for one in evaluations if "curves" in one}
        points = {step: loss for step, loss in losses.items() if loss is not None}
        if points:
            lines.append(Series(side, list(points), list(points.values()), "both"))
    if not lines:
        return None
    axes = Axes("Loss of train and validation over the optimizer steps", "optimizer step", f"loss ({unit})")
    loss = chosen["curves"]["validation"]["loss"] if "curves" in chosen else None
    drawing = line_plot(axes, lines, marked=None if loss is None else (chosen["step"], loss))
    caption = f"{caption} Both curves in evaluation mode."
    return PagePlot("Loss", caption, Markup(drawing), [line.name for line in lines])


def _metric_plot(
    metric: str, evaluations: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any], caption: str
) -> PagePlot | None:
    key = f"eval_{metric}"
    points = {one["step"]: one[key] for one in evaluations if key in one and not isinstance(one[key], str)}
    if metric in ("", "loss") or len(points) < 2:
        return None
    axes = Axes(f"{metric} on validation over the optimizer steps", "optimizer step", f"{metric} (validation)")
    line = Series(metric, list(points), list(points.values()), "both")
    drawing = line_plot(axes, [line], marked=(chosen["step"], chosen[key]) if key in chosen else None)
    return PagePlot(f"{metric} on validation", caption, Markup(drawing))
