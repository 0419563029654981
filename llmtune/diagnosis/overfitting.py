"""Whether the kept weights memorized the training set: both curves in evaluation mode, on one scale.

The log has one entry an evaluation: {"step", "epoch", "train": {"loss", "hits", "rows"}, "validation": {"loss", "hits",
"rows", "rise", "rise_error"}}. Where rows are no hit or miss (texts), validation has a "score" instead, higher being
better. `train` is a fixed sample scored without dropout; `rise` is the mean loss of the validation rows less that of
the evaluation with the least so far, `rise_error` its standard error over the same rows. A log made elsewhere may hold
the losses alone.

Fails where at the kept step validation loss has risen significantly and largely from its minimum while the train
sample's fell; unless the kept checkpoint was chosen on validation, is right as often there as at the least loss, and
not by far less than on train: then it is merely overconfident, which the check calibration reports.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS, Check, not_applicable, percent
from llmtune.diagnosis.proportions import Proportion, newcombe_difference
from llmtune.evidence import SIGNIFICANT, Z_SURE

NAME = "overfitting"
LARGE_RISE = 0.1  # of the least validation loss
LEAST_RISE = 0.02  # nats
LARGE_GAP = 0.15  # of the share right on train over validation
FEWEST_EVALUATIONS = 3

Entry = Mapping[str, Any]


def overfitting(evaluations: Sequence[Entry], kept_step: int | None = None, *, chosen: bool = False) -> Check:
    """Judges the checkpoint that was kept, and says where overfitting began.

    Args:
        evaluations: the log, in the order of steps.
        kept_step: of the checkpoint that was kept; default the last.
        chosen: whether validation chose it.
    """
    log = [one for one in evaluations if _loss(one, "train") is not None and _loss(one, "validation") is not None]
    if not log:
        return not_applicable(NAME, "no training log: only runs of a recipe have curves of train and validation")
    kept = next((one for one in log if one["step"] == kept_step), log[-1])
    least = min(log, key=lambda one: one["validation"]["loss"])
    numbers = _numbers(log, least, kept)
    if len(log) < FEWEST_EVALUATIONS:
        finding = f"{len(log)} evaluation{'s are' if len(log) != 1 else ' is'} too few for a curve"
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, "--eval_strategy steps --eval_steps 0.1")
    began = f"validation loss was lowest ({least['validation']['loss']:.3f}) at step {least['step']}"
    gap = _gap(kept)
    if _has_risen(log, least, kept) and kept["train"]["loss"] < least["train"]["loss"]:
        excused = chosen and not _is_less_right(least, kept) and (gap is None or gap[1] <= LARGE_GAP)
        rise = _relative_rise(least, kept)
        if not excused:
            finding = (
                f"The model memorized its training set: {began}, and is {percent(rise)} higher in the kept weights"
            )
            return Check(NAME, FAIL, finding + _said_gap(gap, kept), numbers, _remedy(least, chosen))
        finding = (
            f"The model became overconfident, but no less accurate: {began}, {percent(rise)} below the kept weights"
        )
        return Check(NAME, PASS, finding, numbers, "see calibration; fewer epochs would suffice")
    last = log[-1]
    if _has_risen(log, least, last) and last is not kept:
        finding = f"{began}; it rose later, but the weights of step {kept['step']} were kept"
        return Check(NAME, PASS, finding, numbers, f"--num_train_epochs {_epochs(least)} would save the rest")
    return Check(NAME, PASS, f"Validation loss did not rise significantly while training loss fell; {began}", numbers)


@dataclass(frozen=True)
class Curve:
    """The log of one run.

    Args:
        evaluations: in the order of steps.
        kept_step: of the checkpoint that was kept, None for the last.
        chosen: whether validation chose it.
    """

    evaluations: Sequence[Entry] = ()
    kept_step: int | None = None
    chosen: bool = False


def overfitting_of_runs(curves: Mapping[str, Curve]) -> Check:
    """Judges each run of several (folds, seeds) by its own curves; fails where half of them or more fail.

    Args:
        curves: by the name of the run.
    """
    checks = {name: overfitting(of.evaluations, of.kept_step, chosen=of.chosen) for name, of in curves.items()}
    judged = {name: check for name, check in checks.items() if check.status != NOT_APPLICABLE}
    if not judged:
        return not_applicable(NAME, "no training log in any of these runs")
    rises = [check.numbers["relative_rise"] for check in judged.values()]
    epochs = [check.numbers["least_at_epoch"] for check in judged.values() if check.numbers["least_at_epoch"]]
    numbers = {
        "rise": {"mean": fmean(rises), "deviation": stdev(rises) if len(rises) > 1 else None}
        | {"least": min(rises), "greatest": max(rises)},
        "least_at_epoch": {"least": min(epochs), "greatest": max(epochs)} if epochs else None,
        "runs": {name: {"status": check.status, "finding": check.finding} for name, check in judged.items()},
    }
    spread = (
        f"in the kept weights validation loss is {percent(fmean(rises))} above its minimum in the mean of "
        f"{len(judged)} "
        f"runs ({percent(min(rises))} to {percent(max(rises))})"
    )
    failed = [name for name, check in judged.items() if check.status == FAIL]
    if 2 * len(failed) >= len(judged):
        finding = f"{len(failed)} of {len(judged)} runs memorized their training set: {spread}"
        return Check(NAME, FAIL, finding, numbers, judged[failed[0]].remedy)
    unsure = [check for check in judged.values() if check.status == NOT_ENOUGH_DATA]
    if 2 * len(unsure) >= len(judged):
        finding = f"{len(unsure)} of {len(judged)} runs have too few evaluations for a curve; {spread}"
        return Check(NAME, NOT_ENOUGH_DATA, finding, numbers, unsure[0].remedy)
    said = f"{len(failed)} of {len(judged)} runs ({', '.join(failed)}) memorized" if failed else "No run memorized"
    return Check(NAME, PASS, f"{said} its training set; {spread}", numbers)


def _loss(entry: Entry, side: str) -> float | None:
    loss = entry.get(side, {}).get("loss")
    return loss if loss is not None and math.isfinite(loss) else None


def _has_risen(log: Sequence[Entry], least: Entry, at: Entry) -> bool:
    """Significantly (over the same rows; without their spread, in two evaluations running) and largely."""
    if at["step"] <= least["step"]:
        return False
    bound = max(LEAST_RISE, LARGE_RISE * least["validation"]["loss"])
    rise = at["validation"]["loss"] - least["validation"]["loss"]
    if rise < bound:
        return False
    error = at["validation"].get("rise_error")
    if error is not None:
        return bool(rise > Z_SURE * error)
    before = [one for one in log if least["step"] < one["step"] < at["step"]]
    return bool(before) and before[-1]["validation"]["loss"] - least["validation"]["loss"] >= bound


def _relative_rise(least: Entry, kept: Entry) -> float:
    """0 where both are nothing."""
    before, now = least["validation"]["loss"], kept["validation"]["loss"]
    return float(now / before - 1) if before > 0 else 0.0


def _right(side: Mapping[str, Any]) -> Proportion | None:
    return Proportion(side["hits"], side["rows"]) if side.get("hits") is not None and side.get("rows") else None


def _gap(entry: Entry) -> tuple[float, float, float] | None:
    """Share right on train less that on validation, with its interval; None where the log has losses alone."""
    train, validation = _right(entry["train"]), _right(entry["validation"])
    if train is None or validation is None:
        return None
    return newcombe_difference(train, validation, 1 - 2 * SIGNIFICANT)


def _is_less_right(least: Entry, kept: Entry) -> bool:
    scores = [one["validation"].get("score") for one in (least, kept)]
    if None not in scores:
        return bool(scores[1] < scores[0])
    before, now = _right(least["validation"]), _right(kept["validation"])
    return before is None or now is None or now.value < before.value


def _said_gap(gap: tuple[float, float, float] | None, kept: Entry) -> str:
    train, validation = _right(kept["train"]), _right(kept["validation"])
    if gap is None or train is None or validation is None:
        return ""
    return f"; right on {percent(train.value)} of train, {percent(validation.value)} of validation"


def _epochs(entry: Entry) -> int:
    return max(1, math.ceil(entry.get("epoch") or 1))


def _remedy(least: Entry, chosen: bool) -> str:
    stop = f"--num_train_epochs {_epochs(least)}, or --early_stopping_patience 2 with --metric_for_best_model log_loss"
    return stop if chosen else f"--load_best_model_at_end true; {stop}"


def _numbers(log: Sequence[Entry], least: Entry, kept: Entry) -> dict[str, Any]:
    curve = [
        {
            "step": one["step"],
            "epoch": one.get("epoch"),
            "train_loss": one["train"]["loss"],
            "validation_loss": one["validation"]["loss"],
        }
        for one in log
    ]
    gap = _gap(kept)
    return {
        "least_validation_loss_at": least["step"],
        "least_at_epoch": least.get("epoch"),
        "kept": kept["step"],
        "last": log[-1]["step"],
        "rise": kept["validation"]["loss"] - least["validation"]["loss"],
        "relative_rise": _relative_rise(least, kept),
        "rise_of_last": log[-1]["validation"]["loss"] - least["validation"]["loss"],
        "accuracy_gap": None if gap is None else dict(zip(("value", "low", "high"), gap, strict=True)),
        "curve": curve,
    }
