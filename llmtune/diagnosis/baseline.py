"""Whether the model beats what costs nothing: the majority, TF-IDF with logistic regression, copying the source …"""

from collections.abc import Mapping

from llmtune.comparison.paired import PairedVerdict, judge_pair
from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, not_applicable
from llmtune.diagnosis.messages import more_rows
from llmtune.diagnosis.proportions import rows_to_narrow
from llmtune.evidence import FEWEST
from llmtune.predictions import Predictions

NAME = "baseline"
PERSISTENCE = "persistence"  # of series: who does not beat it has learned nothing, whatever else is better


def baseline(predictions: Predictions, baselines: Mapping[str, Predictions], *, seed: int = 0) -> Check:
    """Compares with each by a paired test on the same rows; fails where one of them is significantly better.

    Raises:
        InputError: a baseline is not about the same rows.
    """
    pairs = {
        name: judge_pair(predictions, other, name, is_baseline=True, seed=seed) for name, other in baselines.items()
    }
    found = {name: pair for name, pair in pairs.items() if pair is not None}
    if not found:
        return not_applicable(NAME, predictions.kind.without_baseline)
    numbers = {name: pair.to_json() for name, pair in found.items()}
    if len(predictions) < FEWEST:
        finding = f"{len(predictions)} rows are too few to compare the model with a far simpler one"
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, more_rows(predictions, what="test rows"))
    worse = {name: pair for name, pair in found.items() if pair.worse}
    if worse:
        name, pair = max(worse.items(), key=lambda item: -item[1].difference)
        if PERSISTENCE in worse:
            finding = (
                f"Worse than persistence, which repeats the last value: {_beside(PERSISTENCE, worse[PERSISTENCE])}"
            )
            others = [_value(name, pair) for name, pair in worse.items() if name != PERSISTENCE]
            finding += _tested(worse[PERSISTENCE]) + _scaled(worse[PERSISTENCE], predictions)
            finding += f"; significantly better too: {', '.join(others)}" if others else ""
            return Check(NAME, FAIL, finding, numbers, OF_SERIES)
        finding = f"A far simpler model is significantly better: {pair.against(name)}"
        remedy = f"use {name}, or train longer, with another --learning_rate, or from a larger checkpoint"
        return Check(NAME, FAIL, finding, numbers, remedy)
    tied = {name: pair for name, pair in found.items() if not pair.better}
    if PERSISTENCE in tied:
        pair = tied[PERSISTENCE]
        finding = f"Does not beat persistence, which repeats the last value: {_beside(PERSISTENCE, pair)}"
        finding += _tested(pair) + _scaled(pair, predictions)
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, OF_SERIES)
    if tied:
        name, pair = min(tied.items(), key=lambda item: item[1].difference)
        finding = f"Not significantly better on these rows than a far simpler model: {pair.against(name)}"
        return Check(
            NAME, NOT_ENOUGH_DATA, finding, numbers, f"{_more(pair, predictions)}, or use {name}, which is cheaper"
        )
    name, pair = min(found.items(), key=lambda item: item[1].difference)
    return Check(
        NAME, PASS, f"Significantly better than the simpler models, the best of them: {pair.against(name)}", numbers
    )


def _more(pair: PairedVerdict, predictions: Predictions) -> str:
    """How many rows would tell, if the difference stays."""
    needed, n = None, len(predictions)
    if pair.low is not None and pair.high is not None:
        needed = rows_to_narrow(n, pair.difference, pair.low, pair.high, 0.0)
    return more_rows(predictions, needed - n if needed is not None and needed > n else None, what="test rows")


OF_SERIES = (
    "use persistence, which is cheaper; or predict the change (--predict_change), add --input_columns that tell it in "
    "advance, or train longer"
)


def _tested(pair: PairedVerdict) -> str:
    """How the two were compared in time; empty where it was not."""
    if pair.p is None or pair.low is None or pair.high is None:
        return ""
    return (
        f"; improvement on it {pair.difference:+.3f}, 99 % CI [{pair.low:+.3f}, {pair.high:+.3f}] (block bootstrap; "
        f"Diebold-Mariano p = {pair.p:.2g})"
    )


def _scaled(pair: PairedVerdict, predictions: Predictions) -> str:
    """Why a small training loss did not show it; empty where the target was not scaled."""
    size = predictions.settings.get("target_size")
    if not size or pair.metric not in ("mse", "rmse"):
        return ""
    power = 1 if pair.metric == "mse" else 2
    ours, other = ((value**power / size**2) for value in (pair.ours, pair.other))
    return (
        f"; the loss looks small because it is of the scaled target: {ours:.2g} here, and {other:.2g} for persistence, "
        f"as 1 on that scale is {size:.4g} in the target's unit"
    )


def _value(name: str, pair: PairedVerdict) -> str:
    return f"{name} {pair.other:.3f}"


def _beside(name: str, pair: PairedVerdict) -> str:
    return f"{pair.metric} {pair.ours:.3f}, {_value(name, pair)}"
