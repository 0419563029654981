"""Whether there are enough rows to say anything: 30, and 30 examples of each class asked about, or scored tokens."""

import numpy as np

from llmtune.diagnosis.check import NOT_ENOUGH_DATA, PASS, Check
from llmtune.diagnosis.messages import more_rows
from llmtune.diagnosis.proportions import OUTCOMES, outcomes
from llmtune.diagnosis.target_list import Target
from llmtune.evidence import ENOUGH
from llmtune.predictions import Predictions
from llmtune.text.shorten import join_names

NAME = "evidence"


def evidence(predictions: Predictions, targets: tuple[Target, ...] = ()) -> Check:
    """Counts what the targets name; without targets every class is needed."""
    counts = {"rows": len(predictions)}
    if predictions.kind in OUTCOMES:
        seen = outcomes(predictions)
        named = {target.label for target in targets if target.label is not None}
        needed = [label for label in seen.labels if label in named or not targets]
        counts |= {f"of {label!r}": seen.support(label) for label in needed}
    if "tokens" in predictions.kind.number_columns:
        scored = np.array([tokens or 0 for tokens in predictions.column("tokens")], dtype=np.float64)
        counts["scored tokens"] = int(scored[np.isfinite(scored)].sum())
    lacking = {name: ENOUGH - n for name, n in counts.items() if n < ENOUGH}
    numbers = {"needed": ENOUGH, "counts": counts}
    if lacking:
        told = join_names([f"{counts[name]} {name}" for name in lacking])
        finding = f"Too few test rows: {told}; at least {ENOUGH} are required"
        if predictions.kind.single_label:  # a row more of a class is a row more
            lacking["rows"] = lacking.get("rows", 0) - sum(n for name, n in lacking.items() if name != "rows")
        if predictions.has("time"):
            return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, more_rows(predictions, lacking["rows"], least=True))
        remedy = "label at least " + join_names([f"{n} more {name}" for name, n in lacking.items() if n > 0])
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, remedy)
    if "reference" in predictions.kind.number_columns and len(set(predictions.column("reference"))) == 1:
        value = predictions.column("reference")[0]
        finding = (
            f"The reference is {value:g} in every row: these rows cannot show whether the model tells numbers apart"
        )
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, f"add at least {ENOUGH} test rows with other numbers")
    fewest = min(counts, key=lambda name: counts[name])
    what = f"{counts[fewest]:,} {fewest}" + (", the fewest" if fewest.startswith("of ") else "")
    return Check(NAME, PASS, f"Enough to judge: {what}", numbers)
