"""Temperature scaling (Guo et al. 2017): logits divided by a number fitted on validation, for probabilities that hold.

The predicted class stays where it is the arg-max; 1 stays unless the paired interval of the gain excludes 0.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from llmtune.evidence import ENOUGH
from llmtune.predictions import Predictions
from llmtune.stats import ConfidenceInterval, paired_cluster_bootstrap

LARGEST = 20.0  # and 1/20 the least: beyond, the fit runs away from separable rows
TINY = 1e-12  # of a probability, as its logarithm is taken


@dataclass(frozen=True)
class TemperatureChoice:
    """The outcome of a fit.

    Args:
        temperature: that the logits are divided by; 1 where the fit was not taken.
        candidate: the best on validation.
        log_loss: on validation at 1, nats a row.
        log_loss_at_candidate: on validation at the candidate.
        gain: 95 % interval of the fall of log loss; None where too few rows were there.
        reason: why this temperature, in one sentence.
    """

    temperature: float
    candidate: float
    log_loss: float
    log_loss_at_candidate: float
    gain: ConfidenceInterval | None
    reason: str


def scale_probabilities(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """The softmax of logits divided by the temperature, from their softmax, shape (n, c); NaN stays NaN.

    >>> scale_probabilities(np.array([[0.9, 0.1]]), 2.0).round(2).tolist()
    [[0.75, 0.25]]
    """
    if temperature == 1:
        return probabilities
    logs = np.log(np.maximum(probabilities, TINY)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    scaled: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return scaled


def choose_temperature(validation: Predictions, *, seed: int = 0) -> TemperatureChoice:
    """Fits the temperature on a validation table of classes; rows that are not finite take no part.

    Args:
        validation: with probabilities at temperature 1.
        seed: of the bootstrap.
    """
    probabilities = validation.probabilities()
    finite = np.isfinite(probabilities).all(axis=1)
    probabilities, labels = probabilities[finite], validation.label_ids("reference")[finite]
    if len(labels) < ENOUGH:
        reason = f"1: {len(labels)} rows of validation are too few to fit a temperature"
        return TemperatureChoice(1.0, 1.0, np.nan, np.nan, None, reason)

    def nats(temperature: float) -> np.ndarray:
        scaled = scale_probabilities(probabilities, temperature)
        return -np.log(np.maximum(scaled[np.arange(len(labels)), labels], TINY))

    bounds = (-np.log(LARGEST), np.log(LARGEST))
    fit = optimize.minimize_scalar(lambda log: float(nats(np.exp(log)).mean()), bounds=bounds, method="bounded")
    candidate = float(np.exp(fit.x))
    before, after = nats(1.0), nats(candidate)
    counted_after, counted_before = (np.stack([rows, np.ones(len(rows))], axis=1) for rows in (after, before))
    _, gain = paired_cluster_bootstrap(counted_after, counted_before, lambda sums: sums[:, 0] / sums[:, 1], seed=seed)
    losses = (float(before.mean()), float(after.mean()))
    told = f"log loss on validation from {losses[0]:.3f} to {losses[1]:.3f}"
    if gain.low is not None and gain.high is not None and gain.low > 0:
        reason = f"{candidate:.3g}: {told}, 95 % interval of the fall [{gain.low:.3f}, {gain.high:.3f}]"
        return TemperatureChoice(candidate, candidate, *losses, gain, reason)
    return TemperatureChoice(1.0, candidate, *losses, gain, f"1: {candidate:.3g} would bring {told}, perhaps by chance")
