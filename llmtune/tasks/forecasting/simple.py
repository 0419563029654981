"""What a forecaster must beat: forecasts that need no training, and ridge regression on the same windows."""

import numpy as np

from llmtune.tasks.forecasting.steps import Steps
from llmtune.tasks.forecasting.windows import Windows

# Chosen by leave-one-out error on train (Allen 1974), which has a closed form; inputs and target are scaled.
PENALTIES = tuple(10.0**power for power in range(-3, 5))


def persistence(windows: Windows) -> np.ndarray:
    """The last value stays, (m, h)."""
    return np.repeat(windows.last_values[:, None], windows.horizon, axis=1)


def seasonal_naive(windows: Windows, season: int) -> np.ndarray:
    """The value one season (or as many as it takes) before, (m, h); `season` is at most the lookback."""
    steps = np.arange(windows.horizon)
    return windows.past_targets[:, windows.lookback + steps % season - season]


def drift(windows: Windows, train: Windows) -> np.ndarray:
    """The last value goes on by the mean change of its series in train, (m, h)."""
    mean_changes = {
        key: float(np.nanmean(np.diff(train.steps.target[begin:end]))) if end - begin > 1 else 0.0
        for key, begin, end in train.steps.spans()
    }
    change = np.array([mean_changes[key] for key in windows.keys])
    return windows.last_values[:, None] + change[:, None] * np.arange(1, windows.horizon + 1)


def ridge(windows: Windows, train: Windows) -> np.ndarray:
    """Linear regression with a squared penalty on all numbers of a window, as the model reads them, (m, h)."""
    from sklearn.linear_model import RidgeCV

    flat = [part.past_values().astype(np.float64).reshape(len(part), -1) for part in (train, windows)]
    fitted = RidgeCV(alphas=PENALTIES).fit(flat[0], train.labels().astype(np.float64))
    return windows.to_unit(fitted.predict(flat[1]))


def naive_mae(train: Steps, season: int) -> float | None:
    """The mean absolute error on train of repeating the value one season before, for MASE; None of shorter series."""
    target = train.target
    changes = [
        np.abs(target[begin + season : end] - target[begin : end - season])
        for _, begin, end in train.spans()
        if end - begin > season
    ]
    errors = np.concatenate(changes) if changes else np.array([])
    errors = errors[np.isfinite(errors)]
    return float(errors.mean()) if len(errors) else None
