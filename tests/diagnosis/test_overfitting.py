"""Overfitting: judged at the kept step, from curves on one scale."""

import pytest

from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS
from llmtune.diagnosis.context import TrainingLog
from llmtune.diagnosis.overfitting import Curve, overfitting, overfitting_of_runs


def curves(validation, train, hits=None, error=0.01):
    entries = []
    for i, (loss, of_train) in enumerate(zip(validation, train, strict=True)):
        sides = {"train": {"loss": of_train}, "validation": {"loss": loss}}
        if hits is not None:
            sides["train"] |= {"hits": 495, "rows": 500}
            sides["validation"] |= {"hits": hits[i], "rows": 500, "rise": loss - min(validation[: i + 1])}
            sides["validation"]["rise_error"] = error
        entries.append({"step": 10 * (i + 1), "epoch": i + 1.0, **sides})
    return entries


RISING = ([0.5, 0.3, 0.4, 0.5], [0.5, 0.25, 0.1, 0.02])


def test_a_loss_that_rises_while_train_falls_fails_with_the_epoch_to_stop_at():
    check = overfitting(curves(*RISING, hits=[400, 440, 430, 425]))

    assert check.status == FAIL
    assert "validation loss was lowest (0.300) at step 20, and is 67 % higher in the kept weights" in check.finding
    assert "right on 99.0 % of train, 85 % of validation" in check.finding
    assert check.remedy.startswith("--load_best_model_at_end true; --num_train_epochs 2")


CASES = [
    (RISING, [400, 440, 430, 425], {}, FAIL),
    # The checkpoint of the least loss is kept: what came later is not in the weights.
    (RISING, [400, 440, 430, 425], {"kept_step": 20, "chosen": True}, PASS),
    # Chosen on validation, right as often, and near to train: too sure, not worse.
    (RISING, [400, 440, 450, 460], {"kept_step": 40, "chosen": True}, PASS),
    # Chosen, but far from train.
    (RISING, [300, 310, 310, 315], {"kept_step": 40, "chosen": True}, FAIL),
    (([0.5, 0.3, 0.31, 0.305], [0.5, 0.25, 0.1, 0.02]), [400, 440, 440, 440], {}, PASS),  # a small rise
    (([0.5, 0.3, 0.4, 0.5], [0.5, 0.25, 0.3, 0.4]), [400, 440, 430, 425], {}, PASS),  # train rises too: no overfitting
    (RISING, None, {}, FAIL),  # a log made elsewhere: losses alone, high twice running
    (([0.5, 0.4, 0.3, 0.4], [0.5, 0.25, 0.1, 0.02]), None, {}, PASS),  # one high evaluation may be noise
    (([0.5, 0.3], [0.5, 0.2]), None, {}, NOT_ENOUGH_DATA),
]


@pytest.mark.parametrize(("losses", "hits", "kept", "status"), CASES)
def test_the_kept_checkpoint_is_judged(losses, hits, kept, status):
    assert overfitting(curves(*losses, hits=hits), **kept).status == status


def test_a_rise_within_its_error_is_noise():
    assert overfitting(curves(*RISING, hits=[400, 440, 430, 425], error=0.1)).status == PASS


def test_without_a_log_it_is_not_applicable():
    assert overfitting([]).status == NOT_APPLICABLE
    broken = [{"step": 1, "train": {"loss": None}, "validation": {"loss": None}}]
    assert overfitting(broken).status == NOT_APPLICABLE


def test_the_log_is_read_from_run_json():
    training = {
        "evaluations": [{"step": 1, "eval_loss": 1.0}, {"step": 2, "curves": curves([0.5], [0.5])[0]}],
        "losses": [{"step": 1, "loss": 0.3}],
        "kept": {"step": 2, "chosen": True},
    }

    log = TrainingLog.from_run(training)

    assert (len(log.evaluations), log.kept_step, log.chosen, log.losses) == (1, 2, True, [0.3])
    assert TrainingLog.from_run({}) == TrainingLog(evaluations=[], losses=[])


STEADY = ([0.5, 0.3, 0.3, 0.31], [0.5, 0.25, 0.2, 0.2])


@pytest.mark.parametrize(
    ("rising", "status", "said"),
    [
        (0, PASS, "No run memorized its training set; in the kept weights validation loss is 3.3 % above"),
        (1, PASS, "1 of 4 runs (fold0) memorized its training set; "),
        (2, FAIL, "2 of 4 runs memorized their training set: "),
        (4, FAIL, "67 % above its minimum in the mean of 4 runs (67 % to 67 %)"),
    ],
)
def test_folds_are_judged_each_by_its_own_curves(rising, status, said):
    hits = [400, 440, 430, 425]
    folds = {f"fold{i}": Curve(curves(*(RISING if i < rising else STEADY), hits=hits)) for i in range(4)}

    check = overfitting_of_runs(folds)

    assert check.status == status
    assert said in check.finding
    assert check.numbers["rise"]["greatest"] == pytest.approx(2 / 3 if rising else 1 / 30)
    assert len(check.numbers["runs"]) == 4
    assert check.numbers["least_at_epoch"] == {"least": 2.0, "greatest": 2.0}


def test_folds_without_curves_are_not_judged():
    assert overfitting_of_runs({"a": Curve(), "b": Curve()}).status == NOT_APPLICABLE
    short = Curve(curves([0.5, 0.3], [0.5, 0.2]))
    assert overfitting_of_runs({"a": short, "b": Curve()}).status == NOT_ENOUGH_DATA
