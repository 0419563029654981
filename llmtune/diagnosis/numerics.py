"""Non-finite values, probabilities outside [0, 1], rows without an output, silent truncation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmtune.diagnosis.check import FAIL, PASS, Check, percent
from llmtune.errors import InputError
from llmtune.metrics.core.columns import read_columns
from llmtune.predictions import Predictions

NAME = "numerics"
ROUNDING = 0.02  # a row of probabilities may miss 1 by this much: tables made elsewhere round to two places


def numerics(
    predictions: Predictions, losses: Sequence[float | None] = (), truncated: Mapping[str, int] | None = None
) -> Check:
    """Looks for values that are not finite numbers.

    Args:
        predictions: the table.
        losses: of the training log; None stands for NaN.
        truncated: by split, rows cut at max_length: said, no fault.
    """
    faults: dict[str, int] = {}
    for name in predictions.kind.required:
        faults[f"rows without {name}"] = predictions.table.column(name).null_count
    if (predictions.kind.single_label or predictions.kind.multi_label) and predictions.has("probabilities"):
        faults |= _broken_probabilities(predictions)
    elif predictions.kind.number_columns:
        faults |= _broken_columns(predictions)
    for unit in ("words", "rows"):
        faults[f"{unit} without a finite output"] = int(predictions.settings.get(f"nonfinite_{unit}", 0))
    faults["training losses that are not finite"] = sum(loss is None or not np.isfinite(loss) for loss in losses)
    found = {what: n for what, n in faults.items() if n}
    cut = {split: int(n) for split, n in (truncated or {}).items() if n}
    numbers: dict[str, Any] = {"rows": len(predictions), "faults": found, "truncated": cut}
    said = "; ".join(f"{n:,} {what}" for what, n in found.items())
    if found:
        remedy = "do not use these outputs: lower --learning_rate, train with --precision fp32, and look at these rows"
        return Check(NAME, FAIL, f"Non-finite or invalid numbers: {said}", numbers, remedy)
    test_cut = cut.get(predictions.split, 0)
    more = f"; {percent(test_cut / len(predictions))} of the texts were truncated at max_length" if test_cut else ""
    remedy = "raise --max_length" if test_cut > 0.05 * len(predictions) else ""
    return Check(NAME, PASS, f"Every row has a finite output{more}", numbers, remedy)


def _broken_probabilities(predictions: Predictions) -> dict[str, int]:
    probabilities = predictions.probabilities()
    finite = np.isfinite(probabilities).all(axis=1)
    kept = probabilities[finite]
    outside = ((kept < -ROUNDING) | (kept > 1 + ROUNDING)).any(axis=1)
    if predictions.kind.multi_label:  # independent: they sum to whatever they do
        return {
            "rows whose probabilities are NaN or missing": int((~finite).sum()),
            "rows with a probability outside 0 to 1": int(outside.sum()),
        }
    unequal = np.abs(kept.sum(axis=1) - 1) > ROUNDING
    return {
        "rows whose probabilities are NaN or missing": int((~finite).sum()),
        "rows whose probabilities do not sum to 1": int((outside | unequal).sum()),
    }


def _broken_columns(predictions: Predictions) -> dict[str, int]:
    try:
        _, columns, flaws = read_columns(predictions)
    except InputError as error:
        return {f"broken column ({error})": 1}
    broken = {
        name: int((~np.isfinite(columns[name]).reshape(len(predictions), -1).all(axis=1)).sum()) for name in flaws
    }
    # A null is counted once, as a row without.
    return {
        f"rows whose {name} is NaN or infinite": n - predictions.table.column(name).null_count
        for name, n in broken.items()
    }
