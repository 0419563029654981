"""Demands: read, judged by Wilson's bounds, refused where they name nothing."""

import math

import pytest

from llmtune.diagnosis.accuracy_paradox import accuracy_paradox
from llmtune.diagnosis.baseline import baseline
from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS
from llmtune.diagnosis.evidence import evidence
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.targets import targets
from llmtune.errors import InputError
from llmtune.predictions import make_predictions
from tests.diagnosis.tables import binary

JUDGED = [  # found of n spam, target, status
    (95, 100, 0.8, PASS),  # Wilson 0.888 to 0.978
    (70, 100, 0.8, FAIL),  # 0.604 to 0.781
    (85, 100, 0.8, NOT_ENOUGH_DATA),  # 0.767 to 0.907: straddles
    (29, 29, 0.8, NOT_ENOUGH_DATA),  # 0.883 and above, but below 30 nothing passes
    (3, 25, 0.8, FAIL),  # a Wilson upper bound below the target fails all the same
    (0, 9, 0.8, NOT_ENOUGH_DATA),  # below 10 nothing fails
    (0, 10, 0.8, FAIL),
    (30, 30, 0.8, PASS),  # 0.886
]


@pytest.mark.parametrize(("found", "n", "target", "status"), JUDGED)
def test_a_target_is_judged_by_the_wilson_bounds(found, n, target, status):
    table = binary(found, n - found, 0, 500)

    check = targets(table, read_targets(f"recall[spam]>={target}"))

    assert check.status == status
    assert check.numbers["targets"][0]["n"] == n
    assert check.remedy or status == PASS


def test_several_targets_fail_together_with_their_remedies():
    check = targets(binary(10, 90, 300, 600), read_targets("recall>=0.8,precision[spam]>=0.9,accuracy>=0.5"))

    assert check.status == FAIL
    assert "recall of 'spam' is 10 % (10 of 100), target 80 %: missed" in check.finding
    assert "--class_weights balanced" in check.remedy
    assert "--threshold_objective 'precision>=0.9'" in check.remedy
    assert [one["status"] for one in check.numbers["targets"]] == [FAIL, FAIL, PASS]


def test_an_open_target_says_how_many_rows_would_decide():
    check = targets(binary(85, 15, 0, 500), read_targets("recall[spam]>=0.8"))

    # 1.96² · 0.8 · 0.2 / 0.05² = 245.9
    assert check.remedy == "about 146 more rows of 'spam' would decide recall[spam], if it stays 0.850"


@pytest.mark.parametrize(
    ("demand", "remedy"),
    [
        ("recall>=0.8", "label at least 10 more rows of 'spam' for recall"),
        ("precision[spam]>=0.8", "label at least 11 more rows predicted as 'spam' for precision[spam]"),
        # 1.96² · 0.99 · 0.01 / 0.015² = 169.02
        ("accuracy>=0.99", "about 50 more rows would decide accuracy, if it stays 0.975"),
    ],
)
def test_what_is_lacking_is_counted_in_what_the_metric_counts(demand, remedy):
    assert targets(binary(18, 2, 1, 99), read_targets(demand)).remedy == remedy


PARADOX = [  # found of n spam, ham left alone
    (12, 100, FAIL, "Recall of 'spam' is 12 % (12 of 100), although accuracy is 95.7 %"),
    (
        46,
        100,
        NOT_ENOUGH_DATA,
        "Too few rows to tell whether recall of 'spam' is above one half (46 of 100), although accuracy is 97.4 %",
    ),
    (
        58,
        100,
        NOT_ENOUGH_DATA,
        "Too few rows to tell whether recall of 'spam' is above one half (58 of 100), although accuracy is 98.0 %",
    ),
    (65, 100, PASS, "Recall of 'spam', the lowest, is 65 % (65 of 100); accuracy is"),
    (460, 1000, NOT_ENOUGH_DATA, "is above one half (460 of 1000), although accuracy is 82 %"),
    (430, 1000, FAIL, "Recall of 'spam' is 43 % (430 of 1000), although accuracy is 81 %"),
]


