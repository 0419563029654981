"""The default target, where --targets sets none: beyond the marks of the field, or better than what costs nothing.

Classes and entities: no recall or precision significantly below one half; beyond doubt only where each reaches 0.80
with the lower end of its interval. All else must be significantly better than the simple models made of its own rows
(the mean, the last value, the source, a sentence of the context), or the base model. What lies between needs a target.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS, Check, not_applicable
from llmtune.diagnosis.messages import describe_rate, reference_ranges, remedy_for
from llmtune.diagnosis.proportions import OUTCOMES, Proportion, outcomes
from llmtune.evidence import ENOUGH, FEWEST, SIGNIFICANT
from llmtune.metrics import Score
from llmtune.predictions import Predictions

FLOOR = 0.5  # of recall and precision of every class: significantly below it nothing is ready
GOOD = 0.8  # the field's rule of thumb for both: reached by the lower ends of all intervals, nobody must say more
GUESSED_BYTES = 8.0  # bits a byte: every byte as likely as any other


def default_target(
    name: str,
    predictions: Predictions,
    scores: Mapping[str, Score] | None,
    beside: Sequence[Check] = (),
    class_weights: str = "none",
) -> Check:
    """Judges a table for which no target was set.

    Args:
        name: of the check.
        predictions: the table.
        scores: of it, for the rules of thumb and the bits of a byte.
        beside: the checks baseline and worse_than_base.
        class_weights: that the model was trained with.
    """
    if predictions.kind in OUTCOMES:
        return _of_classes(name, predictions, scores or {}, class_weights)
    numbers = {"reference_ranges": reference_ranges(scores or {})}
    say = f"set a target, e.g. --targets {example_target(predictions)}"
    bits = (scores or {}).get("bits_per_byte")
    if bits is not None and bits.low is not None and bits.low > GUESSED_BYTES:
        finding = (
            f"Its predictions are worse than a uniform distribution over bytes: {bits.value:.2f} bits per byte, "
            "uniform is 8"
        )
        return Check(name, FAIL, finding, numbers, "check the tokenizer and --learning_rate: the model learned nothing")
    simple = next((check for check in beside if check.check == "baseline"), None)
    if simple is not None and simple.status == FAIL:
        return not_applicable(name, "no target was set (--targets), and a simpler model is better: see baseline")
    if simple is not None and simple.status == NOT_ENOUGH_DATA:
        finding = f"{simple.finding.partition(': ')[0]}; no target was set (--targets)"
        return Check(name, NOT_ENOUGH_DATA, finding, numbers, f"{simple.remedy}; or {say}")
    if simple is not None and simple.status == PASS:
        return Check(
            name, PASS, "Significantly better than the simpler models; no target was set (--targets)", numbers, say
        )
    if any(_is_better(check) for check in beside):
        return Check(
            name, PASS, "Significantly better than the base model; no target was set (--targets)", numbers, say
        )
    finding = f"No target was set (--targets), {predictions.kind.without_target}"
    return Check(name, NOT_APPLICABLE, finding, numbers, f"{say}, or compare with what was there before: --base")


def example_target(predictions: Predictions) -> str:
    """A target for this kind of table, quoted for the shell."""
    if predictions.has_positive:
        return f"'recall[{predictions.label_names[predictions.positive_id]}]>=0.8'"
    return predictions.kind.example_target


def _is_better(check: Check) -> bool:
    return check.status == PASS and (check.numbers.get("low") or 0) > 0


def _of_classes(name: str, predictions: Predictions, scores: Mapping[str, Score], class_weights: str) -> Check:
    seen = outcomes(predictions)
    tested: dict[tuple[str, str], Proportion] = {}
    for label in seen.labels:
        if seen.support(label) >= FEWEST:
            tested[label, "recall"] = seen.recall[label].rate
            if seen.precision[label].rate.n >= FEWEST:
                tested[label, "precision"] = seen.precision[label].rate
    numbers: dict[str, Any] = {
        "floor": FLOOR,
        "rates": {f"{metric}[{label}]": rate.to_json() for (label, metric), rate in tested.items()},
        "reference_ranges": reference_ranges(scores),
    }
    below = {key: rate for key, rate in tested.items() if rate.significantly_below(FLOOR, p=SIGNIFICANT / len(tested))}
    if below:
        (label, metric), rate = min(below.items(), key=lambda item: item[1].value)
        more = f"; so {'is' if len(below) == 2 else 'are'} {len(below) - 1} more" if len(below) > 1 else ""
        finding = f"{describe_rate(metric, label, rate)}, significantly below one half{more}"
        return Check(name, FAIL, finding, numbers, remedy_for(metric, label, FLOOR, predictions, class_weights))
    few = [label for label in seen.labels if seen.support(label) < ENOUGH]
    if few or not seen.labels:
        finding = f"{len(few)} of {len(seen.labels)} classes have fewer than {ENOUGH} examples: too few to judge them"
        return Check(name, NOT_ENOUGH_DATA, finding, numbers, "label more rows of " + ", ".join(map(repr, few[:5])))
    (label, metric), rate = min(tested.items(), key=lambda item: item[1].interval()[0])
    low, high = rate.interval()
    lowest = f"{describe_rate(metric, label, rate)}, 95 % interval {low:.3f} to {high:.3f}"
    remedy = f"set a target, e.g. --targets {example_target(predictions)}"
    if low >= GOOD:
        finding = f"Every recall and precision reaches {GOOD:.2f}, the field's rule of thumb; lowest: {lowest}"
        return Check(name, PASS, finding, numbers, remedy)
    finding = f"No target was set (--targets), and not every recall and precision reaches {GOOD:.2f}; lowest: {lowest}"
    return Check(name, NOT_APPLICABLE, finding, numbers, remedy)
