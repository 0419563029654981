"""What is true of each kind of predictions table."""

from typing import Any

import numpy as np

from llmtune.predictions import Predictions
from llmtune.text.words import split_at_spaces

LONG_SOURCE = 3.0  # times the words of the reference, from which on a source is shortened, not translated


def shortens(test: Predictions) -> bool:
    """Whether a text-generation table summarises: its sources are known, and far longer than its references."""
    if not test.has("source"):
        return False
    sources = [len(split_at_spaces(text or "")) for text in test.column("source")]
    references = [len(split_at_spaces(str(_first(of) if of else ""))) for of in test.column("reference")]
    return float(np.median(sources)) > LONG_SOURCE * max(1.0, float(np.median(references)))


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value
