"""High accuracy that hides a class: 98 % of all messages right, and 12 % of the spam found.

Fails where a class's recall is significantly below one half though accuracy is far higher, or where the Matthews
correlation is significantly near that of guessing. Where the recall may be on either side of one half, the rows can't
tell: to be sure, nine times in ten, that 0.46 is below takes 2,600 examples. What passes is better than always naming
the majority.
"""

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, not_applicable, percent
from llmtune.diagnosis.proportions import OUTCOMES, ClassCounts, outcomes, rows_to_decide
from llmtune.evidence import ENOUGH, FEWEST, SIGNIFICANT, SURE_LEVEL
from llmtune.metrics import confusion_matrix
from llmtune.metrics.mcc import score as mcc_of
from llmtune.predictions import Predictions
from llmtune.stats import multinomial_bootstrap

NAME = "accuracy_paradox"
HALF = 0.5  # a class of which less than half is found is missed
HIDDEN = 0.2  # accuracy less recall, from which on the one number hides the other
GUESSING = 0.1  # a Matthews correlation below is hardly better than guessing
OPPOSITE = -0.4  # one that guessing doesn't reach; with c classes the least possible is about −1 / (c − 1)


def accuracy_paradox(predictions: Predictions, *, class_weights: str = "none") -> Check:
    """Of classes, and of entity types beside the accuracy of words.

    Args:
        predictions: of the test rows.
        class_weights: that the model was trained with: the remedy doesn't advise what was done.
    """
    if predictions.kind not in OUTCOMES:
        return not_applicable(NAME, f"{predictions.kind} has no classes that an accuracy could hide")
    seen = outcomes(predictions)
    if not seen.labels:
        return not_applicable(NAME, "the reference holds no entity")
    correlation, guessing, chance = _correlation(predictions, seen)
    numbers = {
        "accuracy": seen.accuracy.to_json(),
        "majority": seen.majority,
        "mcc": correlation,
        "recall": {label: seen.recall[label].rate.to_json() for label in seen.labels},
    }
    tested = [label for label in seen.labels if seen.support(label) >= FEWEST]
    missed = [label for label in tested if _is_hidden(seen, label, len(tested))]
    if missed:
        worst = min(missed, key=lambda label: seen.recall[label].rate.value)
        rate = seen.recall[worst].rate
        finding = (
            f"Recall of {worst!r} is {percent(rate.value)} ({rate.hits} of {rate.n}), although accuracy is "
            f"{percent(seen.accuracy.value)}; always predicting the most frequent class reaches "
            f"{percent(seen.majority)}"
        )
        return Check(NAME, FAIL, finding, numbers, _remedy(predictions, worst, class_weights))
    only = [label for label in seen.labels if seen.support(label)]
    if predictions.kind.single_label and len(only) == 1:
        finding = (
            f"Every row is of class {only[0]!r}: these rows cannot show whether the model recognizes another class"
        )
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, f"add at least {ENOUGH} test rows of another class")
    if guessing and correlation is not None and correlation < OPPOSITE:
        finding = (
            "Predictions say mostly another class than the labels: their Matthews correlation is "
            f"{correlation:.2f} (0 is guessing, −1 the opposite)"
        )
        return Check(NAME, FAIL, finding, numbers, "compare the order of the model's classes with that of the labels")
    if guessing:
        finding = (
            "Predictions hardly depend on the input: their Matthews correlation with the labels is "
            f"{correlation:.2f} (0 is guessing)"
        )
        return Check(NAME, FAIL, finding, numbers, "check the labels and --learning_rate: the model learned nothing")
    lacking = [label for label in seen.labels if seen.support(label) < ENOUGH]
    if lacking:
        rarest = seen.rarest
        n = seen.support(rarest)
        finding = (
            f"Too few rows of {rarest!r} ({n}) to estimate its recall, without which an accuracy of "
            f"{percent(seen.accuracy.value)} does not tell a model from a constant answer"
        )
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, f"label at least {ENOUGH - n} more rows of {rarest!r}")
    if chance:
        finding = (
            f"An accuracy of {percent(seen.accuracy.value)} may be guessing: always predicting the majority reaches "
            f"{percent(seen.majority)}"
        )
        return Check(
            NAME, NOT_ENOUGH_DATA, finding, numbers, "label more test rows: four times as many halve the interval"
        )
    least = min(seen.labels, key=lambda label: seen.recall[label].rate.value)
    rate = seen.recall[least].rate
    if rate.interval()[0] < HALF and seen.accuracy.value - rate.value >= HIDDEN:
        finding = (
            f"Too few rows to tell whether recall of {least!r} is above one half ({rate.hits} of {rate.n}), although "
            f"accuracy is {percent(seen.accuracy.value)}"
        )
        more = rows_to_decide(rate.value, HALF, 0.95 if rate.value > HALF else 1 - 2 * SIGNIFICANT / len(tested))
        remedy = "label more rows" if more is None else f"label about {max(1, more - rate.n):,} more rows"
        remedy = f"{remedy} of {least!r}; or {_remedy(predictions, least, class_weights)}"
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, remedy)
    finding = (
        f"Recall of {least!r}, the lowest, is {percent(rate.value)} ({rate.hits} of {rate.n}); accuracy is "
        f"{percent(seen.accuracy.value)}"
    )
    return Check(NAME, PASS, finding, numbers)


def _is_hidden(seen: ClassCounts, label: str, tests: int) -> bool:
    rate = seen.recall[label].rate
    return rate.significantly_below(HALF, p=SIGNIFICANT / tests) and seen.accuracy.value - rate.value >= HIDDEN


def _correlation(predictions: Predictions, seen: ClassCounts) -> tuple[float | None, bool, bool]:
    """Matthews correlation; whether it is significantly that of guessing; whether it may be."""
    if not predictions.kind.single_label:
        return None, False, False
    matrix = confusion_matrix(
        predictions.label_ids("reference"), predictions.label_ids("prediction"), len(predictions.label_names)
    )
    value = float(mcc_of(matrix[None])[0])
    if seen.support(seen.rarest) < ENOUGH:
        return value, False, False
    low, high, _ = multinomial_bootstrap(matrix, mcc_of, level=SURE_LEVEL)
    if low is None or high is None:  # every resample alike: a perfect or a constant model
        return value, value < GUESSING, False
    return value, high < GUESSING, low <= 0


def _remedy(predictions: Predictions, label: str, class_weights: str) -> str:
    weights = "train with --class_weights balanced, or " if class_weights == "none" else ""
    if not predictions.kind.single_label:
        return f"{weights}label more examples of {label!r} for train"
    if len(predictions.label_names) > 2:
        return f"{weights}label more rows of {label!r} for train"
    threshold = f"--positive_label {label} --threshold_objective 'recall>=0.9'"
    return f"{weights}{threshold}" if weights else f"{threshold}, or label more rows of {label!r} for train"
