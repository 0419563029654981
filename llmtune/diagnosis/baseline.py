"""Whether the model beats what costs nothing: the majority, TF-IDF with logistic regression, copying the source …"""

from collections.abc import Mapping

from llmtune.comparison.paired import PairedVerdict, judge_pair
from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS, Check, not_applicable
from llmtune.diagnosis.proportions import rows_to_narrow
from llmtune.evidence import FEWEST
from llmtune.predictions import Predictions

NAME = "baseline"


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
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, "label more test rows")
    worse = {name: pair for name, pair in found.items() if pair.worse}
    if worse:
        name, pair = max(worse.items(), key=lambda item: -item[1].difference)
        finding = f"A far simpler model is significantly better: {pair.against(name)}"
        remedy = f"use {name}, or train longer, with another --learning_rate, or from a larger checkpoint"
        return Check(NAME, FAIL, finding, numbers, remedy)
    tied = {name: pair for name, pair in found.items() if not pair.better}
    if tied:
        name, pair = min(tied.items(), key=lambda item: item[1].difference)
        finding = f"Not significantly better than a far simpler model: {pair.against(name)}"
        return Check(
            NAME, NOT_ENOUGH_DATA, finding, numbers, f"{_more(pair, len(predictions))}, or use {name}, which is cheaper"
        )
    name, pair = min(found.items(), key=lambda item: item[1].difference)
    return Check(
        NAME, PASS, f"Significantly better than the simpler models, the best of them: {pair.against(name)}", numbers
    )


def _more(pair: PairedVerdict, n: int) -> str:
    """How many rows would tell, if the difference stays."""
    needed = None
    if pair.low is not None and pair.high is not None:
        needed = rows_to_narrow(n, pair.difference, pair.low, pair.high, 0.0)
    return "label more test rows" if needed is None or needed <= n else f"label about {needed - n:,} more test rows"
