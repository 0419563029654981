"""The number that a reader wants first, in words."""

from collections.abc import Mapping

from llmtune.metrics import Score
from llmtune.metrics.core.base import with_interval
from llmtune.metrics.core.headlines import about_positive
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import deciding_metric
from llmtune.text.shorten import row_count

# As a sentence begins; other names are written out, the first letter a capital.
NAMES = {"f1_macro": "Macro F1", "entity_f1": "Entity F1", "bleu": "BLEU", "rougeL": "ROUGE-L", "rmse": "RMSE"}
NAMES |= {"mse": "MSE", "mae": "MAE", "mcc": "MCC", "roc_auc": "ROC AUC", "chrf": "chrF", "entity_f2": "Entity F2"}
NAMES |= {"mape": "MAPE", "smape": "sMAPE", "mase": "MASE", "r2": "R²", "ter": "TER", "cohen_kappa": "Cohen's kappa"}
NAMES |= {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "f1_weighted": "Weighted F1", "f1_micro": "Micro F1"}
NAMES |= {"chrf++": "chrF++", "rougeLsum": "ROUGE-Lsum"}
NAMES |= {"f1_samples": "F1 by row", "jaccard_samples": "Jaccard index by row", "lrap": "Label ranking precision"}
NAMES |= {"average_precision_macro": "Macro average precision", "roc_auc_macro": "Macro ROC AUC"}
NAMES |= {"f1_micro@0.5": "Micro F1 at 0.5", "f1_macro@0.5": "Macro F1 at 0.5"}
NAMES |= {"ece": "Calibration error", "ece_null": "Calibration error by chance", "brier": "Brier score"}


def headline(predictions: Predictions, scores: Mapping[str, Score] | None) -> str:
    """The deciding metric: `F1 of spam 0.864 [0.786, 0.919] on 500 rows`; empty without scores.

    Args:
        predictions: the table.
        scores: of it.
    """
    name = deciding_metric(predictions, scores or {})
    if scores is None or name is None:
        return ""
    return f"{metric_in_words(name, predictions)} {with_interval(scores[name])} on {row_count(len(predictions))}"


def metric_in_words(name: str, predictions: Predictions) -> str:
    """`F1 of spam`, `Macro F1`; a name without words of its own is written out."""
    words = NAMES.get(name, name[:1].upper() + name[1:].replace("_", " "))
    return (
        f"{words} of {predictions.positive_name}" if about_positive(name, predictions.positive_name) != name else words
    )
