"""What the checks together say: the combination rule, the sentence, and the self-tests of the field."""

from dataclasses import replace

import pytest

from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS, Check
from llmtune.diagnosis.context import Context, diagnose
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.verdict import NO_TARGET, NOT_READY, READY, combine
from llmtune.metrics import score_predictions
from tests.diagnosis.tables import binary, of_three


def check(name, status):
    return Check(name, status, f"what {name} saw")


RULES = [
    ([], READY),
    ([("baseline", PASS), ("length", NOT_APPLICABLE)], READY),
    ([("baseline", FAIL)], NOT_READY),
    ([("baseline", FAIL), ("evidence", NOT_ENOUGH_DATA)], NOT_READY),
    ([("evidence", NOT_ENOUGH_DATA)], NOT_ENOUGH_DATA),
    ([("targets", NOT_ENOUGH_DATA)], NOT_ENOUGH_DATA),
    ([("accuracy_paradox", NOT_ENOUGH_DATA)], NOT_ENOUGH_DATA),
    ([("length", NOT_ENOUGH_DATA), ("perplexity_alone", NOT_ENOUGH_DATA)], READY),
    ([("targets", NOT_APPLICABLE), ("baseline", PASS)], NO_TARGET),
    ([("targets", NOT_APPLICABLE), ("baseline", FAIL)], NOT_READY),
    ([("targets", NOT_APPLICABLE), ("evidence", NOT_ENOUGH_DATA)], NOT_ENOUGH_DATA),
    # These inform and never gate.
    ([("calibration", FAIL), ("threshold", FAIL), ("label_noise", FAIL)], READY),
]


@pytest.mark.parametrize(("checks", "expected"), RULES)
def test_the_verdict_follows_the_design(checks, expected):
    assert combine([check(*one) for one in checks]).verdict == expected


def test_98_percent_accuracy_with_12_percent_recall_is_not_ready():
    # 1,000 messages, 22 spam: 3 found, 1 false alarm.
    table = binary(hits=3, missed=19, alarms=1, rest=977)

    verdict = diagnose(Context(table))

    assert verdict.verdict == NOT_READY
    assert verdict.sentence == (
        "Not ready: Recall of 'spam' is 14 % (3 of 22), although accuracy is 98.0 % (and 1 check more)."
    )


def test_a_constant_model_is_not_ready():
    verdict = diagnose(Context(binary(hits=0, missed=60, alarms=0, rest=940)))

    assert verdict.sentence.startswith("Not ready: Recall of 'spam' is 0 % (0 of 60), although accuracy is 94 %")


def test_one_class_alone_tells_nothing_of_the_others():
    verdict = diagnose(Context(binary(hits=50, missed=0, alarms=0, rest=0)))

    assert verdict.verdict == NOT_ENOUGH_DATA
    assert verdict.sentence == (
        "Not enough data: Every row is of class 'spam': these rows cannot show whether the model recognizes "
        "another class."
    )


@pytest.mark.parametrize("targets", [None, "recall[spam]>=0.8", "accuracy>=0.85"])
def test_ten_messages_are_not_enough_data(targets):
    table = binary(hits=1, missed=1, alarms=0, rest=8)

    verdict = diagnose(Context(table, targets=read_targets(targets)))

    assert verdict.verdict == NOT_ENOUGH_DATA
    assert verdict.sentence.startswith(
        "Not enough data: Too few rows of 'spam' (2) to estimate its recall, without which an accuracy of 90 % does not"
    )


def test_a_good_filter_is_ready_and_what_lacks_is_said():
    verdict = diagnose(
        Context(binary(hits=95, missed=5, alarms=4, rest=896), targets=read_targets("recall[spam]>=0.8"))
    )

    assert verdict.verdict == READY
    assert verdict.sentence.startswith("Ready: recall of 'spam' is 95 % (95 of 100)")
    lacking = {one.check for one in verdict.checks if one.status == NOT_APPLICABLE}
    assert lacking >= {"leakage", "overfitting", "calibration", "baseline"}
    assert all(one.finding for one in verdict.checks)


def test_the_json_is_the_contract():
    content = diagnose(Context(binary(5, 0, 0, 5))).to_json()

    assert set(content) == {"verdict", "checks"}
    assert all(set(one) == {"check", "status", "finding", "numbers", "remedy"} for one in content["checks"])
    assert len({one["check"] for one in content["checks"]}) == len(content["checks"]) == 16


def test_the_sentence_opens_with_the_number_and_names_the_flag():
    table = binary(hits=70, missed=30, alarms=5, rest=895)

    verdict = diagnose(Context(table, scores=score_predictions(table)))

    assert verdict.to_json()["verdict"] == NO_TARGET
    assert verdict.sentence == (
        "F1 of spam 0.800 [0.728, 0.859] on 1,000 rows. No target was set: every check that decides passed; set a "
        "target, e.g. --targets 'recall[spam]>=0.8'."
    )


@pytest.mark.parametrize("hits", [275, 300, 350, 400])
def test_a_filter_that_finds_half_of_the_spam_is_not_called_ready_without_a_target(hits):
    assert diagnose(Context(binary(hits, 500 - hits, 0, 900))).verdict == NO_TARGET
    assert diagnose(Context(binary(490, 10, 1, 899))).verdict == READY


@pytest.mark.parametrize("weights", ["balanced", "1,5"])
@pytest.mark.parametrize(
    "case",
    [
        Context(binary(3, 25, 12, 1_105)),  # a class is missed, and no target was set
        Context(binary(46, 54, 0, 1_957)),  # it may be half of it
        Context(binary(10, 90, 300, 600), targets=read_targets("recall>=0.8")),
        Context(of_three(5, 45)),
        Context(of_three(5, 45), targets=read_targets("recall[c]>=0.8,recall_macro>=0.9")),
    ],
)
def test_weights_that_a_model_was_trained_with_are_not_advised_again(case, weights):
    plain, weighted = (
        {check.check: check for check in diagnose(replace(case, class_weights=text)).checks}
        for text in ("none", weights)
    )
    asking = {name for name, check in plain.items() if "--class_weights balanced" in (check.remedy or "")}

    assert asking & {"accuracy_paradox", "targets"}
    for name in asking:
        assert "--class_weights" not in weighted[name].remedy
        assert (
            "label" in weighted[name].remedy
            or "training examples" in weighted[name].remedy
            or ("--threshold_objective" in weighted[name].remedy)
        )
        assert (weighted[name].status, weighted[name].finding) == (plain[name].status, plain[name].finding)
