"""How a function that is not ours takes predictions and references: by the names of its parameters, or in this order.

scikit-learn takes the references first, most of Hugging Face the predictions. Given the wrong way round precision is
recall, and nothing tells: where a function's parameters say which is which, they decide.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

REFERENCES = frozenset(
    [
        "references",
        "reference",
        "refs",
        "ref",
        "y_true",
        "labels_true",
        "true_labels",
        "y",
        "labels",
        "label",
        "label_ids",
        "targets",
        "target",
        "gold",
        "golds",
        "gold_labels",
        "truth",
        "truths",
        "ground_truth",
        "ground_truths",
        "expected",
        "actual",
    ]
)
PREDICTIONS = frozenset(
    [
        "predictions",
        "prediction",
        "preds",
        "pred",
        "y_pred",
        "y_hat",
        "labels_pred",
        "pred_labels",
        "predicted",
        "hypotheses",
        "hypothesis",
        "hyps",
        "hyp",
        "outputs",
    ]
)
SCORES = frozenset(["y_score", "y_prob", "y_proba", "pred_decision", "probabilities", "probs", "logits"])


def call_in_order(function: Callable[..., Any], predictions: Sequence[Any], references: Sequence[Any]) -> Any:
    """What the function returns for these rows; a function that names neither gets the predictions first.

    Raises:
        ValueError: it takes scores, which a table of labels, tags or texts doesn't give.
    """
    names = _parameters(function)
    scores = next((name for name in names[:2] if name in SCORES), None)
    if scores is not None:
        raise ValueError(
            f"its parameter {scores!r} takes scores, and it would be given the predictions themselves; use a metric "
            "that takes predictions"
        )
    of_references = next((name for name in names if name in REFERENCES), None)
    of_predictions = next((name for name in names if name in PREDICTIONS), None)
    if of_references and of_predictions:
        return function(**{of_predictions: predictions, of_references: references})
    if len(names) > 1 and (names[0] in REFERENCES or names[1] in PREDICTIONS):
        return function(references, predictions)
    return function(predictions, references)


def _parameters(function: Callable[..., Any]) -> list[str]:
    """Names of the parameters that may be given by name, in their order."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C
        return []
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [parameter.name for parameter in parameters if parameter.kind in named]