@pytest.mark.parametrize(("hits", "n", "status", "said"), PARADOX)
def test_accuracy_hides_a_class_of_which_surely_less_than_half_is_found(hits, n, status, said):
    check = accuracy_paradox(binary(hits, n - hits, 0, 1_957))

    assert check.status == status
    assert said in check.finding


def test_of_other_metrics_the_rows_follow_from_their_interval():
    table = binary(90, 10, 10, 890)

    check = targets(table, read_targets("f1>=0.88"))

    (judged,) = check.numbers["targets"]
    needed = math.ceil(100 * ((judged["value"] - judged["low"]) / 0.02) ** 2)  # the interval narrows with the root
    assert check.remedy == f"about {needed - 100} more rows of 'spam' would decide f1, if it stays 0.900"
    undecided = targets(table, read_targets("f1>=0.9")).remedy
    assert undecided == "label more test rows until the interval of f1 excludes 0.9"


def test_a_class_that_may_be_half_found_says_how_many_rows_would_tell():
    # 2.807² · 0.25 / 0.04² = 1,231.2 for one that is below; 1.96² · 0.25 / 0.08² = 150.06 for one that is above.
    below, above = (accuracy_paradox(binary(hits, 100 - hits, 0, 1_957)) for hits in (46, 58))

    assert below.remedy.startswith("label about 1,132 more rows of 'spam'; or train with --class_weights balanced")
    assert above.remedy.startswith("label about 51 more rows of 'spam'; or train with --class_weights balanced")


def test_a_ceiling_and_an_interval_of_another_metric():
    table = binary(90, 10, 10, 890)

    assert targets(table, read_targets("f1>=0.8")).status == PASS
    assert targets(table, read_targets("f1>=0.99")).status == FAIL
    assert targets(table, read_targets("f1<=0.5")).status == FAIL


def test_other_kinds_have_targets_too():
    words = [f"one two three {i}" for i in range(40)]
    table = make_predictions("text-generation", {"reference": words, "prediction": words})

    assert targets(table, read_targets("bleu>=50")).status == PASS
    few = make_predictions("text-generation", {"reference": words[:20], "prediction": words[:20]})
    assert targets(few, read_targets("bleu>=50")).status == NOT_ENOUGH_DATA


def test_without_targets_no_class_may_surely_be_below_one_half():
    between = targets(binary(60, 40, 30, 870), ())
    assert between.status == NOT_APPLICABLE
    assert between.finding == (
        "No target was set (--targets), and not every recall and precision reaches 0.80; lowest: recall of 'spam' is "
        "60 % (60 of 100), 95 % interval 0.502 to 0.691"
    )
    beyond = targets(binary(95, 5, 5, 895), ())
    assert beyond.status == PASS
    assert beyond.finding.startswith("Every recall and precision reaches 0.80, the field's rule of thumb; lowest: ")
    missed = targets(binary(20, 80, 5, 895), ())
    assert missed.status == FAIL
    assert missed.finding == "recall of 'spam' is 20 % (20 of 100), significantly below one half"
    alarmed = targets(binary(90, 10, 800, 100), ())
    assert alarmed.status == FAIL
    assert "precision of 'spam' is 10 % (90 of 890)" in alarmed.finding
    assert targets(binary(9, 20, 0, 100), ()).status == NOT_ENOUGH_DATA


def test_the_rules_of_thumb_stand_beside():
    check = targets(binary(90, 10, 10, 890), read_targets("accuracy>=0.5"))

    assert check.numbers["reference_ranges"] == {
        "recall": "0.9: good",
        "precision": "0.9: good",
        "accuracy": "0.98: good",
    }


