"""The plots of report.html: calibration, what training did step by step, numbers beside the actual ones."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from llmtune.diagnosis.headline import metric_in_words
from llmtune.report.judged_table import JudgedTable
from llmtune.report.number_plots import number_plots
from llmtune.report.plots import Axes, PagePlot, Series, interval_plot, line_plot
from llmtune.report.probabilities import RankedClass
from llmtune.stats import wilson_interval

SHARE = (0.0, 1.0)


def page_plots(report: JudgedTable) -> list[PagePlot]:
    """Those that the table and its run allow."""
    plots = [_calibration(report.calibration)] if report.calibration else []
    plots += _ranking(report.ranked_classes)
    is_of_numbers = "prediction" in report.test.kind.number_columns
    plots += _curves(report.run.get("training", {}), "scaled, squared" if is_of_numbers else "nats")
    if report.sentence_scores is not None:
        plots.append(_histogram(*report.sentence_scores))
    return plots + number_plots(report.test) if is_of_numbers else plots


def main_plot(report: JudgedTable) -> Markup:
    """The metric that decides with its interval, beside the simple models; empty where it has no value."""
    name = report.main_metric
    rows: list[tuple[str, float, float, float]] = []
    for model, scores in {"this model": report.scores, **report.baselines}.items():
        score = scores.get(name) if name is not None else None
        if score is not None and score.value is not None:
            value = score.value
            rows.append(
                (model, value, value if score.low is None else score.low, value if score.high is None else score.high)
            )
    if name is None or not rows or rows[0][0] != "this model":
        return Markup()
    low, high = report.ranges.get(name, (-math.inf, math.inf))
    least, most = min(row[2] for row in rows), max(row[3] for row in rows)
    room = (most - least) * 0.1 or abs(most) * 0.1 or 1.0
    # An axis that begins elsewhere than at the worst value exaggerates; where there is none, at the data.
    ends = (low if math.isfinite(low) else least - room, high if math.isfinite(high) else most + room)
    label = f"{metric_in_words(name, report.test)} with 95 % intervals"
    said = "; ".join(f"{model} {value:.3f} [{a:.3f}, {b:.3f}]" for model, value, a, b in rows)
    return Markup(interval_plot(f"{label}: {said}", rows, ends))


def _ranking(classes: Sequence[RankedClass]) -> list[PagePlot]:
    """How well the probabilities rank: ROC and precision over recall."""
    if not classes:
        return []
    names = [one.name for one in classes] if len(classes) > 1 else []
    each = " Each class against all others." if names else f" Positive is {classes[0].name}."
    roc = [Series(one.name, one.roc[0].tolist(), one.roc[1].tolist()) for one in classes]
    axes = Axes("Recall over the false positive rate", "false positive rate", "recall", SHARE, SHARE)
    caption = f"On the diagonal the ranking is chance.{each}"
    plots = [PagePlot("ROC", caption, Markup(line_plot(axes, roc, diagonal=True)), names)]
    if names:  # of two classes it stands beside the threshold's slider
        lines = [Series(one.name, *(ends.tolist() for ends in one.precision_recall)) for one in classes]
        axes = Axes("Precision over recall", "recall", "precision", SHARE, SHARE)
        plots.append(PagePlot("Precision and recall", each.strip(), Markup(line_plot(axes, lines)), names))
    return plots


def _histogram(name: str, scores: np.ndarray) -> PagePlot:
    counts, edges = np.histogram(scores, bins=20, range=(0.0, 100.0))
    xs = np.repeat(edges, 2).tolist()
    ys = [0.0, *np.repeat(counts, 2).astype(float).tolist(), 0.0]
    axes = Axes(f"Rows by their {name}", f"{name} of a row (0 to 100)", "rows", (0.0, 100.0))
    caption = f"Half of the rows are below {np.median(scores):.1f}; {int((scores == 0).sum()):,} have 0."
    return PagePlot(f"{name} by row", caption, Markup(line_plot(axes, [Series(name, xs, ys)])))


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
