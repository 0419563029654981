"""Rows of a series are alike in time: a bootstrap that draws whole stretches of it. Letters: n rows, u times, s sums.

Rows drawn one by one would call an error that lasts a week seven errors. Drawn are blocks of neighboring times with
replacement, the end going on at the begin (circular blocks, Politis and Romano 1992), so that every time is drawn as
often as any other; rows of one time, of several series, stay together.
"""

from dataclasses import dataclass

import numpy as np

from llmtune.stats import ConfidenceInterval, Statistic, expanded_level, percentile_interval

FEWEST_BLOCKS = 8  # below, an interval of few blocks says nothing
N_RESAMPLES = 2_000


@dataclass(frozen=True, eq=False)
class TimeBlocks:
    """Where rows stand in time, and how long a block is.

    Args:
        rank: of the time of each row among all times, (n,), from 0.
        length: times of a block.
    """

    rank: np.ndarray
    length: int

    @classmethod
    def of(cls, rank: np.ndarray, horizon: int = 1) -> "TimeBlocks":
        """Blocks of u^(1/3) times, the rate of Hall, Horowitz and Jing (1995), never shorter than the horizon.

        Errors of h steps ahead overlap in h - 1 of them, whatever the model.
        """
        return cls(rank, max(horizon, round(float(rank.max() + 1) ** (1 / 3)), 1) if len(rank) else 1)

    def by_time(self, statistics: np.ndarray) -> np.ndarray:
        """Statistics of rows (n, s) summed over the rows of each time, (u, s)."""
        sums = np.zeros((int(self.rank.max()) + 1, statistics.shape[1]))
        np.add.at(sums, self.rank, statistics)
        return sums

    def interval(
        self, statistics: np.ndarray, score: Statistic, *, seed: int = 0, level: float = 0.95
    ) -> ConfidenceInterval:
        """Percentiles of a score over resampled blocks, of a level wider where blocks are few (Hesterberg 2015).

        Args:
            statistics: of each row, (n, s).
            score: sums (B, s) → (B,).
            seed: of the draw.
            level: nominal coverage.
        """
        of_times = self.by_time(statistics)
        blocks = len(of_times) // self.length
        if blocks < FEWEST_BLOCKS:
            reason = f"{len(of_times)} times are {blocks} blocks of {self.length}: an interval needs {FEWEST_BLOCKS}"
            return ConfidenceInterval(None, None, reason)
        value = float(score(of_times.sum(axis=0)[None])[0])
        return percentile_interval(score(self.resampled(of_times, seed)), value, expanded_level(level, blocks))

    def resampled(self, of_times: np.ndarray, seed: int) -> np.ndarray:
        """Sums over u drawn times, (B, s): of (u, s) as many blocks as they hold, the last one cut."""
        u, rng = len(of_times), np.random.default_rng(seed)
        wrapped = np.concatenate([of_times, of_times[: self.length]])
        # Sums of stretches from their ends: a resample costs its blocks, not its rows.
        before = np.concatenate([np.zeros((1, of_times.shape[1])), np.cumsum(wrapped, axis=0)])
        full, rest = divmod(u, self.length)
        starts = rng.integers(0, u, (N_RESAMPLES, full))
        sums = (before[starts + self.length] - before[starts]).sum(axis=1)
        if rest:
            starts = rng.integers(0, u, N_RESAMPLES)
            sums += before[starts + rest] - before[starts]
        return sums
