"""The number that a reader wants first, in words."""

from collections.abc import Mapping

from llmtune.metrics import Score
from llmtune.metrics.core.base import with_interval
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import shortens

# The first of these that a table has, else its first metric.
MAIN = ("f1", "f1_macro", "entity_f1")
NAMES = {"f1_macro": "Macro F1", "entity_f1": "Entity F1", "bleu": "BLEU", "rougeL": "ROUGE-L", "rmse": "RMSE"}


def headline(predictions: Predictions, scores: Mapping[str, Score] | None) -> str:
    """The main number with its interval and rows: `F1 of spam 0.864 [0.786, 0.919] on 500 rows`; empty without scores.

    Args:
        predictions: the table.
        scores: of it.
    """
    name = main_metric(predictions, scores or {})
    if name is None:
        return ""
    score = (scores or {})[name]
    return f"{_in_words(name, predictions)} {with_interval(score)} on {len(predictions):,} rows"


def main_metric(predictions: Predictions, scores: Mapping[str, Score]) -> str | None:
    """The metric that says most of a table; None without any."""
    if "rougeL" in scores and shortens(predictions):
        return "rougeL"
    return next((name for name in (*MAIN, *scores) if name in scores), None)


def _in_words(name: str, predictions: Predictions) -> str:
    if name == "f1" and len(predictions.label_names) == 2:
        return f"F1 of {predictions.label_names[predictions.positive_id]}"
    return NAMES.get(name, name[:1].upper() + name[1:].replace("_", " "))
