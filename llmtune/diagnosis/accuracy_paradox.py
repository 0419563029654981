"""High accuracy that hides a class: 98 % of all messages right, and 12 % of the spam found.

Fails where a class's recall is surely below one half though accuracy is far higher, or where the Matthews correlation
is surely near that of guessing. Where the recall may be on either side of one half, the rows can't tell: to be sure,
nine times in ten, that 0.46 is below takes 2,600 examples. What passes is better than always naming the majority.
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


def accuracy_paradox(predictions: Predictions) -> Check:
    """Of classes, and of entity types beside the accuracy of words."""
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
        found = f"only {percent(rate.value)}" if rate.hits else "none"
        finding = (
            f"It finds {found} of {worst!r} ({rate.hits} of {rate.n}), though "
            f"{percent(seen.accuracy.value)} of all answers are right; naming nothing but the most frequent class "
            f"makes {percent(seen.majority)} right"
        )
        return Check(NAME, FAIL, finding, numbers, _remedy(predictions, worst))
    only = [label for label in seen.labels if seen.support(label)]
    if predictions.kind.single_label and len(only) == 1:
        finding = f"Every row is of {only[0]!r}: whether it tells other classes apart can't be seen"
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, f"add {ENOUGH} test rows of another class at least")
    if guessing:
        finding = (
            f"Its answers hardly depend on the input: correlation with the truth {correlation:.2f} (0 is guessing)"
        )
        return Check(
            NAME, FAIL, finding, numbers, "look at the labels and the learning rate: the model learned nothing"
        )
    lacking = [label for label in seen.labels if seen.support(label) < ENOUGH]
    if lacking:
        rarest = seen.rarest
        n = seen.support(rarest)
        finding = f"{percent(seen.accuracy.value)} right says little: only {n} of {rarest!r} to tell how many it finds"
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, f"label {ENOUGH - n} more rows of {rarest!r} at least")
    if chance:
        finding = (
            f"{percent(seen.accuracy.value)} right may be guessing: naming the majority makes {percent(seen.majority)}"
        )
        return Check(
            NAME, NOT_ENOUGH_DATA, finding, numbers, "label more test rows, four times as many halve the interval"
        )
    least = min(seen.labels, key=lambda label: seen.recall[label].rate.value)
    rate = seen.recall[least].rate
    if rate.interval()[0] < HALF and seen.accuracy.value - rate.value >= HIDDEN:
        finding = (
            f"Whether it finds half of {least!r} these rows can't tell ({rate.hits} of {rate.n} found), though "
            f"{percent(seen.accuracy.value)} of all answers are right"
        )
        more = rows_to_decide(rate.value, HALF, 0.95 if rate.value > HALF else 1 - 2 * SIGNIFICANT / len(tested))
        remedy = "label more rows" if more is None else f"label about {max(1, more - rate.n):,} more rows"
        return Check(
            NAME, NOT_ENOUGH_DATA, finding, numbers, f"{remedy} of {least!r}; or {_remedy(predictions, least)}"
        )
    finding = (
        f"Accuracy {percent(seen.accuracy.value)} hides no class: of {least!r}, the least found, it finds "
        f"{percent(seen.recall[least].rate.value)}"
    )
    return Check(NAME, PASS, finding, numbers)


def _is_hidden(seen: ClassCounts, label: str, tests: int) -> bool:
    rate = seen.recall[label].rate
    return rate.surely_below(HALF, p=SIGNIFICANT / tests) and seen.accuracy.value - rate.value >= HIDDEN


def _correlation(predictions: Predictions, seen: ClassCounts) -> tuple[float | None, bool, bool]:
    """Matthews correlation; whether it is surely that of guessing; whether it may be."""
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


def _remedy(predictions: Predictions, label: str) -> str:
    if not predictions.kind.single_label:
        return f"train with --class_weights balanced, or label more examples of {label!r} for train"
    if len(predictions.label_names) == 2:
        return f"train with --class_weights balanced, or --positive_label {label} --threshold_objective 'recall>=0.9'"
    return f"train with --class_weights balanced, or label more rows of {label!r} for train"
