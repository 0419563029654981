"""Fairness of texts with a number: whose errors are greater, against scipy's Welch test."""

import numpy as np
import pytest
import scipy.stats

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS
from llmtune.diagnosis.error_gaps import error_gaps
from llmtune.diagnosis.fairness import fairness
from llmtune.predictions import make_predictions


def scored(spreads, n=100):
    """A table with n rows of each shop, whose predictions are so far off."""
    draw = np.random.default_rng(0)
    shops = [shop for shop in spreads for _ in range(n)]
    reference = draw.normal(size=len(shops))
    prediction = reference + np.concatenate([spread * draw.normal(size=n) for spread in spreads.values()])
    columns = {"text": [f"text {row}" for row in range(len(shops))], "shop": shops}
    return make_predictions("regression", {"reference": reference, "prediction": prediction}, carried=columns)


def test_p_is_that_of_welchs_test():
    table = scored({"a": 1.0, "b": 1.3, "c": 1.0})
    errors = np.abs(np.array(table.column("prediction")) - np.array(table.column("reference")))

    gap = next(gap for gap in error_gaps(table, {"shop": table.column("shop")}) if gap.group == "b")

    here, others = errors[100:200], np.concatenate([errors[:100], errors[200:]])
    assert gap.p == pytest.approx(scipy.stats.ttest_ind(here, others, equal_var=False, alternative="greater").pvalue)
    assert gap.p <= gap.adjusted <= 3 * gap.p


def test_a_group_with_far_greater_errors_fails():
    check = fairness(scored({"a": 0.5, "b": 0.5, "c": 2.0}), ["shop"])

    assert check.status == FAIL
    assert check.finding.startswith("mean absolute error is 1.")
    assert "where shop is c (100 rows)" in check.finding


def test_groups_alike_pass_and_the_greatest_error_is_told():
    check = fairness(scored({"a": 0.5, "b": 0.5}), ["shop"])

    assert check.status == PASS
    assert "No significantly and largely greater error in any group; greatest: mean absolute error is" in check.finding


def test_small_groups_are_too_few():
    assert fairness(scored({"a": 0.5, "b": 2.0}, n=20), ["shop"]).status == NOT_ENOUGH_DATA


def test_no_error_at_all_is_no_fault():
    assert fairness(scored({"a": 0.0, "b": 0.0}), ["shop"]).status == PASS
