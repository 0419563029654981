"""Rows kept whole, for scores that need every rank (ROC-AUC, average precision): probability and truth of each row."""

from dataclasses import dataclass

import numpy as np

from llmtune.metrics.core.base import Columns


@dataclass(frozen=True)
class RankedRows:
    """Statistics: (n, 2), the positive label's probability and whether the reference is it."""

    positive_id: int

    def __call__(self, columns: Columns) -> np.ndarray:
        """One row each."""
        positive = columns["reference"] == self.positive_id
        return np.stack([columns["probabilities"][:, self.positive_id], positive], axis=1).astype(np.float64)


def split(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the positive rows (p,) and of the negative rows (q,)."""
    positive = rows[:, 1] == 1
    return rows[positive, 0], rows[~positive, 0]
