"""Metrics of parts, by class or entity type, as a table: page, card and terminal show these rows."""

from collections.abc import Mapping
from dataclasses import dataclass

from llmtune.metrics.core.base import Score, with_interval

MOST_PARTS = 40


@dataclass(frozen=True)
class Parts:
    """Metrics named `metric[PART]`: a row for each part, a column for each metric.

    Args:
        metrics: names of the columns.
        rows: each part's name and cells.
        left_out: parts that are only in metrics.json.
    """

    metrics: tuple[str, ...]
    rows: list[tuple[str, list[str]]]
    left_out: int


def score_parts(scores: Mapping[str, Score], most: int = MOST_PARTS) -> Parts:
    """The scores of the first `most` parts, classes or entity types, by part and metric."""
    split = [name.removesuffix("]").partition("[") for name in scores if name.endswith("]")]
    metrics = tuple(dict.fromkeys(metric for metric, _, _ in split))
    parts = list(dict.fromkeys(part for _, _, part in split))
    rows = [(part, [score_cell(scores, f"{metric}[{part}]") for metric in metrics]) for part in parts[:most]]
    return Parts(metrics, rows, max(0, len(parts) - most))


def score_cell(scores: Mapping[str, Score], name: str) -> str:
    """A metric with its interval; empty where it was not computed."""
    return with_interval(scores[name]) if name in scores else ""
