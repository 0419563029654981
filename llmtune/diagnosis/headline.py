"""The number that a reader wants first, in words."""

from collections.abc import Mapping

from llmtune.metrics import Score
from llmtune.metrics.core.base import with_interval
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import deciding_metric

# As a sentence begins; other names are written out, the first letter a capital.
NAMES = {"f1_macro": "Macro F1", "entity_f1": "Entity F1", "bleu": "BLEU", "rougeL": "ROUGE-L", "rmse": "RMSE"}
NAMES |= {"mse": "MSE", "mae": "MAE", "mcc": "MCC", "roc_auc": "ROC AUC", "chrf": "chrF", "entity_f2": "Entity F2"}


def headline(predictions: Predictions, scores: Mapping[str, Score] | None) -> str:
    """The deciding metric: `F1 of spam 0.864 [0.786, 0.919] on 500 rows`; empty without scores.

    Args:
        predictions: the table.
        scores: of it.
    """
    name = deciding_metric(predictions, scores or {})
    if scores is None or name is None:
        return ""
    return f"{_in_words(name, predictions)} {with_interval(scores[name])} on {len(predictions):,} rows"


def _in_words(name: str, predictions: Predictions) -> str:
    if name == "f1" and len(predictions.label_names) == 2:
        return f"F1 of {predictions.label_names[predictions.positive_id]}"
    return NAMES.get(name, name[:1].upper() + name[1:].replace("_", " "))
