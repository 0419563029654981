"""Metrics that are not ours: an object of `evaluate.load(...)`, a module by name or path, or a plain function."""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from llmtune.metrics.core.registry import module_names

Foreign = Any  # an evaluate.EvaluationModule, or a function of (predictions, references) → float or {name: float}


def load_foreign(name: str) -> Foreign:
    """`evaluate.load(name)`, and an error that names what we have where it is not to be found.

    Raises:
        ValueError: neither ours nor known to `evaluate` (offline: neither a path nor in its cache).
    """
    import evaluate

    try:
        return evaluate.load(name)
    except (FileNotFoundError, ConnectionError) as error:
        raise ValueError(
            f"metric {name!r} is none of ours ({', '.join(module_names())}), and evaluate.load({name!r}) found "
            f"none either: {error}. Check the name, or give the path of its script"
        ) from error


def foreign_values(foreign: Foreign, predictions: Sequence[Any], references: Sequence[Any]) -> dict[str, float]:
    """Calls it on all rows and keeps the numbers it returns, as plain floats."""
    import evaluate

    if isinstance(foreign, evaluate.EvaluationModule):
        found = foreign.compute(predictions=predictions, references=references)
        name = str(foreign.name)
    else:
        found = foreign(predictions, references)
        name = str(foreign.__name__)
    if isinstance(found, numbers.Real | np.ndarray):
        found = {name: found}
    if not isinstance(found, dict):
        raise ValueError(f"metric {name}: returned {type(found).__name__}; return a number or a dict of numbers")
    return {key: float(value) for key, value in found.items() if isinstance(value, numbers.Real)}
