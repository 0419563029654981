"""The block of scores at the terminal, for every kind of predictions table."""

from collections.abc import Mapping, Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmtune.metrics import Score
from llmtune.metrics.core.base import with_interval
from llmtune.metrics.core.entity_errors import compare_entities
from llmtune.predictions import Predictions
from llmtune.terminal.console import Terminal, plain_table
from llmtune.terminal.entity_tables import show_entities

MOST_PARTS = 20  # rows of the table by class or type; the rest is in metrics.json


def show_scores(
    terminal: Terminal,
    predictions: Predictions,
    scores: Mapping[str, Score],
    baselines: Mapping[str, Mapping[str, Score]] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """One split: classification with its classes and confusion matrix, every other kind as tables of its metrics."""
    if predictions.kind.single_label:
        terminal.test(predictions, scores, baselines or {}, notes)
        return
    terminal.block(f"{predictions.split.capitalize()}: {len(predictions)} rows", [])
    terminal.table(metric_table(scores, baselines or {}))
    parts = part_table(scores)
    if parts.row_count:
        terminal.table(parts)
    if predictions.kind.tagged and predictions.has("tokens"):
        show_entities(terminal, compare_entities(predictions))
    for note in notes:
        terminal.console.print(Padding(Text(note), (0, 0, 0, 2), expand=False), width=terminal.width)


def metric_table(scores: Mapping[str, Score], baselines: Mapping[str, Mapping[str, Score]]) -> Table:
    """The metrics of all rows, beside those of the baselines."""
    table = plain_table("metric", "value [95 % interval]", *baselines)
    for name, score in scores.items():
        if "[" not in name:
            beside = [with_interval(of[name]) if name in of else "" for of in baselines.values()]
            table.add_row(name, with_interval(score), *beside)
    return table


def part_table(scores: Mapping[str, Score]) -> Table:
    """Metrics named `metric[PART]`: a row for each part, a column for each metric."""
    split = [name.removesuffix("]").partition("[") for name in scores if name.endswith("]")]
    metrics = list(dict.fromkeys(metric for metric, _, _ in split))
    parts = list(dict.fromkeys(part for _, _, part in split))
    title = "part" if len(parts) <= MOST_PARTS else f"the first {MOST_PARTS} of {len(parts)}"
    table = plain_table(title, *metrics)
    for part in parts[:MOST_PARTS]:
        of_part = [scores.get(f"{metric}[{part}]") for metric in metrics]
        table.add_row(part, *("" if score is None else with_interval(score) for score in of_part))
    return table
