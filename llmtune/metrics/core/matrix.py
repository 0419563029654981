"""The confusion matrix as a person reads it: with names, shares of each row and the largest confusions."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from llmtune.metrics.core.confusion import confusion_matrix
from llmtune.metrics.core.entity_errors import MISSED, SPURIOUS, EntityComparison
from llmtune.predictions import Predictions

MOST_CELLS = 16  # classes of a matrix that is still read; beyond, the largest confusions are listed


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: rows the reference, columns the prediction.

    Args:
        rows: their names.
        columns: their names.
        counts: (rows, columns).
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: np.ndarray

    @property
    def is_small(self) -> bool:
        """Whether it is read as a table."""
        return len(self.rows) <= MOST_CELLS

    def shares(self) -> np.ndarray:
        """Each cell as a share of its row; 0 in a row without examples."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.divide(self.counts, totals, out=np.zeros(self.counts.shape), where=totals > 0)

    def largest(self, most: int = 20) -> list[tuple[str, str, int]]:
        """The most frequent confusions as (reference, prediction, count)."""
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        cells = [np.unravel_index(place, wrong.shape) for place in order]
        return [(self.rows[i], self.columns[j], int(wrong[i, j])) for i, j in cells if wrong[i, j]]


class LabelMatrix(NamedTuple):
    """What became of one label on all rows, where a row may have several.

    Args:
        name: of the label.
        found: rows that have it and are predicted it.
        missed: rows that have it, and are not.
        spurious: rows that are predicted it, and have it not.
        absent: all others.
    """

    name: str
    found: int
    missed: int
    spurious: int
    absent: int


def label_matrices(test: Predictions) -> list[LabelMatrix]:
    """Of each label of a table with several a row; empty for other kinds."""
    if not test.kind.multi_label:
        return []
    reference, prediction = (test.label_sets(name) for name in ("reference", "prediction"))
    cells = (reference & prediction, reference & ~prediction, ~reference & prediction, ~reference & ~prediction)
    counts = np.stack([cell.sum(axis=0) for cell in cells], axis=1).tolist()
    return [LabelMatrix(name, *of_label) for name, of_label in zip(test.label_names, counts, strict=True)]


def cooccurrence(test: Predictions, column: str) -> Matrix | None:
    """Rows that have two labels together, in the reference or as predicted; on the diagonal those that have a label.

    Of a table with several labels a row and few enough labels to be read; None for others.
    """
    if not test.kind.multi_label or len(test.label_names) > MOST_CELLS:
        return None
    sets = test.label_sets(column).astype(np.int64)
    return Matrix(test.label_names, test.label_names, sets.T @ sets)


def build_matrix(test: Predictions, comparison: EntityComparison | None = None) -> Matrix | None:
    """Of classes, or of entity types with the missed and the spurious; None for other kinds."""
    if test.kind.single_label:
        names = test.label_names
        return Matrix(
            names, names, confusion_matrix(test.label_ids("reference"), test.label_ids("prediction"), len(names))
        )
    if comparison is None or not comparison.types:
        return None
    return Matrix((*comparison.types, SPURIOUS), (*comparison.types, MISSED), comparison.matrix)
