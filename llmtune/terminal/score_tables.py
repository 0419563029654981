"""The block of scores at the terminal, for every kind of predictions table."""

from collections.abc import Mapping, Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmtune.metrics import Score
from llmtune.metrics.core.base import with_interval
from llmtune.metrics.core.entity_errors import EntityComparison, compare_entities
from llmtune.metrics.core.headlines import about_positive
from llmtune.metrics.core.parts import score_cell, score_parts
from llmtune.predictions import Predictions
from llmtune.terminal.console import Terminal, plain_table
from llmtune.terminal.entity_tables import show_entities, type_table
from llmtune.text.shorten import join_names, row_count

MOST_PARTS = 20  # rows of the table by class or type; the rest is in metrics.json


def show_scores(
    terminal: Terminal,
    predictions: Predictions,
    scores: Mapping[str, Score],
    baselines: Mapping[str, Mapping[str, Score]] | None = None,
    notes: Sequence[str] = (),
    entities: EntityComparison | None = None,
) -> None:
    """One split: classification with its classes and confusion matrix, every other kind as tables of its metrics.

    `entities` are those of the table where they were compared already.
    """
    if predictions.kind.single_label:
        terminal.test(predictions, scores, baselines or {}, notes)
        return
    terminal.block(f"{predictions.split.capitalize()}: {row_count(len(predictions))}", [])
    terminal.table(metric_table(scores, baselines or {}))
    if predictions.kind.tagged:
        terminal.table(type_table(predictions, scores))
    elif (parts := part_table(scores)).row_count:
        terminal.table(parts)
    if predictions.kind.tagged and predictions.has("tokens"):
        show_entities(terminal, entities or compare_entities(predictions))
    for note in notes:
        terminal.console.print(Padding(Text(note), (0, 0, 0, 2), expand=False), width=terminal.width)


def metric_table(scores: Mapping[str, Score], baselines: Mapping[str, Mapping[str, Score]]) -> Table:
    """The metrics of all rows, beside those of the baselines."""
    table = plain_table("metric", "value [95 % interval]", *baselines)
    for name, score in scores.items():
        if "[" not in name and not name.endswith("_lenient"):
            table.add_row(name, with_interval(score), *(score_cell(values, name) for values in baselines.values()))
    return table


def part_table(scores: Mapping[str, Score]) -> Table:
    """Metrics named `metric[PART]`: a row for each part, a column for each metric."""
    parts = score_parts(scores, MOST_PARTS)
    table = plain_table(
        f"the first {MOST_PARTS}, {parts.left_out:,} more" if parts.left_out else "part", *parts.metrics
    )
    for part, cells in parts.rows:
        table.add_row(part, *cells)
    return table


def missing_reasons(scores: Mapping[str, Score], positive_label: str | None = None) -> list[str]:
    """Why values or intervals are missing, each reason once with the metrics it is about; of two classes, of which."""
    about: dict[str, list[str]] = {}
    for name, score in scores.items():
        if score.reason:
            what = "undefined" if score.value is None else "no interval"
            about.setdefault(f"{what}: {score.reason}", []).append(about_positive(name, positive_label))
    return [f"{reason} ({join_names(names)})" for reason, names in about.items()]
