"""The metrics of a table that a person reads first, in order."""

from collections.abc import Iterable

from llmtune.predictions.kinds import ONE_SIDED, Kind


def headline_names(kind: Kind, scores: Iterable[str]) -> tuple[str, ...]:
    """The headlines of a kind that were computed, then the others: neither of one class nor a further average."""
    whole = [name for name in scores if "[" not in name]
    first = tuple(name for name in kind.headlines if name in whole)
    return (*first, *(name for name in whole if name not in first and not (first and _is_variant(name))))


def about_positive(name: str, positive_label: str | None) -> str:
    """The name of a metric with the class that it is about, of two: `f1 of junk`; others as they are.

    >>> about_positive("f1", "junk"), about_positive("accuracy", "junk"), about_positive("f1", None)
    ('f1 of junk', 'accuracy', 'f1')
    """
    return f"{name} of {positive_label}" if is_one_sided(name) and positive_label is not None else name


def is_one_sided(name: str) -> bool:
    """Whether a metric is about the positive label alone, where there are two."""
    return name.removesuffix("@0.5") in (*ONE_SIDED, "average_precision")


def _is_variant(name: str) -> bool:
    return name.endswith(("_macro", "_micro", "_weighted", "_samples", "@0.5", "_lenient"))
