"""report.html: one file that needs no network, made from a `JudgedTable`."""

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

from llmtune.diagnosis import baseline
from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS
from llmtune.diagnosis.headline import metric_in_words
from llmtune.diagnosis.verdict import INFORMING
from llmtune.hub.page_text import ROWS_BEGIN, ROWS_END
from llmtune.metrics.core.base import with_interval
from llmtune.report.attention import attended_texts
from llmtune.report.judged_table import JudgedTable
from llmtune.report.page_plots import main_plot, page_plots
from llmtune.report.plots import Axes, Series, line_plot
from llmtune.runs.folder import write_text
from llmtune.runs.redact import public
from llmtune.runs.reproduce import reproduce_command
from llmtune.terminal.score_tables import missing_reasons
from llmtune.text.shorten import row_count

STATUS = {PASS: "passed", FAIL: "failed", NOT_ENOUGH_DATA: "not decided", NOT_APPLICABLE: "not checked"}
INFORMED = {**STATUS, PASS: "nothing found", FAIL: "worth a look"}  # of checks that decide nothing
NOT_ARGUMENTS = ("output_dir", "overwrite", "resume_from_checkpoint")


def write_page(folder: Path, report: JudgedTable, *, no_examples: bool = False) -> Path:
    """Writes report.html.

    Args:
        folder: where.
        report: what.
        no_examples: leave the texts of the rows out, as of a run that was told so.
    """
    path = folder / "report.html"
    write_text(path, render_page(report, no_examples=no_examples))
    return path


def render_page(report: JudgedTable, *, no_examples: bool = False) -> str:
    """The page as text."""
    slider = _slider(report)
    examples = [] if no_examples or report.is_private else report.examples
    attention = [] if no_examples or report.is_private else attended_texts(report.test)
    return render(
        "report.html.j2",
        script="" if slider["slider"] is None else _part("report.js"),
        report=report,
        title=f"{report.name}: {report.test.kind.display_name.lower()}",
        sentence=public(report.verdict.sentence) if report.verdict else "No verdict was asked for.",
        word=report.verdict.verdict if report.verdict else "none",
        main_plot=main_plot(report),
        main_label=metric_in_words(report.main_metric, report.test) if report.main_metric else "",
        checks=_checks(report),
        cautions=[public(caution) for caution in report.cautions],
        words={name: metric_in_words(name, report.test) for name in report.headlines},
        explanations=report.explanations,
        headlines=report.headline_rows,
        reasons=[*_missing(report), *public(report.run.get("notes", []))],
        paired=_paired(report),
        matrix=report.matrix,
        label_matrices=report.label_matrices,
        cooccurrences=report.cooccurrences,
        parts=report.parts,
        slices=report.slices,
        plots=page_plots(report),
        **slider,
        examples=examples,
        attention=attention,
        rows_begin=Markup(ROWS_BEGIN.format(sum(len(table.rows) for table in examples) + len(attention))),
        rows_end=Markup(ROWS_END),
        facts=_facts(report),
        config=_config(report),
        command=reproduce_command(report.run),
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


def _checks(report: JudgedTable) -> list[dict[str, Any]]:
    """What decided first, then what else is wrong, what passed, and what was not checked."""
    if report.verdict is None:
        return []
    order = (FAIL, NOT_ENOUGH_DATA, PASS, NOT_APPLICABLE)
    deciding = report.verdict.deciding
    checks = sorted(report.verdict.checks, key=lambda check: (check not in deciding, order.index(check.status)))
    return [
        {
            "name": check.check.replace("_", " "),
            "status": check.status,
            "said": (INFORMED if check.check in INFORMING else STATUS)[check.status],
            "informs": check.check in INFORMING,
            "finding": public(check.finding),
            "remedy": public(check.remedy) if check.status != PASS else "",
        }
        for check in checks
    ]


def _missing(report: JudgedTable) -> list[str]:
    return missing_reasons({name: report.scores[name] for name in report.headlines}, report.test.positive_name)


def _paired(report: JudgedTable) -> list[tuple[str, str, str, str]]:
    """Of each simple model its name, the improvement on it, the 99 % interval of that, and p."""
    checks = report.verdict.checks if report.verdict else ()
    pairs = next((check.numbers for check in checks if check.check == baseline.NAME), {})
    return [
        (
            name,
            f"{pair['difference']:+.3f} {pair['metric']}",
            "" if pair["low"] is None or pair["high"] is None else f"[{pair['low']:+.3f}, {pair['high']:+.3f}]",
            "" if pair["p"] is None else f"{pair['p']:.2g}",
        )
        for name, pair in pairs.items()
    ]


def _slider(report: JudgedTable) -> dict[str, Any]:
    slider, test = report.slider, report.test
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


def _facts(report: JudgedTable) -> list[tuple[str, list[tuple[str, str]]]]:
    """Data, model, training, hardware and versions as pairs of names and values."""
    run = public(report.run)
    blocks = []
    data = []
    for split, facts in run.get("data", {}).items():
        made = facts.get("made", "as given")
        source = f"{row_count(facts['rows'])} from {facts.get('source', '?')}, {made}; sha256 {facts['sha256'][:16]}…"
        data.append((split, source))
    blocks.append(("Data", data))
    model = run.get("model", {})
    blocks.append(("Model", [(key, plain(value)) for key, value in model.items()]))
    training = run.get("training", {})
    measures = {key: value for key, value in training.items() if key not in ("losses", "evaluations")}
    if "peak_memory_mib" in run:
        measures["peak_memory_mib"] = run["peak_memory_mib"]
    blocks.append(("Training", [(key.replace("_", " "), plain(value)) for key, value in measures.items()]))
    blocks.append(("Search", [("trials", run["search"])] if "search" in run else []))
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


def _config(report: JudgedTable) -> str:
    """The run's arguments as a file for `--config`; empty where its rows came from no file."""
    if kept := report.run.get("reproduction"):
        return yaml.safe_dump(public(kept["flags"]), sort_keys=False, allow_unicode=True)
    groups = ("data", "task", "model", "training")
    values = {key: value for group in groups for key, value in report.arguments(group).items()}
    if not values.get("train_file") and not values.get("dataset_name"):
        return ""
    given = {key: value for key, value in values.items() if key not in NOT_ARGUMENTS and value not in ([], "", {})}
    return yaml.safe_dump(public(given), sort_keys=False, allow_unicode=True)
