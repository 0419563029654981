"""benchmark.html: every model of every task with its numbers, who is better than whom, quality against latency."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from llmtune.benchmark.results import BETTER, WORSE, ModelAnswers, TaskResult
from llmtune.metrics.core.headlines import about_positive, headline_names
from llmtune.metrics.core.parts import score_cell
from llmtune.report.page import render
from llmtune.report.plots import Axes, PagePlot, Series, interval_plot, line_plot
from llmtune.runs.folder import write_text
from llmtune.terminal.comparison_lines import number
from llmtune.text.shorten import row_count

MOST_METRICS = 5  # columns of a task's table; the rest is in benchmark.json
MOST_POINTS = 4  # models that a plot of points tells apart by color


def write_benchmark_page(folder: Path, results: Sequence[TaskResult], hardware: dict[str, Any]) -> Path:
    """Writes benchmark.html, one file that needs no network."""
    path = folder / "benchmark.html"
    write_text(path, render_benchmark_page(results, hardware))
    return path


def render_benchmark_page(results: Sequence[TaskResult], hardware: dict[str, Any]) -> str:
    """The page as text."""
    names = ", ".join(result.task.name for result in results)
    models = len({each.model for result in results for each in result.answers})
    return render(
        "benchmark.html.j2",
        title=f"{models} models on {names}",
        headlines=[headline for result in results if (headline := best_sentence(result))],
        tasks=[_task(result) for result in results],
        hardware=", ".join(filter(None, [hardware["cpu"], f"{hardware['cores']} cores", *hardware["gpus"]])),
    )


def best_sentence(result: TaskResult) -> str:
    """Which model is best on a task, and against which others the rows tell; empty where none was scored."""
    if not result.scored:
        return f"{result.task.name}: every model was refused"
    best = result.ranked[0]
    name, metric = result.short_names[best], str(result.main_metric)
    value = result.scores[best][metric].value
    finding = f"{result.task.name}: {name} is best on {metric} ({number(value)})"
    rivals = [pair for pair in result.pairs if best in (pair.a, pair.b)]
    unclear = [pair.b if pair.a == best else pair.a for pair in rivals if not pair.outcome]
    if unclear:
        return f"{finding}, not significantly better than {', '.join(result.short_names[model] for model in unclear)}"
    return f"{finding}, significantly better than every other model" if rivals else finding


def shown_metrics(result: TaskResult, most: int) -> list[str]:
    """The metric that decides, then those that a person reads first."""
    first = result.scored[0].table
    assert first is not None
    others = result.task.shown or headline_names(first.kind, result.scores[result.scored[0].model])
    return list(dict.fromkeys([str(result.main_metric), *others]))[:most]


def _task(result: TaskResult) -> dict[str, Any]:
    scored = {each.model: each for each in result.scored}
    names = shown_metrics(result, MOST_METRICS) if scored else []
    prompted = [each for each in result.answers if each.way in ("prompted", "served")]
    return {
        "name": result.task.name,
        "rows": f"{row_count(result.fingerprint.rows)} of {result.fingerprint.source}",
        "metrics": _metric_labels(result, names),
        "models": [_row(result, scored[model], names) for model in (result.ranked if scored else [])],
        "refused": [(result.short_names[each.model], each.refusal) for each in result.answers if each.refusal],
        "pairs": [(result.sentence(pair), _sign(pair.outcome)) for pair in result.pairs],
        "correction": _correction(result),
        "verdicts": _verdicts(result),
        "plots": [plot for plot in (_intervals(result), _quality_against_latency(result)) if plot is not None],
        "speeds": [_speed(result, each) for each in result.scored if each.facts],
        "loads": [
            (result.short_names[each.model], each.facts["loads"]) for each in scored.values() if _is_loaded(each)
        ],
        "cautions": result.cautions,
        "notes": [(result.short_names[each.model], note) for each in result.answers for note in each.notes],
        "prompt": result.task.prompt.to_json() if prompted and result.task.template else None,
    }


def _metric_labels(result: TaskResult, names: Sequence[str]) -> list[str]:
    table = result.scored[0].table if result.scored else None
    return [about_positive(name, None if table is None else table.positive_name) for name in names]


def _row(result: TaskResult, each: ModelAnswers, names: Sequence[str]) -> dict[str, Any]:
    cells = [score_cell(result.scores[each.model], name) for name in names]
    return {"name": result.short_names[each.model], "full": each.model, "way": each.way, "cells": cells}


def _sign(outcome: str) -> str:
    return {BETTER: "pass", WORSE: "fail"}.get(outcome, "none")


def _correction(result: TaskResult) -> str:
    n = len(result.scored)
    if n < 3:
        return ""
    return f"Intervals and p-values are corrected for all {n * (n - 1) // 2} pairs of {n} models (Bonferroni)."


def _verdicts(result: TaskResult) -> list[tuple[str, str, str]]:
    verdicts = [(each.model, result.verdict(each.model)) for each in result.scored]
    return [
        (result.short_names[model], verdict.verdict, verdict.sentence)
        for model, verdict in verdicts
        if verdict is not None
    ]


def _speed(result: TaskResult, each: ModelAnswers) -> list[str]:
    facts = each.facts
    latency = facts.get("latency") or {}
    times = ["" if latency.get(name) is None else f"{1000 * latency[name]:.1f}" for name in ("p50", "p95", "p99")]
    if times[0] and latency["low"] is not None:
        times[0] += f" [{1000 * latency['low']:.1f}, {1000 * latency['high']:.1f}]"
    others = ("rows_per_second", "peak_memory_mib", "parameters", "cost_of_1000_rows")
    values = ["" if facts.get(name) is None else f"{facts[name]:,}" for name in others]
    return [result.short_names[each.model], *times, *values]


def _is_loaded(each: ModelAnswers) -> bool:
    return bool(each.facts.get("loads"))


def _intervals(result: TaskResult) -> PagePlot | None:
    """The metric that decides, of every model with its interval."""
    if not result.scored:
        return None
    metric = str(result.main_metric)
    rows = []
    for model in result.ranked:
        score = result.scores[model][metric]
        if score.value is not None:
            low, high = (score.value if end is None else end for end in (score.low, score.high))
            rows.append((result.short_names[model], score.value, low, high))
    if not rows:
        return None
    low, high = result.metric_range
    least, most = min(row[2] for row in rows), max(row[3] for row in rows)
    room = (most - least) * 0.1 or abs(most) * 0.1 or 1.0
    ends = (low if math.isfinite(low) else least - room, high if math.isfinite(high) else most + room)
    title = f"{metric} with 95 % intervals: " + "; ".join(f"{name} {value:.3f}" for name, value, _, _ in rows)
    caption = f"{metric}, {'higher' if result.higher_is_better else 'lower'} is better; bars are 95 % intervals."
    return PagePlot("Quality", caption, Markup(interval_plot(title, rows, ends)))


def _quality_against_latency(result: TaskResult) -> PagePlot | None:
    """Points of models whose latency was measured; None of fewer than two."""
    metric = str(result.main_metric)
    series = []
    for each in result.scored:
        latency, score = each.facts.get("latency"), result.scores[each.model].get(metric)
        if latency and score is not None and score.value is not None:
            ends = (score.value, score.value) if score.low is None or score.high is None else (score.low, score.high)
            name = result.short_names[each.model]
            series.append(Series(name, [1000 * latency["p50"]], [score.value], "points", [ends]))
    if len(series) < 2:
        return None
    series = series[:MOST_POINTS]
    fastest, slowest = min(line.xs[0] for line in series), max(line.xs[0] for line in series)
    room = 0.1 * (slowest - fastest) or slowest * 0.1
    axes = Axes(f"{metric} over the latency of a row", "latency of one row (ms, p50)", metric, (0.0, slowest + room))
    caption = "Each model at its median latency; upright bars are 95 % intervals."
    return PagePlot("Quality against latency", caption, Markup(line_plot(axes, series)), [line.name for line in series])
