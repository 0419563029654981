"""Scores as commands show them: an unknown metric is the user's error, a missing interval has its reason said."""

from collections.abc import Mapping, Sequence

from llmtune.errors import InputError
from llmtune.metrics import Score, score_predictions
from llmtune.predictions import Predictions


def score_table(table: Predictions, *, metrics: Sequence[str], seed: int) -> dict[str, Score]:
    """`score_predictions`, whose ValueErrors are about what the user gave.

    Raises:
        InputError: an unknown metric, or one that refuses these rows.
    """
    try:
        return score_predictions(table, metrics=metrics, seed=seed)
    except ValueError as error:
        raise InputError(str(error)) from error


def notes_of(scores: Mapping[str, Score]) -> list[str]:
    """Why values or intervals are missing, each reason once with the metrics it is about."""
    about: dict[str, list[str]] = {}
    for name, score in scores.items():
        if score.reason:
            what = "undefined" if score.value is None else "no interval"
            about.setdefault(f"{what}: {score.reason}", []).append(name)
    notes = []
    for reason, names in about.items():
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        notes.append(f"{reason} ({', '.join(names[:4])}{more})")
    return notes
