"""Whether fine-tuning lost what the base model, or an earlier run, could do on the same rows."""

from llmtune.comparison.paired import judge_pair
from llmtune.diagnosis.check import FAIL, PASS, Check, not_applicable
from llmtune.predictions import Predictions

NAME = "worse_than_base"


def worse_than_base(predictions: Predictions, base: Predictions | None, *, seed: int = 0) -> Check:
    """Fails where the base is significantly better by a paired test.

    Raises:
        InputError: the base's table is not about the same rows.
    """
    if base is None:
        return not_applicable(NAME, "no predictions of a base model or an earlier run were given (--base)")
    pair = judge_pair(predictions, base, "--base", seed=seed)
    if pair is None:
        return not_applicable(NAME, "these tables have no metric to compare by")
    evidence = pair.against("base")
    if pair.worse:
        remedy = "keep the base: lower --learning_rate, train fewer epochs, or mix its old tasks into train"
        return Check(NAME, FAIL, f"Significantly worse than the base: {evidence}", pair.to_json(), remedy)
    how = "Significantly better than the base" if pair.better else "Not significantly worse than the base"
    return Check(NAME, PASS, f"{how}: {evidence}", pair.to_json())
