"""Whether numbers are further off in some groups than in the others: the mean absolute error, by Welch's test."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from llmtune.evidence import ENOUGH, SIGNIFICANT
from llmtune.predictions import Predictions
from llmtune.stats import benjamini_hochberg

LARGE = 1.25  # times the error elsewhere: four fifths, seen from the other side


@dataclass(frozen=True)
class ErrorGap:
    """A group beside all others of its column.

    Args:
        column: that tells the groups.
        group: its value.
        n: its rows.
        error: its mean absolute error.
        elsewhere: that of the others.
        p: of Welch's test, one-sided for a larger error here, uncorrected.
        adjusted: corrected for all tests of the call.
    """

    column: str
    group: str
    n: int
    error: float
    elsewhere: float
    p: float
    adjusted: float = 1.0

    @property
    def is_worse(self) -> bool:
        """Whether the error here is significantly and largely greater."""
        return self.adjusted < SIGNIFICANT and self.error > LARGE * self.elsewhere

    def sentence(self) -> str:
        """Both errors."""
        where = f"where {self.column} is {self.group} ({self.n:,} rows)"
        return f"mean absolute error is {self.error:.3g} {where}, {self.elsewhere:.3g} elsewhere"


def error_gaps(predictions: Predictions, columns: Mapping[str, Sequence[Any]]) -> list[ErrorGap]:
    """Every group of 30 rows or more beside as many others, in the order of the columns; of finite rows alone."""
    reference, prediction = (
        np.array(predictions.column(name), dtype=np.float64).reshape(len(predictions), -1)
        for name in ("reference", "prediction")
    )
    errors = np.abs(prediction - reference).mean(axis=1)
    known = np.isfinite(errors)
    gaps = []
    for column, cells in columns.items():
        names = np.array([str(cell) for cell in cells], dtype=object)
        for group in sorted(set(names)):
            here, others = errors[known & (names == group)], errors[known & (names != group)]
            if min(len(here), len(others)) >= ENOUGH:
                p = _welch(here, others)
                gaps.append(ErrorGap(column, group, len(here), float(here.mean()), float(others.mean()), p))
    adjusted = benjamini_hochberg([gap.p for gap in gaps]) if gaps else np.array([])
    return [replace(gap, adjusted=float(p)) for gap, p in zip(gaps, adjusted, strict=True)]


def _welch(here: np.ndarray, others: np.ndarray) -> float:
    """P that the mean here is no greater, by Student's t with Welch's degrees of freedom."""
    parts = here.var(ddof=1) / len(here), others.var(ddof=1) / len(others)
    if not sum(parts):
        return float(here.mean() <= others.mean())
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(here) - 1) + parts[1] ** 2 / (len(others) - 1))
    t = (here.mean() - others.mean()) / math.sqrt(sum(parts))
    return float(special.stdtr(freedom, -t))
