"""The targets of the model: missed, met, or not decided by these rows.

A target is missed when the upper end of the 95 % interval (Wilson's for proportions) is below it, and passes when the
lower end reaches it. Without --targets the default target of the kind holds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, percent
from llmtune.diagnosis.default_target import default_target
from llmtune.diagnosis.messages import describe_rate, more_rows, reference_ranges, remedy_for
from llmtune.diagnosis.proportions import OUTCOMES, ClassCounts, Proportion, outcomes, rows_to_decide, rows_to_narrow
from llmtune.diagnosis.target_list import Target
from llmtune.errors import InputError
from llmtune.evidence import ENOUGH, FEWEST
from llmtune.metrics import Score, available_metrics, score_predictions
from llmtune.metrics.core.headlines import about_positive
from llmtune.predictions import Predictions
from llmtune.stats import tells_no_spread
from llmtune.text.shorten import row_count

NAME = "targets"


@dataclass(frozen=True)
class TargetResult:
    """One target on one table.

    Args:
        target: what was set.
        value: of the metric, None where undefined.
        low: lower end of the 95 % interval.
        high: upper end.
        n: examples behind it.
        of: what the examples are.
        status: fail, not_enough_data or pass.
        reason: why a metric of others has no value or no interval on enough rows.
    """

    target: Target
    value: float | None
    low: float | None
    high: float | None
    n: int
    of: str
    status: str
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For verdict.json."""
        kept = {name: value for name, value in vars(self).items() if name not in ("target", "of", "reason")}
        return {"target": str(self.target), **kept}


def targets(
    predictions: Predictions,
    targets: tuple[Target, ...],
    scores: Mapping[str, Score] | None = None,
    *,
    beside: Sequence[Check] = (),
    class_weights: str = "none",
    seed: int = 0,
) -> Check:
    """Judges the targets, or the default target where none was set.

    Args:
        predictions: the table.
        targets: from --targets.
        scores: of the table where they are computed already.
        beside: how the table compares with other models: for the default target of kinds without classes.
        class_weights: that the model was trained with: the remedy doesn't advise what was done.
        seed: of the intervals where they are not.

    Raises:
        InputError: a target that the table has no metric for.
    """
    if not targets:
        return default_target(NAME, predictions, scores, beside, class_weights)
    scores = score_predictions(predictions, seed=seed) if scores is None else scores
    seen = outcomes(predictions) if predictions.kind in OUTCOMES else None
    check_targets(targets, predictions, scores)
    judged = [judge_target(target, predictions, seen, scores) for target in targets]
    numbers = {"targets": [one.to_json() for one in judged], "reference_ranges": reference_ranges(scores)}
    for status in (FAIL, NOT_ENOUGH_DATA):
        of_status = [one for one in judged if one.status == status]
        if of_status:
            finding = "; ".join(_sentence(one, predictions) for one in of_status)
            remedies = dict.fromkeys(_remedy(one, predictions, class_weights) for one in of_status)
            return Check(NAME, status, finding, numbers, "; ".join(remedies))
    return Check(NAME, PASS, "; ".join(_sentence(one, predictions) for one in judged), numbers)


def check_targets(targets: Sequence[Target], predictions: Predictions, scores: Mapping[str, Score]) -> None:
    """Raises InputError for a target whose metric these scores don't hold, or can never have this value."""
    ours = available_metrics(predictions)
    for target in targets:
        if target.name not in scores:
            near = [name for name in scores if name.partition("[")[0] == target.metric] or list(scores)
            raise InputError(f"--targets {target}: there is no {target.name!r} here; there are {', '.join(near)}")
        least, most = ours[target.name].range if target.name in ours else (-math.inf, math.inf)
        if not least <= target.value <= most:
            raise InputError(
                f"--targets {target}: {target.name} lies between {least:g} and {most:g}; give a value on that scale"
            )


def judge_target(
    target: Target, predictions: Predictions, seen: ClassCounts | None, scores: Mapping[str, Score]
) -> TargetResult:
    """Compares the interval of one metric with its target."""
    rate = _rate(target, predictions, seen)
    if rate is not None:
        ends = rate.interval()
        return TargetResult(target, rate.value, *ends, rate.n, "rows", _status(target, *ends, rate.n))
    score = scores[target.name]
    n, of = _examples(target, predictions, seen)
    low, high = score.low, score.high
    # A metric of ours that is alike on every row has its value and no spread. Whatever else has no interval can't tell:
    # a value alone would meet a target that chance alone explains.
    if low is None and tells_no_spread(score.reason) and target.name in available_metrics(predictions):
        low = high = score.value
    if low is None or high is None:
        foreign = target.name not in available_metrics(predictions)
        reason = score.reason if foreign and n >= ENOUGH else None  # else more rows help
        return TargetResult(target, score.value, None, None, n, of, NOT_ENOUGH_DATA, reason)
    if n < ENOUGH:
        return TargetResult(target, score.value, score.low, score.high, n, of, NOT_ENOUGH_DATA)
    return TargetResult(target, score.value, score.low, score.high, n, of, _status(target, low, high, n))


