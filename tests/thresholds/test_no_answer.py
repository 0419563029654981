"""When to give no answer: chosen on validation, and only where it surely helps."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from llmtune.predictions import make_predictions
from llmtune.thresholds.no_answer import choose_null_threshold


def table(differences, answerable):
    """A best span that is right where there is an answer."""
    reference = [["yes"] if one else [] for one in answerable]
    columns = {"question": ["?"] * len(reference), "reference": reference, "prediction": ["yes"] * len(reference)}
    carried = {"null_difference": np.array(differences, dtype=float), "best_span": ["yes"] * len(reference)}
    return make_predictions("question-answering", columns, carried=carried)


def test_a_threshold_that_tells_the_two_sorts_apart_is_found():
    random = np.random.default_rng(0)
    answerable = np.arange(200) % 2 == 0
    differences = np.where(answerable, random.normal(2, 0.3, 200), random.normal(5, 0.3, 200))

    choice = choose_null_threshold(table(differences, answerable), seed=1)

    assert 2.8 < choice.threshold < 4.2
    assert choice.f1 == pytest.approx(100.0)
    assert choice.f1_at_standard == pytest.approx(50.0)
    assert "chosen on validation: F1 50.00 points" in choice.reason


def test_0_stays_where_the_gain_may_be_chance():
    choice = choose_null_threshold(table([-1, -1, 0.5, 1, -2, 2], [True, True, True, False, True, False]), seed=1)

    assert choice.threshold == 0.0
    assert (
        "0 stays: the best on validation, 0.75, gains 16.67 points of F1 there, not significantly above 0"
        in choice.reason
    )


def test_of_equal_thresholds_the_one_nearest_0_is_taken_and_ties_of_the_difference_are_not_split():
    answerable = np.arange(100) % 2 == 0
    differences = np.where(answerable, -4.0, -3.0)

    choice = choose_null_threshold(table(differences, answerable), seed=1)

    assert choice.threshold == -3.5


def test_questions_with_broken_outputs_have_no_say():
    answerable = np.arange(100) % 2 == 0
    differences = np.where(np.arange(100) < 4, -np.inf, np.where(answerable, 2.0, 5.0))
    broken = table(differences, answerable)
    best = ["" if one == -np.inf else "yes" for one in differences]
    place = broken.table.column_names.index("best_span")
    broken = replace(broken, table=broken.table.set_column(place, "best_span", pa.array(best)))

    assert choose_null_threshold(broken, seed=1).threshold == 3.5
    nothing = choose_null_threshold(table([-np.inf] * 4, [True, False] * 2), seed=1)
    assert (nothing.threshold, nothing.reason) == (0.0, "0: no question of validation has a finite output")


def test_the_threshold_is_finite_where_leaving_every_question_unanswered_is_best():
    answerable = np.arange(100) >= 100
    answerable[0] = True
    differences = np.where(np.arange(100) < 4, -np.inf, -1.0)

    choice = choose_null_threshold(table(differences, answerable), seed=1)

    assert np.isfinite(choice.threshold)
    assert choice.threshold < -1


def test_without_unanswerable_questions_in_validation_there_is_nothing_to_choose():
    choice = choose_null_threshold(table([-1, 1], [True, True]), seed=1)

    assert (choice.threshold, choice.reason) == (0.0, "0: validation has no question without an answer")
