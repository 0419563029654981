"""Diebold and Mariano's (1995) test that two forecasts err alike, with Harvey, Leybourne and Newbold's correction."""

import math
from typing import NamedTuple

import numpy as np
from scipy import special


class DieboldMariano(NamedTuple):
    """The test.

    Args:
        statistic: above 0 where A errs more.
        p: two-sided, of Student's t with u - 1 degrees of freedom.
    """

    statistic: float
    p: float


def diebold_mariano(loss_a: np.ndarray, loss_b: np.ndarray, horizon: int = 1) -> DieboldMariano | None:
    """Tests whether the mean of loss_a - loss_b is 0.

    The variance counts the autocovariances of h - 1 lags, as errors of h steps ahead overlap; where that is not above 0
    it counts them by Bartlett's weights. The correction (Harvey, Leybourne and Newbold 1997) is for small samples.

    Args:
        loss_a: of each time, (u,), in order.
        loss_b: likewise.
        horizon: h.

    Returns:
        None where there are fewer than 2 h times, or the losses differ by the same everywhere.
    """
    difference = np.asarray(loss_a, dtype=np.float64) - np.asarray(loss_b, dtype=np.float64)
    u, h = len(difference), horizon
    if u < 2 * h or u < 2:
        return None
    centered = difference - difference.mean()
    covariances = np.array([(centered[lag:] * centered[: u - lag]).sum() / u for lag in range(h)])
    if covariances[0] <= 1e-24 * max(1.0, float((difference**2).max())):
        return None
    variance = covariances[0] + 2 * covariances[1:].sum()
    if variance <= 0:
        variance = covariances[0] + 2 * ((1 - np.arange(1, h) / h) * covariances[1:]).sum()
    corrected = math.sqrt((u + 1 - 2 * h + h * (h - 1) / u) / u)
    statistic = corrected * float(difference.mean()) / math.sqrt(variance / u)
    return DieboldMariano(statistic, float(2 * special.stdtr(u - 1, -abs(statistic))))
