"""Scores as commands show them: an unknown metric is the user's error, a missing interval has its reason said."""

from collections.abc import Mapping, Sequence

from llmtune.errors import InputError
from llmtune.metrics import Score, score_predictions
from llmtune.predictions import Predictions
from llmtune.text.shorten import join_names


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
    return [f"{reason} ({join_names(names)})" for reason, names in about.items()]
