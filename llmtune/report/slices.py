"""Scores of parts of the rows: by length, by group of people, by slice of the data, each with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from llmtune.diagnosis.length import length_groups
from llmtune.metrics import Score, score_predictions
from llmtune.metrics.core.headlines import about_positive
from llmtune.metrics.core.parts import score_cell
from llmtune.predictions import Predictions
from llmtune.stats import wilson_interval

MOST_GROUPS = 12
SERIES = ("series",)  # several series are scored apart without being asked for


@dataclass(frozen=True)
class Slices:
    """One column's groups.

    Args:
        column: of the table.
        metrics: names of the cells' columns.
        rows: of each group its name, its rows and its cells; the largest first, lengths in their order.
        left_out: groups beyond the largest.
    """

    column: str
    metrics: tuple[str, ...]
    rows: list[tuple[str, int, list[str]]]
    left_out: int


def score_slices(test: Predictions, columns: Sequence[str]) -> list[Slices]:
    """The tables of a kind that has them: fifths of the length, then each column."""
    if not test.kind.slice_metrics:
        return []
    slices = []
    lengths = length_groups(test)
    if lengths is not None and len(lengths.names) > 1:
        groups = [(name, lengths.group == place) for place, name in enumerate(lengths.names)]
        slices.append(_scored(test, "length", groups, 0))
    for column in dict.fromkeys([*columns, *SERIES]):
        if test.has(column):
            values = np.array([str(value) for value in test.column(column)], dtype=object)
            names, counts = np.unique(values.astype(str), return_counts=True)
            order = np.argsort(-counts, kind="stable")
            groups = [(str(names[place]), values == names[place]) for place in order[:MOST_GROUPS]]
            slices.append(_scored(test, column, groups, max(0, len(names) - MOST_GROUPS)))
    return slices


def _scored(test: Predictions, column: str, groups: Sequence[tuple[str, np.ndarray]], left_out: int) -> Slices:
    rows = [(name, int(mask.sum()), _scores(test, mask)) for name, mask in groups]
    metrics = tuple(dict.fromkeys(metric for _, _, scores in rows for metric in scores))
    cells = [(name, n, [score_cell(scores, metric) for metric in metrics]) for name, n, scores in rows]
    return Slices(column, tuple(about_positive(name, test.positive_name) for name in metrics), cells, left_out)


def _scores(test: Predictions, mask: np.ndarray) -> dict[str, Score]:
    if not test.kind.single_label:
        part = replace(test, table=test.table.filter(pa.array(mask)))
        scores = score_predictions(part)
        return {name: scores[name] for name in test.kind.slice_metrics if name in scores}
    reference, predicted = test.label_ids("reference")[mask], test.label_ids("prediction")[mask]
    scores = {"accuracy": _rate(reference == predicted)}
    if len(test.label_names) == 2:
        positive = test.positive_id
        scores["precision"] = _rate((reference == positive)[predicted == positive])
        scores["recall"] = _rate((predicted == positive)[reference == positive])
    return scores


def _rate(hits: np.ndarray) -> Score:
    """A share with its Wilson interval; undefined without rows."""
    if not len(hits):
        return Score(None, None, None, 0, "", "no rows")
    low, high, _ = wilson_interval(int(hits.sum()), len(hits))
    return Score(float(hits.mean()), low, high, len(hits), "")
