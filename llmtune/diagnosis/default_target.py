"""What is demanded where nobody said what: that the model is worth more than what costs nothing.

Classes and entities: none whose recall or precision is surely below one half. All else has no share that could be
below one half: it must surely beat the simple models made of its own rows (the mean, the last value, the source, a
sentence of the context), or the base model. A perplexity has no such model and no floor for all texts: it needs a
target, or a base.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, not_applicable
from llmtune.diagnosis.messages import describe_rate, reference_ranges, remedy_for
from llmtune.diagnosis.proportions import OUTCOMES, Proportion, outcomes
from llmtune.evidence import ENOUGH, FEWEST, SIGNIFICANT
from llmtune.metrics import Score
from llmtune.predictions import Predictions

FLOOR = 0.5  # of recall and precision of every class
GUESSED_BYTES = 8.0  # bits a byte: every byte as likely as any other


def default_target(
    name: str, predictions: Predictions, scores: Mapping[str, Score] | None, beside: Sequence[Check] = ()
) -> Check:
    """Judges a table of which nothing was demanded.

    Args:
        name: of the check.
        predictions: the table.
        scores: of it, for the rules of thumb and the bits of a byte.
        beside: the checks baseline and worse_than_base.
    """
    if predictions.kind in OUTCOMES:
        return _of_classes(name, predictions, scores or {})
    numbers = {"reference_ranges": reference_ranges(scores or {})}
    say = f"say what is needed, e.g. --targets {example_target(predictions)}"
    bits = (scores or {}).get("bits_per_byte")
    if bits is not None and bits.low is not None and bits.low > GUESSED_BYTES:
        finding = f"It foretells these texts worse than guessing byte by byte: {bits.value:.2f} bits, guessing takes 8"
        return Check(name, FAIL, finding, numbers, "look at the tokenizer and the learning rate: it learned nothing")
    simple = next((check for check in beside if check.check == "baseline"), None)
    if simple is not None and simple.status == FAIL:
        return not_applicable(name, "nothing was demanded, and a simpler model is better: see baseline")
    if simple is not None and simple.status == NOT_ENOUGH_DATA:
        finding = "Whether it is better than a far simpler model can't be told; nothing else was demanded"
        return Check(name, NOT_ENOUGH_DATA, finding, numbers, f"{simple.remedy}; or {say}")
    if simple is not None and simple.status == PASS:
        return Check(name, PASS, "It surely beats the simpler models; nothing more was demanded", numbers, say)
    if any(_is_better(check) for check in beside):
        return Check(name, PASS, "It is surely better than the base; nothing more was demanded", numbers, say)
    finding = f"Nothing says what is good enough: nothing was demanded, {predictions.kind.without_target}"
    return Check(name, NOT_ENOUGH_DATA, finding, numbers, f"{say}; or compare with what was there before: --base")


def example_target(predictions: Predictions) -> str:
    """A demand on this kind of table, quoted for the shell."""
    if len(predictions.label_names) == 2:
        return f"'recall[{predictions.label_names[predictions.positive_id]}]>=0.8'"
    return predictions.kind.example_target


def _is_better(check: Check) -> bool:
    return check.status == PASS and (check.numbers.get("low") or 0) > 0


def _of_classes(name: str, predictions: Predictions, scores: Mapping[str, Score]) -> Check:
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
    below = {key: rate for key, rate in tested.items() if rate.surely_below(FLOOR, p=SIGNIFICANT / len(tested))}
    if below:
        (label, metric), rate = min(below.items(), key=lambda item: item[1].value)
        more = f"; so are {len(below) - 1} other rates" if len(below) > 1 else ""
        finding = f"{describe_rate(metric, label, rate)}: surely less than half{more}"
        return Check(name, FAIL, finding, numbers, remedy_for(metric, label, FLOOR, predictions))
    few = [label for label in seen.labels if seen.support(label) < ENOUGH]
    if few or not seen.labels:
        finding = f"{len(few)} of {len(seen.labels)} classes have fewer than {ENOUGH} examples: nothing is sure of them"
        return Check(name, NOT_ENOUGH_DATA, finding, numbers, "label more rows of " + ", ".join(map(repr, few[:5])))
    (label, metric), rate = min(tested.items(), key=lambda item: item[1].value)
    finding = f"No class is surely below one half; least: {describe_rate(metric, label, rate)}"
    return Check(name, PASS, finding, numbers, f"say what is needed, e.g. --targets {example_target(predictions)}")
