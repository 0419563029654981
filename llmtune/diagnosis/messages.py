"""The words of targets: rates, what raises a metric, and what the field calls good and poor."""

from collections.abc import Mapping

from llmtune.diagnosis.check import percent
from llmtune.diagnosis.proportions import Proportion
from llmtune.metrics import Score
from llmtune.predictions import Predictions

# The field's rules of thumb, beside the verdict: (metric, good from, poor from).
THUMB = (("recall", 0.8, None), ("precision", 0.8, None), ("accuracy", 0.85, 0.6), ("perplexity", 20.0, 50.0))


def describe_rate(metric: str, label: str, rate: Proportion) -> str:
    """A rate in words: `recall of 'spam' is 12 % (3 of 25)`.

    >>> describe_rate("precision", "spam", Proportion(9, 10))
    "precision of 'spam' is 90 % (9 of 10)"
    """
    if metric == "recall":
        return f"recall of {label!r} is {percent(rate.value)} ({rate.hits} of {rate.n})"
    return f"precision of {label!r} is {percent(rate.value)} ({rate.hits} of {rate.n})"


def remedy_for(
    metric: str, label: str | None, value: float, predictions: Predictions, class_weights: str = "none"
) -> str:
    """What raises a metric of a model that was trained with these --class_weights: they are not advised twice."""
    of_two = predictions.kind.single_label and len(predictions.label_names) == 2
    positive = f"--positive_label {label} " if label is not None else ""
    weights = "--class_weights balanced, or " if class_weights == "none" else ""
    if metric == "recall" and of_two:
        return f"{weights}{positive}--threshold_objective 'recall>={value:g}' at the cost of precision"
    if metric == "precision" and of_two:
        return f"{positive}--threshold_objective 'precision>={value:g}' at the cost of recall"
    if metric.endswith("recall"):
        remedies = ["--class_weights balanced"] if class_weights == "none" else []
        remedies += [f"more training examples{'' if label is None else f' of {label!r}'}"]
        return f"{', '.join(remedies)}, or a larger model"
    return f"more or cleaner training rows, a larger model, or a lower target for {metric}"


def more_rows(predictions: Predictions, count: int | None = None, *, least: bool = False, what: str = "rows") -> str:
    """The remedy of too few test rows: they are labeled, but those of a series come with time.

    Args:
        predictions: of the test rows.
        count: how many more, where that is known.
        least: `count` is the fewest that help.
        what: the rows are, as `test rows` or `rows of 'spam'`.
    """
    more = "more" if count is None else f"{'at least' if least else 'about'} {count:,} more"
    if predictions.has("time"):
        return f"test over a longer time, {more} rows: give a longer --test_file or a larger --test_fraction"
    return f"label {more} {what}"


def reference_ranges(scores: Mapping[str, Score]) -> dict[str, str]:
    """What the field calls good and poor, as information."""
    said = {}
    for name, good, poor in THUMB:
        value = scores[name].value if name in scores else None
        if value is None:
            continue
        turned = -1 if name == "perplexity" else 1
        word = "good" if turned * value >= turned * good else "middling"
        if poor is not None and turned * value < turned * poor:
            word = "poor"
        said[name] = f"{value:.3g}: {word}"
    return said
