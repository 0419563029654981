"""The metrics of a classifier that a person reads first."""

from collections.abc import Iterable

HEADLINES: tuple[str, ...] = (
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "precision",
    "recall",
    "f1",
    "f1@0.5",
    "mcc",
    "roc_auc",
)
HEADLINES += ("average_precision", "log_loss", "brier", "ece")


def headline_names(scores: Iterable[str]) -> tuple[str, ...]:
    """Those of these metrics, in order: neither of one class nor a further average."""
    names = list(scores)
    extra = [name for name in names if name not in HEADLINES and "[" not in name and not _is_averaged(name)]
    return (*(name for name in HEADLINES if name in names), *extra)


def _is_averaged(name: str) -> bool:
    return name.endswith(("_macro", "_micro", "_weighted", "@0.5"))
