"""Which groups of rows a model treats worse: a homogeneity test of each rate, corrected for all tests made.

Never the largest difference alone: 50 identical groups of 40 positives show a recall gap of 0.15 by chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmtune.diagnosis.check import percent
from llmtune.diagnosis.proportions import Proportion, RowCounts, newcombe_difference
from llmtune.evidence import ENOUGH, SIGNIFICANT
from llmtune.metrics.core.base import ratio
from llmtune.stats import benjamini_hochberg, homogeneity_test

LARGE_GAP = 0.1  # difference of a rate between a group and the rest from which on it matters
FOUR_FIFTHS = 0.8  # the ratio of rates below which the EEOC's rule of 1978 sees adverse impact


@dataclass(frozen=True)
class GroupRates:
    """One rate of the groups of one column; groups of fewer than 30 trials are left out.

    Args:
        column: that tells the groups.
        rate: its name, `recall[spam]`.
        groups: name → hits of trials.
        too_small: groups left out.
        p: of the homogeneity test, uncorrected.
        adjusted: corrected for all tests of the call.
        worse: groups that are significantly and largely below all others together.
    """

    column: str
    rate: str
    groups: Mapping[str, Proportion]
    too_small: tuple[str, ...]
    p: float
    adjusted: float = 1.0
    worse: tuple[str, ...] = ()

    @property
    def extremes(self) -> tuple[str, str]:
        """The groups with the least and the greatest rate."""
        order = sorted(self.groups, key=lambda name: self.groups[name].value)
        return order[0], order[-1]

    @property
    def four_fifths(self) -> float:
        """The least rate over the greatest; 1 where all are 0."""
        least, most = (self.groups[name].value for name in self.extremes)
        return least / most if most else 1.0

    def difference(self) -> tuple[float, float, float]:
        """Greatest less least rate, and the 95 % interval, widened for having picked the extreme pair of all."""
        least, most = self.extremes
        pairs = len(self.groups) * (len(self.groups) - 1) // 2
        return newcombe_difference(self.groups[most], self.groups[least], 1 - 0.05 / pairs)

    def rest(self, name: str) -> Proportion:
        """All groups but this one."""
        others = [rate for other, rate in self.groups.items() if other != name]
        return Proportion(sum(rate.hits for rate in others), sum(rate.n for rate in others))

    def sentence(self) -> str:
        """The worst of the worse groups beside the rest."""
        name = min(self.worse, key=lambda group: self.groups[group].value)
        mine, rest = self.groups[name], self.rest(name)
        return f"{self.rate} is {percent(mine.value)} where {self.column} is {name}, {percent(rest.value)} elsewhere"

    def to_json(self) -> dict[str, Any]:
        """For verdict.json."""
        difference, low, high = self.difference()
        return {
            "column": self.column,
            "rate": self.rate,
            "groups": {name: rate.to_json() for name, rate in self.groups.items()},
            "too_small": list(self.too_small),
            "difference": difference,
            "low": low,
            "high": high,
            "ratio": self.four_fifths,
            "p": self.p,
            "p_adjusted": self.adjusted,
            "worse": list(self.worse),
        }


def compare_groups(columns: Mapping[str, Sequence[Any]], rates: Mapping[str, RowCounts]) -> list[GroupRates]:
    """Every rate over the groups of every column, where at least two groups have 30 trials.

    Args:
        columns: name → the group of each row; rows without one (null) belong to none.
        rates: name → hits and trials of each row.
    """
    found = []
    for column, values in columns.items():
        names = sorted({str(value) for value in values if value is not None})
        codes = np.array([-1 if value is None else names.index(str(value)) for value in values])
        for rate, counts in rates.items():
            # One more than needed, dropped: the rows without a group.
            hits, trials = (
                np.bincount(codes + 1, of, len(names) + 1)[1:].astype(np.int64) for of in (counts.hits, counts.trials)
            )
            groups = {
                name: Proportion(int(h), int(n)) for name, h, n in zip(names, hits, trials, strict=True) if n >= ENOUGH
            }
            too_small = tuple(name for name, n in zip(names, trials, strict=True) if 0 < n < ENOUGH)
            if len(groups) > 1:
                found.append(GroupRates(column, rate, groups, too_small, homogeneity_p(list(groups.values()))))
    return _corrected(found)


def _corrected(found: list[GroupRates]) -> list[GroupRates]:
    if not found:
        return []
    adjusted = benjamini_hochberg([one.p for one in found])
    return [
        GroupRates(
            one.column, one.rate, one.groups, one.too_small, one.p, float(p), _worse(one) if p < SIGNIFICANT else ()
        )
        for one, p in zip(found, adjusted, strict=True)
    ]


def _worse(one: GroupRates) -> tuple[str, ...]:
    """The groups significantly and largely below the rest: each against all others, corrected."""
    names = list(one.groups)
    rest = [one.rest(name) for name in names]
    adjusted = benjamini_hochberg([homogeneity_p([one.groups[n], r]) for n, r in zip(names, rest, strict=True)])
    return tuple(
        name
        for name, other, p in zip(names, rest, adjusted, strict=True)
        if p < SIGNIFICANT and is_large(one.groups[name].value, other.value)
    )


def is_large(rate: float, rest: float) -> bool:
    """Whether a rate is so far below another that it matters.

    >>> is_large(0.7, 0.85), is_large(0.05, 0.1), is_large(0.9, 0.95)
    (True, True, False)
    """
    return rate <= rest - LARGE_GAP or rate < FOUR_FIFTHS * rest


def homogeneity_p(groups: Sequence[Proportion], *, seed: int = 0, draws: int = 20_000) -> float:
    """P that all groups share one rate: chi-squared, or its permutation value where a cell expects fewer than 5.

    Near 0 % and 100 % the chi-squared distribution calls chance significant: at 98 % and 30 rows it expects 0.6 misses.
    """
    hits, totals = np.array([rate.hits for rate in groups]), np.array([rate.n for rate in groups])
    total, n = int(hits.sum()), int(totals.sum())
    if len(groups) < 2 or total in (0, n) or totals.min() * min(total, n - total) / n >= 5:
        return homogeneity_test(hits.tolist(), totals.tolist())

    def chi_squared(found: np.ndarray) -> np.ndarray:
        share = total / n
        return ratio((found - totals * share) ** 2, totals * share * (1 - share)).sum(axis=-1)

    drawn = np.random.default_rng(seed).multivariate_hypergeometric(totals, total, size=draws, method="marginals")
    as_far = int((chi_squared(drawn) >= chi_squared(hits) - 1e-9).sum())
    return (as_far + 1) / (draws + 1)
