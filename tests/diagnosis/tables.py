"""Tables by their counts, for tests that judge them."""

import numpy as np

from llmtune.predictions import Predictions, make_predictions


def binary(hits: int, missed: int, alarms: int, rest: int, **carried: list) -> Predictions:
    """Spam found and missed, ham predicted as spam and ham left alone, in this order."""
    reference = ["spam"] * (hits + missed) + ["ham"] * (alarms + rest)
    prediction = ["spam"] * hits + ["ham"] * missed + ["spam"] * alarms + ["ham"] * rest
    return make_predictions(
        "classification",
        {"reference": reference, "prediction": prediction},
        carried=carried,
        label_names=["ham", "spam"],
    )


def of_three(hits: int, missed: int) -> Predictions:
    """Rows of `c` found and missed, after 900 of `a` and `b` that are all right."""
    reference = ["a", "b"] * 450 + ["c"] * (hits + missed)
    prediction = ["a", "b"] * 450 + ["c"] * hits + ["a"] * missed
    columns = {"reference": reference, "prediction": prediction}
    return make_predictions("classification", columns, label_names=["a", "b", "c"])


def with_probabilities(reference: np.ndarray, positive: np.ndarray, threshold: float = 0.5, **more) -> Predictions:
    """Two classes from the probability of the second."""
    names = np.array(["ham", "spam"])
    return make_predictions(
        "classification",
        {
            "reference": names[reference.astype(int)].tolist(),
            "prediction": names[(positive >= threshold).astype(int)].tolist(),
            "probabilities": np.stack([1 - positive, positive], axis=1),
        },
        label_names=names.tolist(),
        threshold=threshold,
        **more,
    )
