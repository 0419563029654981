"""The demands on the model: surely missed, surely met, or not decided by these rows.

A demand fails when the upper end of the 95 % interval (Wilson's for proportions) is below it, and passes when the lower
end reaches it. Without --targets the demand is that no class has a recall or precision that is surely below one half.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmtune.diagnosis.check import (
    ENOUGH,
    FAIL,
    FEWEST,
    NOT_ENOUGH_DATA,
    PASS,
    SIGNIFICANT,
    Check,
    not_applicable,
    percent,
)
from llmtune.diagnosis.rates import KINDS, Outcomes, Rate, outcomes, rows_to_decide
from llmtune.diagnosis.target_list import Target
from llmtune.errors import InputError
from llmtune.metrics import Score, available_metrics, score_predictions
from llmtune.predictions import Predictions

NAME = "targets"
FLOOR = 0.5  # of recall and precision of every class, where nothing else is demanded
# The field's rules of thumb, beside the verdict: (metric, good from, poor from).
THUMB = (("recall", 0.8, None), ("precision", 0.8, None), ("accuracy", 0.85, 0.6), ("perplexity", 20.0, 50.0))


@dataclass(frozen=True)
class Judged:
    """One target on one table.

    Args:
        target: the demand.
        value: of the metric, None where undefined.
        low: lower end of the 95 % interval.
        high: upper end.
        n: examples behind it.
        of: what the examples are.
        status: fail, not_enough_data or pass.
    """

    target: Target
    value: float | None
    low: float | None
    high: float | None
    n: int
    of: str
    status: str

    def to_json(self) -> dict[str, Any]:
        """For verdict.json."""
        kept = {name: value for name, value in vars(self).items() if name not in ("target", "of")}
        return {"target": str(self.target), **kept}


def targets(
    predictions: Predictions, demands: tuple[Target, ...], scores: Mapping[str, Score] | None = None, *, seed: int = 0
) -> Check:
    """Judges the demands, or the least demand where there is none.

    Args:
        predictions: the table.
        demands: from --targets.
        scores: of the table where they are computed already.
        seed: of the intervals where they are not.

    Raises:
        InputError: a target that the table has no metric for.
    """
    if not demands:
        return _least_demand(predictions, scores)
    scores = score_predictions(predictions, seed=seed) if scores is None else scores
    seen = outcomes(predictions) if predictions.kind in KINDS else None
    check_demands(demands, predictions, scores)
    judged = [judge_target(target, predictions, seen, scores) for target in demands]
    numbers = {"targets": [one.to_json() for one in judged], "rules_of_thumb": rules_of_thumb(scores)}
    for status in (FAIL, NOT_ENOUGH_DATA):
        of_status = [one for one in judged if one.status == status]
        if of_status:
            finding = "; ".join(_sentence(one, predictions) for one in of_status)
            return Check(
                NAME, status, finding, numbers, "; ".join(dict.fromkeys(_remedy(one, predictions) for one in of_status))
            )
    return Check(NAME, PASS, "; ".join(_sentence(one, predictions) for one in judged), numbers)


def check_demands(demands: Sequence[Target], predictions: Predictions, scores: Mapping[str, Score]) -> None:
    """Raises InputError for a target whose metric these scores don't hold, or can never have this value."""
    ours = available_metrics(predictions)
    for target in demands:
        if target.name not in scores:
            near = [name for name in scores if name.partition("[")[0] == target.metric] or list(scores)
            raise InputError(f"--targets {target}: there is no {target.name!r} here; there are {', '.join(near)}")
        least, most = ours[target.name].range if target.name in ours else (-math.inf, math.inf)
        if not least <= target.value <= most:
            raise InputError(
                f"--targets {target}: {target.name} lies between {least:g} and {most:g}; give a value on that scale"
            )