REFUSED = [
    ("recall[spam]", "expected METRIC>=VALUE or METRIC<=VALUE"),
    ("recall[spam]>0.8", "expected METRIC>=VALUE or METRIC<=VALUE"),
    ("accuracy>=high", "'high' is not a number"),
    ("accuracy>=nan", "'nan' is not a number"),
    ("recall[spam]>=80", r"recall\[spam\] lies between 0 and 1; give a value on that scale"),
    ("recall[spma]>=0.8", r"there is no 'recall\[spma\]' here; there are recall, recall\[ham\]"),
    ("beauty>=0.8", "there is no 'beauty' here; there are accuracy"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_wrong_target_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        targets(binary(50, 50, 50, 50), read_targets(text))


def test_labels_may_hold_commas():
    assert [str(one) for one in read_targets("f1[yes, sir]>=0.5,accuracy>=0.6")] == [
        "f1[yes, sir]>=0.5",
        "accuracy>=0.6",
    ]


@pytest.mark.parametrize("tags", [["S-PER", "O", "B-ORG", "E-ORG"], ["I-PER", "O", "I-ORG", "I-ORG"]])
def test_entities_of_other_schemes_are_counted(tags):
    table = make_predictions("token-classification", {"reference": [tags] * 40, "prediction": [tags] * 40})

    check = targets(table, ())

    assert check.status == PASS
    assert evidence(table).numbers["counts"] == {"rows": 40, "of 'ORG'": 40, "of 'PER'": 40}


def test_evidence_counts_what_the_targets_name():
    table = binary(10, 10, 5, 95)

    lacking = evidence(table)
    assert lacking.status == NOT_ENOUGH_DATA
    assert lacking.finding == "Too few test rows: 20 of 'spam'; at least 30 are required"
    assert lacking.remedy == "label at least 10 more of 'spam'"
    # 10 rows: 28 of 'spam' and 22 of 'ham' are 50 rows more, none beyond them.
    few = evidence(binary(1, 1, 4, 4))
    assert few.finding == "Too few test rows: 10 rows, 8 of 'ham', 2 of 'spam'; at least 30 are required"
    assert few.remedy == "label at least 22 more of 'ham', 28 more of 'spam'"
    # Spam alone is asked about: 28 of them leave no row lacking.
    assert evidence(binary(1, 1, 4, 4), read_targets("recall[spam]>=0.8")).remedy == "label at least 28 more of 'spam'"
    assert evidence(binary(20, 6, 0, 0), read_targets("recall[spam]>=0.8")).remedy == "label at least 4 more of 'spam'"
    assert evidence(table, read_targets("recall[ham]>=0.8")).status == PASS
    assert evidence(table, read_targets("accuracy>=0.8")).status == PASS


def test_two_classes_that_are_swapped_are_the_opposite_and_not_guesses():
    check = accuracy_paradox(binary(2, 98, 97, 3))

    assert check.finding.startswith("Predictions say mostly another class than the labels: their Matthews correlation")
    assert check.remedy == "compare the order of the model's classes with that of the labels"
    assert accuracy_paradox(binary(500, 500, 500, 500)).finding.startswith("Predictions hardly depend on the input")


def test_a_target_on_f1_says_of_which_class_it_is():
    rows = {"reference": ["junk", "legit"] * 60, "prediction": ["junk"] * 120}
    table = make_predictions("classification", rows, label_names=("junk", "legit"), positive_label="junk")

    assert targets(table, read_targets("f1>=0.9")).finding.startswith("f1 of junk is 0.667 on 60 rows of ")


def test_rows_of_a_series_are_not_labeled_but_come_with_time():
    rows = {"reference": [1.0] * 8, "prediction": [1.5] * 8}
    texts = make_predictions("regression", rows)
    series = make_predictions("regression", {**rows, "time": list(range(8))})
    longer = "test over a longer time, at least 22 more rows: give a longer --test_file or a larger --test_fraction"

    assert evidence(texts).remedy == "label at least 22 more rows"
    assert evidence(series).remedy == longer
    assert targets(series, read_targets("rmse<=1")).remedy.startswith("set a target on") or (
        targets(series, read_targets("rmse<=1")).remedy == f"{longer} for rmse"
    )
    assert "longer time" in baseline(series, {"persistence": series}).remedy


def test_rows_of_one_number_are_no_evidence():
    table = make_predictions("regression", {"reference": [4.0] * 50, "prediction": [3.5, 4.0] * 25})
    check = evidence(table)
    assert check.status == NOT_ENOUGH_DATA
    assert (
        check.finding == "The reference is 4 in every row: these rows cannot show whether the model tells numbers apart"
    )
