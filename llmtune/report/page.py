"""report.html: one file that needs no network, made from a `Report`."""

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS
from llmtune.diagnosis.verdict import INFORMING
from llmtune.metrics.core.base import with_interval
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import REGRESSION
from llmtune.report.error_examples import examples_of
from llmtune.report.plots import Axes, Series, line_plot
from llmtune.report.report import Report, calibration_bins, entities_in, matrix_of, parts_of, slider_of
from llmtune.report.slices import slices_of
from llmtune.runs.folder import write_text
from llmtune.runs.redact import public
from llmtune.stats import wilson_interval

STATUS = {PASS: "passed", FAIL: "failed", NOT_ENOUGH_DATA: "too little data", NOT_APPLICABLE: "not checked"}
MOST_STEPS = 400  # of a line over time: the last ones
MOST_DOTS = 2_000  # of a scatter plot: more are a blot
NOT_ARGUMENTS = ("output_dir", "overwrite", "resume_from_checkpoint")


def write_page(folder: Path, report: Report, *, no_examples: bool = False) -> Path:
    """Writes report.html.

    Args:
        folder: where.
        report: what.
        no_examples: leave the texts of the rows out.
    """
    path = folder / "report.html"
    write_text(path, render_page(report, no_examples=no_examples))
    return path


def render_page(report: Report, *, no_examples: bool = False) -> str:
    """The page as text."""
    test, comparison = report.test, entities_in(report.test)
    data = report.arguments("data")
    groups = [*data.get("group_columns", ()), *data.get("slice_columns", ())]
    slider = _slider(report)
    return render(
        "report.html.j2",
        script="" if slider["slider"] is None else _part("report.js"),
        report=report,
        title=f"{report.name}: {test.kind.display_name.lower()}",
        sentence=public(report.verdict.sentence) if report.verdict else "No verdict was asked for.",
        word=report.verdict.verdict if report.verdict else "none",
        checks=_checks(report),
        headlines=[
            (name, with_interval(report.scores[name]), [_beside(of.get(name)) for of in report.baselines.values()])
            for name in report.headlines
        ],
        reasons=_reasons(report),
        matrix=matrix_of(test, comparison),
        parts=parts_of(report.scores),
        slices=slices_of(test, groups),
        plots=_plots(report),
        **slider,
        examples=[] if no_examples else examples_of(test, comparison),
        facts=_facts(report),
        config=_config(report),
        with_interval=with_interval,
    )