def _status(target: Target, low: float, high: float, n: int) -> str:
    missed = high < target.value if target.at_least else low > target.value
    met = low >= target.value if target.at_least else high <= target.value
    if n < FEWEST:
        return NOT_ENOUGH_DATA
    if missed:
        return FAIL
    return PASS if met and n >= ENOUGH else NOT_ENOUGH_DATA


def _rate(target: Target, predictions: Predictions, seen: ClassCounts | None) -> Proportion | None:
    """The proportion that a target is about, None where the metric is none."""
    if seen is None or not predictions.kind.single_label:
        return None
    label = _label(target, predictions)
    if target.name == "accuracy":
        return seen.accuracy
    if target.metric == "recall" and label in seen.labels:
        return seen.recall[label].rate
    if target.metric == "precision" and label in seen.labels:
        return seen.precision[label].rate
    return None


def _examples(target: Target, predictions: Predictions, seen: ClassCounts | None) -> tuple[int, str]:
    if seen is not None and target.label in seen.labels:
        return seen.support(target.label), f"examples of {target.label!r}"
    if predictions.kind.single_label and seen is not None:
        present = [label for label in seen.labels if seen.support(label)]
        rarest = min(present, key=seen.support)
        return seen.support(rarest), f"rows of {rarest!r}"
    return len(predictions), "rows"


def _rows_needed(one: TargetResult, predictions: Predictions) -> int | None:
    if one.value is None or one.low is None or one.high is None:
        return None
    if predictions.kind.single_label and one.of == "rows":
        return rows_to_decide(one.value, one.target.value)
    return rows_to_narrow(one.n, one.value, one.low, one.high, one.target.value)


def _label(target: Target, predictions: Predictions) -> str | None:
    """That a metric is about: of two classes the positive one, where none is named."""
    if target.label is None and predictions.has_positive:
        return predictions.label_names[predictions.positive_id]
    return target.label


def _counted(one: TargetResult, predictions: Predictions) -> str:
    """What one more trial is: recall counts the rows of its class, precision those that are called so."""
    label = _label(one.target, predictions)
    if one.of != "rows" or label is None or one.target.metric not in ("recall", "precision"):
        return one.of
    return f"rows of {label!r}" if one.target.metric == "recall" else f"rows predicted as {label!r}"


def _sentence(one: TargetResult, predictions: Predictions) -> str:
    """A judged target in words, with its interval."""
    target, label = one.target, _label(one.target, predictions)
    name = about_positive(target.name, predictions.positive_name)
    wanted = f"target {target.value:g} {'or more' if target.at_least else 'or less'}"
    if one.value is None:
        return f"{name} is undefined{f' ({one.reason})' if one.reason else ''}; {wanted}"
    if one.reason is not None:
        return f"{name} is {one.value:.3f} without an interval ({one.reason}), {wanted}: not decided by a value"
    between = "" if one.low is None or one.high is None else f" (95 % interval {one.low:.3f} to {one.high:.3f})"
    if target.metric in ("recall", "precision") and one.of == "rows" and label is not None and one.n:
        said = describe_rate(target.metric, label, Proportion(round(one.value * one.n), one.n))
        wanted = f"target {percent(target.value)}"
    elif target.name == "accuracy":
        said, wanted = f"accuracy is {percent(one.value)} on {row_count(one.n)}", f"target {percent(target.value)}"
    else:
        said = f"{name} is {one.value:.3f} on {one.n} {one.of}"
    verdict = {FAIL: "missed", PASS: "met", NOT_ENOUGH_DATA: "too few rows to tell"}[one.status]
    return f"{said}, {wanted}: {verdict}{between}"


def _remedy(one: TargetResult, predictions: Predictions, class_weights: str) -> str:
    if one.status == NOT_ENOUGH_DATA:
        what = _counted(one, predictions)
        if one.reason is not None:
            return f"set a target on a metric with an interval in the place of {one.target.name}"
        if one.n < ENOUGH:
            return f"{more_rows(predictions, ENOUGH - one.n, least=True, what=what)} for {one.target.name}"
        more = _rows_needed(one, predictions)
        if more is None or more <= one.n:
            remedy = more_rows(predictions, what="test rows")
            return f"{remedy} until the interval of {one.target.name} excludes {one.target.value:g}"
        return f"about {more - one.n:,} more {what} would decide {one.target.name}, if it stays {one.value:.3f}"
    return remedy_for(one.target.metric, one.target.label, one.target.value, predictions, class_weights)
