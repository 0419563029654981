"""The entities of a table at the terminal: confusion matrix, boundary errors, the most frequent errors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.table import Table

from llmtune.metrics import Score
from llmtune.metrics.core.base import with_interval
from llmtune.metrics.core.entity_errors import (
    BOUNDARY_ERRORS,
    MISSED,
    SENTENCE_MARKS,
    SHOWN_ERRORS,
    SPURIOUS,
    EntityComparison,
    EntityError,
)
from llmtune.predictions import Predictions
from llmtune.terminal.console import Terminal, plain_table
from llmtune.text.tag_schemes import count_types

MOST_TYPES = 30
MATRIX_CORNER = "reference ↓  predicted →"


def type_table(predictions: Predictions, scores: Mapping[str, Score]) -> Table:
    """A row for each type: entities in the reference, precision, recall and F1; the most frequent types first."""
    counts = count_types(predictions.column("reference"))
    types = [name[len("entity_f1[") : -1] for name in scores if name.startswith("entity_f1[")]
    types.sort(key=lambda kind: (-counts.get(kind, 0), kind))
    title = "type" if len(types) <= MOST_TYPES else f"the {MOST_TYPES} most frequent types"
    table = plain_table(title, "entities", "precision", "recall", "F1")
    table.columns[1].justify = "right"
    for kind in types[:MOST_TYPES]:
        cells = [with_interval(scores[f"entity_{part}[{kind}]"]) for part in ("precision", "recall", "f1")]
        table.add_row(kind, f"{counts.get(kind, 0):,}", *cells)
    return table


def show_entities(terminal: Terminal, comparison: EntityComparison) -> None:
    """The confusion matrix, boundary errors and the most frequent errors at the terminal."""
    if not comparison.types:
        return
    # The longest name stands at the left, each name once more above its column.
    width = max(map(len, (*comparison.types, MATRIX_CORNER))) + sum(len(kind) + 2 for kind in comparison.types) + 22
    terminal.table(_matrix_table(comparison) if width <= terminal.width else _largest_cells(comparison))
    lines = _boundary_lines(comparison)
    for error in comparison.errors[:SHOWN_ERRORS]:
        row_id, sentence = error.sentences[0]
        lines.append(f"{error.count:>4} x {_in_words(error)}; id {row_id}: {sentence}")
    terminal.block("Errors", [*lines, SENTENCE_MARKS] if lines else ["none"])


def _in_words(error: EntityError) -> str:
    if error.kind == "missed":
        return f"{error.reference} {error.words!r} missed"
    if error.kind == "spurious":
        return f"{error.predicted} {error.predicted_words!r} spurious"
    if error.kind == "type":
        return f"{error.reference} {error.words!r} predicted as {error.predicted}"
    return f"{error.reference} {error.words!r} predicted as {error.predicted} {error.predicted_words!r}"


def _matrix_table(comparison: EntityComparison) -> Any:
    matrix = comparison.matrix
    table = plain_table(MATRIX_CORNER, *comparison.types, MISSED, "entities")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in zip([*comparison.types, SPURIOUS], matrix, strict=True):
        cells = [f"{count:,}" if count else "·" for count in row]
        if name == SPURIOUS:
            cells[-1] = ""
        table.add_row(name, *cells, f"{row.sum():,}" if name != SPURIOUS else "")
    table.add_row("predicted", *(f"{count:,}" for count in matrix.sum(axis=0)[:-1]), "", "")
    return table


def _largest_cells(comparison: EntityComparison, most: int = 12) -> Any:
    """The largest cells off the diagonal: a matrix of many types is in run.json."""
    matrix = comparison.matrix
    rows, columns = np.nonzero(matrix - np.diag(np.diag(matrix)))
    order = np.argsort(-matrix[rows, columns], kind="stable")[:most]
    names_a, names_b = [*comparison.types, SPURIOUS], [*comparison.types, MISSED]
    table = plain_table("reference", "predicted as", "times", "of")
    for i in order:
        a, b = rows[i], columns[i]
        whole = matrix[:, b].sum() if names_a[a] == SPURIOUS else matrix[a].sum()
        of = f"{whole:,} predicted" if names_a[a] == SPURIOUS else f"{whole:,} entities"
        table.add_row(names_a[a], names_b[b], f"{matrix[a, b]:,}", of)
    return table


def _boundary_lines(comparison: EntityComparison) -> list[str]:
    same_type = int(np.trace(comparison.shifted))
    other_type = int(comparison.shifted.sum()) - same_type
    lines = []
    if comparison.shifted.sum():
        sorts = {sort: sum(of[sort] for of in comparison.boundaries.values()) for sort in BOUNDARY_ERRORS}
        told = ", ".join(f"{count:,} {sort}" for sort, count in sorts.items() if count)
        lines.append(
            f"boundaries: {same_type:,} entities found with their type but not their words (they stand on the "
            f"diagonal), {other_type:,} with another type; {told}"
        )
    return lines
