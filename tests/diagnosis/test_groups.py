"""Groups, slices and lengths: real differences are named, those of chance are not."""

import numpy as np
import pytest

from llmtune.diagnosis.check import FAIL, NOT_APPLICABLE, NOT_ENOUGH_DATA, PASS
from llmtune.diagnosis.fairness import fairness
from llmtune.diagnosis.groups import homogeneity_p
from llmtune.diagnosis.length import length
from llmtune.diagnosis.proportions import Proportion, newcombe_difference
from llmtune.errors import InputError
from llmtune.predictions import make_predictions


def table(n, recall_of, seed=0, positive_share=None, **columns):
    """Rows of groups a, b …, each with its recall of both classes."""
    draw = np.random.default_rng(seed)
    names = list(recall_of)
    group = draw.choice(names, n)
    share = np.array([(positive_share or {}).get(name, 0.5) for name in group])
    reference = draw.random(n) < share
    right = draw.random(n) < np.array([recall_of[name] for name in group])
    prediction = np.where(right, reference, ~reference)
    word = np.array(["no", "yes"])
    return make_predictions(
        "classification",
        {"reference": word[reference.astype(int)].tolist(), "prediction": word[prediction.astype(int)].tolist()},
        carried={"group": group.tolist(), **columns},
        label_names=["no", "yes"],
    )


def test_a_group_that_is_served_worse_is_named_with_its_rate():
    check = fairness(table(2_000, {"a": 0.9, "b": 0.9, "c": 0.6}), ["group"])

    assert check.status == FAIL
    assert "where group is c" in check.finding
    assert check.remedy
    of_group = check.numbers["summary"]["group"]
    assert set(of_group) == {"demographic_parity_difference", "four_fifths_ratio", "equalized_odds_difference"}
    odds = of_group["equalized_odds_difference"]
    assert odds["low"] < odds["value"] < odds["high"]


def test_fifty_equal_groups_differ_by_chance_alone():
    check = fairness(table(4_000, {f"g{i}": 0.8 for i in range(50)}), ["group"])

    assert check.status == PASS
    widest = max(one["difference"] for one in check.numbers["compared"])
    assert widest > 0.2  # which a rule of greatest less least would have failed


def test_a_base_rate_is_no_unfairness():
    check = fairness(table(3_000, {"a": 0.9, "b": 0.9}, positive_share={"a": 0.7, "b": 0.3}), ["group"])

    assert check.status == PASS
    assert check.numbers["summary"]["group"]["four_fifths_ratio"] < 0.8


def test_small_groups_are_left_out_and_said():
    rates = table(400, {"a": 0.9, "b": 0.9})
    rows = rates.column("group")
    rows[:5] = ["tiny"] * 5
    check = fairness(make_predictions(
        "classification",
        {name: rates.column(name) for name in ("reference", "prediction")},
        carried={"group": rows},
        label_names=["no", "yes"],
    ), ["group"])  # fmt: skip

    assert check.status == PASS
    assert "group tiny" in check.remedy
    assert fairness(table(50, {"a": 0.9, "b": 0.9}), ["group"]).status == NOT_ENOUGH_DATA


def test_slices_have_no_selection_rates():
    check = fairness(table(2_000, {"a": 0.9, "b": 0.6}), slice_columns=["group"])

    assert check.status == FAIL
    assert check.numbers["selection"] == []


def test_what_names_no_group_is_refused():
    rows = table(300, {"a": 0.9, "b": 0.9}, name=[f"person {i}" for i in range(300)])

    assert fairness(rows).status == NOT_APPLICABLE
    with pytest.raises(InputError, match="'race': the predictions have the columns id, reference"):
        fairness(rows, ["race"])
    with pytest.raises(InputError, match="'name': 300 different values are not groups"):
        fairness(rows, ["name"])


def test_long_texts_that_are_served_worse_are_found():
    draw = np.random.default_rng(1)
    lengths = draw.integers(5, 200, 2_000)
    right = draw.random(2_000) < np.where(lengths > 160, 0.6, 0.95)
    reference = np.where(draw.random(2_000) < 0.5, "no", "yes")
    prediction = np.where(right, reference, np.where(reference == "no", "yes", "no"))

    def judged(**carried):
        columns = {"reference": reference.tolist(), "prediction": prediction.tolist()}
        return length(make_predictions("classification", columns, carried=carried, label_names=["no", "yes"]))

    assert judged(length=lengths).status == FAIL
    assert "tokens" in judged(length=lengths).finding
    assert judged(text=["x" * n for n in lengths]).status == FAIL
    assert judged(length=draw.permutation(lengths)).status == PASS
    assert judged().status == NOT_APPLICABLE


def test_entities_are_compared_by_group_too():
    tags = [["B-PER", "O"]] * 200
    said = [["B-PER", "O"]] * 100 + [["O", "O"]] * 60 + [["B-PER", "O"]] * 40
    rows = make_predictions(
        "token-classification", {"reference": tags, "prediction": said}, carried={"g": ["a"] * 100 + ["b"] * 100}
    )

    assert "recall[PER] is 40 % where g is b, 100 % elsewhere" in fairness(rows, ["g"]).finding


def test_small_expectations_are_permuted():
    # Fisher's exact p of 0 of 60 against 3 of 60 misses is 0.244; the chi-squared distribution says 0.079.
    p = homogeneity_p([Proportion(60, 60), Proportion(57, 60)])

    assert p == pytest.approx(0.244, abs=0.02)


def test_newcombe_is_the_published_interval():
    # Newcombe 1998, table II, method 10: 56/70 - 48/80 is 0.2 (0.0524 to 0.3339).
    difference, low, high = newcombe_difference(Proportion(56, 70), Proportion(48, 80))

    assert (difference, low, high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
