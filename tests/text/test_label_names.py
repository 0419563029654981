"""Which names of two sets mean the same class."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtune.text.label_names import match_names, match_positions


@given(st.permutations(["neg", "neutral", "pos", "Ärger"]), st.permutations(range(4)))
def test_any_order_of_the_same_names_is_put_in_order(names, order):
    theirs = [names[i] for i in order]

    places = match_names(names, theirs)

    assert [theirs[place] for place in places] == names


@given(st.permutations(range(12)))
def test_a_position_is_read_as_its_number_not_as_its_place_in_the_alphabet(order):
    names = [f"LABEL_{i}" for i in range(12)]

    assert match_names([str(i) for i in order], names) == list(order)
    assert match_positions([str(i) for i in order], names) == {str(i): names[i] for i in order}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["ham", "spam"], ["neg", "pos"]),
        (["a", "A"], ["A", "b"]),  # of 'a' and 'A' nobody knows which is meant
        (["a", "b"], ["a", "b", "c"]),
        (["1", "2"], ["LABEL_0", "LABEL_1"]),  # counted from 1: which is which is a guess
        (["ham", "spam"], ["LABEL_0", "LABEL_1"]),
    ],
)
def test_names_that_are_not_surely_the_same_classes_do_not_match(wanted, names):
    assert match_names(wanted, names) is None


def test_a_model_with_names_of_its_own_has_no_positions():
    assert match_positions(["0", "1"], ["ham", "spam"]) == {}
    assert match_positions(["LABEL_0", "1"], ["LABEL_0", "LABEL_1"]) == {"1": "LABEL_1"}