def judge_target(
    target: Target, predictions: Predictions, seen: Outcomes | None, scores: Mapping[str, Score]
) -> Judged:
    """Compares the interval of one metric with its target."""
    rate = _rate(target, predictions, seen)
    if rate is not None:
        ends = rate.interval()
        return Judged(target, rate.value, *ends, rate.n, "rows", _status(target, *ends, rate.n))
    score = scores[target.name]
    n, of = _examples(target, predictions, seen)
    # Below the floor no interval is given; above it none means that no resample differs: then the value speaks.
    low, high = (score.low, score.high) if score.low is not None else (score.value, score.value)
    if low is None or high is None:
        return Judged(target, None, None, None, n, of, NOT_ENOUGH_DATA)
    if n < ENOUGH:
        return Judged(target, score.value, score.low, score.high, n, of, NOT_ENOUGH_DATA)
    return Judged(target, score.value, score.low, score.high, n, of, _status(target, low, high, n))


def _status(target: Target, low: float, high: float, n: int) -> str:
    missed = high < target.value if target.at_least else low > target.value
    met = low >= target.value if target.at_least else high <= target.value
    if n < FEWEST:
        return NOT_ENOUGH_DATA
    if missed:
        return FAIL
    return PASS if met and n >= ENOUGH else NOT_ENOUGH_DATA


def _rate(target: Target, predictions: Predictions, seen: Outcomes | None) -> Rate | None:
    """The proportion that a target is about, None where the metric is none."""
    if seen is None or predictions.kind != "classification":
        return None
    label = target.label
    if label is None and len(predictions.label_names) == 2:
        label = predictions.label_names[predictions.positive_id]
    if target.name == "accuracy":
        return seen.accuracy
    if target.metric == "recall" and label in seen.labels:
        return seen.recall[label].rate
    if target.metric == "precision" and label in seen.labels:
        return seen.precision[label].rate
    return None


def _examples(target: Target, predictions: Predictions, seen: Outcomes | None) -> tuple[int, str]:
    if seen is not None and target.label in seen.labels:
        return seen.support(target.label), f"examples of {target.label!r}"
    if predictions.kind == "classification" and seen is not None:
        present = [label for label in seen.labels if seen.support(label)]
        rarest = min(present, key=seen.support)
        return seen.support(rarest), f"rows of {rarest!r}"
    return len(predictions), "rows"


def _least_demand(predictions: Predictions, scores: Mapping[str, Score] | None) -> Check:
    if predictions.kind not in KINDS:
        return not_applicable(NAME, "nothing was demanded; say what is needed, e.g. --targets " + _example(predictions))
    seen = outcomes(predictions)
    tested: dict[tuple[str, str], Rate] = {}
    for label in seen.labels:
        if seen.support(label) >= FEWEST:
            tested[label, "recall"] = seen.recall[label].rate
            if seen.precision[label].rate.n >= FEWEST:
                tested[label, "precision"] = seen.precision[label].rate
    numbers: dict[str, Any] = {
        "floor": FLOOR,
        "rates": {f"{metric}[{label}]": rate.to_json() for (label, metric), rate in tested.items()},
        "rules_of_thumb": rules_of_thumb(scores or {}),
    }
    below = {key: rate for key, rate in tested.items() if rate.surely_below(FLOOR, p=SIGNIFICANT / len(tested))}
    if below:
        (label, metric), rate = min(below.items(), key=lambda item: item[1].value)
        more = f"; so are {len(below) - 1} other rates" if len(below) > 1 else ""
        finding = f"{said_of(metric, label, rate)}: surely less than half{more}"
        return Check(NAME, FAIL, finding, numbers, remedy_for(metric, label, FLOOR, predictions))
    few = [label for label in seen.labels if seen.support(label) < ENOUGH]
    if few or not seen.labels:
        finding = f"{len(few)} of {len(seen.labels)} classes have fewer than {ENOUGH} examples: nothing is sure of them"
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, "label more rows of " + ", ".join(map(repr, few[:5])))
    (label, metric), rate = min(tested.items(), key=lambda item: item[1].value)
    finding = f"No class is surely below one half; least: {said_of(metric, label, rate)}"
    return Check(NAME, PASS, finding, numbers, f"say what is needed, e.g. --targets {_example(predictions)}")


