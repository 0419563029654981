"""Whether rows with a probability of 0.9 are right nine times of ten. Informs; it never makes a model not ready.

Fails where the expected calibration error is above 0.05 and above what chance shows in 99.5 % of calibrated models.
"""

import numpy as np
from scipy.optimize import minimize_scalar

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, not_applicable
from llmtune.evidence import ENOUGH
from llmtune.metrics.ece import BinSums, null_distribution
from llmtune.metrics.ece import score as ece_of
from llmtune.predictions import Predictions, make_predictions
from llmtune.predictions.kinds import CLASSIFICATION
from llmtune.text.shorten import row_count

NAME = "calibration"
LARGE = 0.05
NULL_QUANTILE = 0.995


def calibration(
    predictions: Predictions, validation: Predictions | None = None, *, class_weights: str = "none", seed: int = 0
) -> Check:
    """ECE beside its null value, Brier score, and the temperature that validation would choose.

    Of several labels a row every label of every row counts, as one of two classes: there and not there. Of a model
    trained with `class_weights` no temperature is advised: weights shift the logits of a class, they don't scale them.
    """
    if predictions.kind.multi_label:
        predictions, validation = label_decisions(predictions), None
    if not predictions.kind.single_label:
        return not_applicable(NAME, f"{predictions.kind} tables hold no class probabilities")
    if not predictions.has("probabilities"):
        return not_applicable(NAME, "the table has no column 'probabilities'")
    kept = _usable(predictions)
    reference, probabilities = kept
    if len(reference) < ENOUGH:
        finding = f"{row_count(len(reference))} with probabilities: too few to estimate the calibration error"
        return Check(NAME, NOT_ENOUGH_DATA, finding, {"rows": len(reference)}, f"label at least {ENOUGH} rows")
    columns = {"reference": reference, "probabilities": probabilities}
    positive = predictions.positive_id if len(predictions.label_names) == 2 else None
    ece = float(ece_of(BinSums(positive)(columns))[0])
    null = null_distribution(columns, positive, seed=seed)
    bound = float(np.quantile(null, NULL_QUANTILE))
    truth = np.eye(len(predictions.label_names))[reference]
    numbers: dict[str, float | None] = {
        "ece": ece,
        "ece_expected_by_chance": float(null.mean()),
        "ece_chance_bound": bound,
        "brier": float(((probabilities - truth) ** 2).sum(axis=1).mean()),
        "brier_of_shares": float(((truth.mean(axis=0) - truth) ** 2).sum(axis=1).mean()),
        "temperature_on_validation": None if validation is None else temperature(validation),
    }
    said = f"expected calibration error {ece:.3f}, up to {bound:.3f} by chance"
    if ece > bound and ece > LARGE:
        over = float(probabilities.max(axis=1).mean()) > float((probabilities.argmax(axis=1) == reference).mean())
        chosen = numbers["temperature_on_validation"]
        how = (
            f"divide the logits by {chosen:.2f}"
            if chosen
            else "fit a temperature on validation and divide the logits by it"
        )
        finding = f"The probabilities are {'overconfident' if over else 'underconfident'}: {said}"
        remedy = f"{how}; predicted classes stay, probabilities become calibrated"
        if class_weights != "none":
            remedy = (
                f"train without --class_weights {class_weights}: weights move the probabilities of a label away from "
                "its share, which no temperature undoes"
            )
            if len(predictions.label_names) == 2:
                remedy += "; for a rare label --threshold_objective does what weights do"
        return Check(NAME, FAIL, finding, numbers, remedy)
    return Check(NAME, PASS, f"The probabilities are calibrated within chance or 0.05: {said}", numbers)


def label_decisions(predictions: Predictions) -> Predictions:
    """Each label of each row as a row of two classes, with its probability; without probabilities the table itself."""
    if not predictions.has("probabilities"):
        return predictions
    names, present = np.array(["no", "yes"]), predictions.probabilities().ravel()
    columns = {
        name: names[predictions.label_sets(name).ravel().astype(np.int64)] for name in ("reference", "prediction")
    }
    columns["probabilities"] = np.stack([1 - present, present], axis=1)
    return make_predictions(CLASSIFICATION, columns, label_names=names.tolist())


def temperature(validation: Predictions) -> float | None:
    """The T of softmax(logits / T) with the least log loss (Guo 2017); above 1 the model is overconfident.

    None where validation has no probabilities, or too few rows.
    """
    if not validation.has("probabilities"):
        return None
    reference, probabilities = _usable(validation)
    if len(reference) < ENOUGH:
        return None
    logs = np.log(np.clip(probabilities, 1e-12, None))

    def log_loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        shifted = scaled - scaled.max(axis=1, keepdims=True)
        of_true = shifted[np.arange(len(reference)), reference]
        return float((np.log(np.exp(shifted).sum(axis=1)) - of_true).mean())

    found = minimize_scalar(log_loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(found.x))


def _usable(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    probabilities = predictions.probabilities()
    # What lies outside is no probability: `numerics` says so.
    usable = ((probabilities >= 0) & (probabilities <= 1 + 1e-6)).all(axis=1)
    return predictions.label_ids("reference")[usable], probabilities[usable]
