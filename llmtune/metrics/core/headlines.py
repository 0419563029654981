"""The metrics of a table that a person reads first, in order."""

from collections.abc import Iterable

from llmtune.predictions.kinds import Kind


def headline_names(kind: Kind, scores: Iterable[str]) -> tuple[str, ...]:
    """The headlines of a kind that were computed, then the others: neither of one class nor a further average."""
    whole = [name for name in scores if "[" not in name]
    first = tuple(name for name in kind.headlines if name in whole)
    return (*first, *(name for name in whole if name not in first and not (first and _is_variant(name))))


def _is_variant(name: str) -> bool:
    return name.endswith(("_macro", "_micro", "_weighted", "@0.5", "_lenient"))