def said_of(metric: str, label: str, rate: Rate) -> str:
    """A rate in words: `it finds 12 % of 'spam' (3 of 25)`.

    >>> said_of("precision", "spam", Rate(9, 10))
    "of what it calls 'spam' 90 % is right (9 of 10)"
    """
    if metric == "recall":
        return f"it finds {percent(rate.value)} of {label!r} ({rate.hits} of {rate.n})"
    return f"of what it calls {label!r} {percent(rate.value)} is right ({rate.hits} of {rate.n})"


def _sentence(one: Judged, predictions: Predictions) -> str:
    """A judged target in words, with its interval."""
    target = one.target
    label = target.label
    if label is None and len(predictions.label_names) == 2:
        label = predictions.label_names[predictions.positive_id]
    wanted = f"{target.value:g} {'or more' if target.at_least else 'or less'} is demanded"
    if one.value is None:
        return f"{target.name} is undefined; {wanted}"
    between = "" if one.low is None or one.high is None else f" (95 % interval {one.low:.3f} to {one.high:.3f})"
    if target.metric in ("recall", "precision") and one.of == "rows" and label is not None and one.n:
        said = said_of(target.metric, label, Rate(round(one.value * one.n), one.n))
        wanted = f"{percent(target.value)} is demanded"
    elif target.name == "accuracy":
        said, wanted = f"it is right on {percent(one.value)} of {one.n} rows", f"{percent(target.value)} is demanded"
    else:
        said = f"{target.name} is {one.value:.3f} on {one.n} {one.of}"
    verdict = {FAIL: "surely missed", PASS: "met", NOT_ENOUGH_DATA: "these rows can't tell"}[one.status]
    return f"{said}, {wanted}: {verdict}{between}"


def _remedy(one: Judged, predictions: Predictions) -> str:
    if one.status == NOT_ENOUGH_DATA:
        if one.n < ENOUGH:
            return f"label {ENOUGH - one.n} more {one.of} for {one.target.name} at least"
        more = rows_to_decide(one.value, one.target.value) if one.value is not None and one.of == "rows" else None
        if more is None or more <= one.n:
            return f"label more test rows until the interval of {one.target.name} leaves {one.target.value:g} out"
        return f"about {more - one.n:,} more rows would decide {one.target.name}, if it stays {one.value:.3f}"
    return remedy_for(one.target.metric, one.target.label, one.target.value, predictions)


def remedy_for(metric: str, label: str | None, value: float, predictions: Predictions) -> str:
    """What raises a metric."""
    of_two = predictions.kind == "classification" and len(predictions.label_names) == 2
    positive = f"--positive_label {label} " if label is not None else ""
    if metric == "recall" and of_two:
        return (
            f"--class_weights balanced, or {positive}--threshold_objective 'recall>={value:g}' at the cost of precision"
        )
    if metric == "precision" and of_two:
        return f"{positive}--threshold_objective 'precision>={value:g}' at the cost of recall"
    if metric.endswith("recall"):
        of_label = f", more training examples of {label!r}" if label is not None else ""
        return f"--class_weights balanced{of_label}, or a larger model"
    return f"more or cleaner training rows, a larger model, or a lower demand on {metric}"


def rules_of_thumb(scores: Mapping[str, Score]) -> dict[str, str]:
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


def _example(predictions: Predictions) -> str:
    examples = {
        "classification": "'accuracy>=0.85'",
        "token-classification": "'entity_f1>=0.8'",
        "text-generation": "'bleu>=25'",
        "question-answering": "'f1>=80'",
        "language-modeling": "'perplexity<=20'",
        "regression": "'mae<=1'",
    }
    if len(predictions.label_names) == 2:
        return f"'recall[{predictions.label_names[predictions.positive_id]}]>=0.8'"
    return examples[predictions.kind]