def render(template: str, *, script: str = "", **content: Any) -> str:
    """A page of its own: the styles, and a script that the page's policy knows by its hash, stand inside."""
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(_part("report.css")),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() if script else "",
            **content,
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("llmtune.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _part(name: str) -> str:
    return (files("llmtune.report") / "templates" / name).read_text(encoding="utf-8")


def _beside(score: Any) -> str:
    return "" if score is None else with_interval(score)


def _checks(report: Report) -> list[dict[str, str]]:
    """What decided first, then what else is wrong, what passed, and what was not checked."""
    if report.verdict is None:
        return []
    order = (FAIL, NOT_ENOUGH_DATA, PASS, NOT_APPLICABLE)
    found = sorted(report.verdict.checks, key=lambda check: order.index(check.status))
    return [
        {
            "name": check.check.replace("_", " "),
            "status": check.status,
            "said": STATUS[check.status] + (" (for information)" if check.check in INFORMING else ""),
            "finding": public(check.finding),
            "remedy": public(check.remedy) if check.status != PASS else "",
        }
        for check in found
    ]


def _reasons(report: Report) -> list[str]:
    """Why a headline has no value or no interval."""
    return [f"{name}: {reason}" for name in report.headlines if (reason := report.scores[name].reason)]


def _slider(report: Report) -> dict[str, Any]:
    slider, test = slider_of(report.test), report.test
    if slider is None:
        return {"slider": None}
    names = test.label_names
    here = slider.chosen
    hits, alarms = int(slider.hits[here]), int(slider.alarms[here])
    recall = hits / max(1, slider.positives)
    precision = hits / max(1, hits + alarms)
    axes = Axes(
        f"Precision over recall of {names[test.positive_id]}; the point is the threshold", "recall", "precision",
        (0.0, 1.0), (0.0, 1.0),
    )  # fmt: skip
    curve = Series("model", slider.curve[0].tolist(), slider.curve[1].tolist())
    numbers = {
        "thresholds": [float(f"{threshold:.9g}") for threshold in slider.thresholds],
        "hits": slider.hits.tolist(),
        "alarms": slider.alarms.tolist(),
        "positives": slider.positives,
        "negatives": slider.negatives,
    }
    return {
        "slider": slider,
        "positive": names[test.positive_id],
        "negative": names[1 - test.positive_id],
        "counts": (hits, slider.positives - hits, alarms, slider.negatives - alarms),
        "at_threshold": (precision, recall, 2 * hits / max(1, hits + alarms + slider.positives)),
        "threshold_reason": (report.run.get("threshold") or {}).get("reason", ""),
        "curve": Markup(line_plot(axes, [curve], marked=(recall, precision))),
        "numbers": Markup(json.dumps(numbers, separators=(",", ":"))),
    }


def _plots(report: Report) -> list[tuple[str, str, Markup, list[str]]]:
    """Each plot's heading, the sentence below, the drawing and the names of its lines."""
    found: list[tuple[str, str, Markup, list[str]]] = []
    bins = calibration_bins(report.test)
    if bins:
        title = "Observed frequency over predicted probability"
        axes = Axes(title, "probability given", "observed frequency", (0.0, 1.0), (0.0, 1.0))
        said = "On the diagonal a probability of 0.8 is right 8 times of 10. Bars: 95 % intervals. Rows in each bin: "
        said += ", ".join(f"{n:,}" for _, _, n in bins) + "."
        bars = [
            (found.low or 0.0, found.high or 0.0)
            for _, hits, n in bins
            for found in [wilson_interval(round(hits * n), n)]
        ]
        line = Series("model", [bin[0] for bin in bins], [bin[1] for bin in bins], "points", bars)
        found.append(("Calibration", said, Markup(line_plot(axes, [line], diagonal=True)), []))
    found += _curves(report)
    if report.test.kind == REGRESSION:
        found += _numbers_plots(report.test)
    return found


def _numbers_plots(test: Predictions) -> list[tuple[str, str, Markup, list[str]]]:
    """Predicted over actual values, and both over time where the table has it."""
    rows = list(zip(test.column("reference"), test.column("prediction"), strict=True))
    pairs = [
        pair for row in rows for pair in (zip(*row, strict=True) if isinstance(row[0], list) else [row])
    ]  # of a horizon every step
    pairs = pairs[:: max(1, -(-len(pairs) // MOST_DOTS))]
    ends = (min(map(min, pairs)), max(map(max, pairs)))
    ends = ends if ends[0] < ends[1] else (ends[0] - 1, ends[1] + 1)
    axes = Axes("Predicted over actual values", "actual", "predicted", ends, ends)
    dots = Series("rows", [a for a, _ in pairs], [b for _, b in pairs], "points")
    found: list[tuple[str, str, Markup, list[str]]] = [
        ("Actual and predicted", "On the diagonal the prediction is exact.",
         Markup(line_plot(axes, [dots], diagonal=True)), [])
    ]  # fmt: skip
    if not test.has("time") or len(rows) < 2:
        return found
    times = test.column("time")
    order = sorted(range(len(rows)), key=times.__getitem__)[-MOST_STEPS:]
    first = [rows[i] if not isinstance(rows[i][0], list) else (rows[i][0][0], rows[i][1][0]) for i in order]
    places = [float(place) for place in range(len(order))]
    lines = [Series(name, places, [row[side] for row in first]) for side, name in enumerate(("actual", "predicted"))]
    said = f"The {len(order):,} rows from {times[order[0]]} to {times[order[-1]]}"
    said += "; of each the first step of its horizon." if isinstance(rows[0][0], list) else "."
    over = Axes("Actual and predicted values over time", "row, by time", "value")
    found.append(("Over time", said, Markup(line_plot(over, lines)), [line.name for line in lines]))
    return found


def _curves(report: Report) -> list[tuple[str, str, Markup, list[str]]]:
    """Losses of train and validation, and the metric that chose the checkpoint."""
    training = report.run.get("training", {})
    evaluations = training.get("evaluations", [])
    kept = training.get("kept", {"step": None, "chosen": False})
    if len(evaluations) < 2:
        return []
    chosen = next((one for one in evaluations if one["step"] == kept["step"]), None)
    said = (
        f"Validation chose step {kept['step']}."
        if kept["chosen"]
        else f"The last weights, of step {kept['step']}, were kept."
    )
    found = []
    losses = []
    for side in ("train", "validation"):
        points = [(one["step"], one["curves"][side]["loss"]) for one in evaluations if "curves" in one]
        points = [(step, loss) for step, loss in points if loss is not None]
        if points:
            losses.append(Series(side, [step for step, _ in points], [loss for _, loss in points], "both"))
    if losses:
        axes = Axes("Loss of train and validation over the optimizer steps", "update", "loss (nats)")
        at = None
        if chosen is not None and "curves" in chosen and chosen["curves"]["validation"]["loss"] is not None:
            at = (kept["step"], chosen["curves"]["validation"]["loss"])
        names = [one.name for one in losses]
        found.append(
            ("Loss", f"{said} Both curves in evaluation mode.", Markup(line_plot(axes, losses, marked=at)), names)
        )
    name = (training.get("best_checkpoint") or {}).get("metric", "")
    key = f"eval_{name}"
    points = [(one["step"], one[key]) for one in evaluations if key in one and not isinstance(one[key], str)]
    if name not in ("", "loss") and len(points) > 1:
        axes = Axes(f"{name} on validation over the optimizer steps", "update", f"{name} (validation)")
        line = Series(name, [step for step, _ in points], [value for _, value in points], "both")
        at = (kept["step"], chosen[key]) if chosen is not None and key in chosen else None
        found.append((f"{name} on validation", said, Markup(line_plot(axes, [line], marked=at)), []))
    return found


def _facts(report: Report) -> list[tuple[str, list[tuple[str, str]]]]:
    """Data, model, training, hardware and versions as pairs of names and values."""
    run = public(report.run)
    blocks = []
    data = []
    for split, said in run.get("data", {}).items():
        made = said.get("made", "as given")
        source = f"{said['rows']:,} rows from {said.get('source', '?')}, {made}; sha256 {said['sha256'][:16]}…"
        data.append((split, source))
    blocks.append(("Data", data))
    model = run.get("model", {})
    blocks.append(("Model", [(key, plain(value)) for key, value in model.items()]))
    training = run.get("training", {})
    told = {key: value for key, value in training.items() if key not in ("losses", "evaluations")}
    if "peak_memory_mib" in run:
        told["peak_memory_mib"] = run["peak_memory_mib"]
    blocks.append(("Training", [(key.replace("_", " "), plain(value)) for key, value in told.items()]))
    blocks.append(("Hardware", [(key, plain(value)) for key, value in run.get("hardware", {}).items()]))
    blocks.append(("Versions", [(key, plain(value)) for key, value in run.get("versions", {}).items()]))
    return [(title, pairs) for title, pairs in blocks if pairs]


def plain(value: Any) -> str:
    """A value of run.json as a person reads it."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


def _config(report: Report) -> str:
    """The run's arguments as a file for `--config`."""
    groups = ("data", "task", "model", "training")
    values = {key: value for group in groups for key, value in report.arguments(group).items()}
    kept = {key: value for key, value in values.items() if key not in NOT_ARGUMENTS and value not in ([], "", {})}
    return yaml.safe_dump(public(kept), sort_keys=False, allow_unicode=True) if kept else ""
