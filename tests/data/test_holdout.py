from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune.data.holdout import connected_groups, stratified_group_split
from llmtune.text.normalize import normalize

TENTHS = {"validation": 0.1, "test": 0.1}


def hold_out_rows(labels, *, texts=None, authors=None, fractions=TENTHS, seed=1):
    texts = texts or [f"text {row}" for row in range(len(labels))]
    groups = connected_groups([texts, authors] if authors else [texts])
    return stratified_group_split(groups, labels, texts, fractions=fractions, seed=seed)


def test_rows_hang_together_over_a_third():
    # 0 and 1 share a text, 1 and 3 an author: 0 and 3 must not be parted
    assert connected_groups([["a", "a", "b", "c"], ["x", "y", "z", "y"]]) == [[0, 1, 3], [2]]


def test_each_class_keeps_its_share():
    rows = hold_out_rows(["ham"] * 870 + ["spam"] * 130)

    counts = {part: Counter("spam" if row >= 870 else "ham" for row in numbers) for part, numbers in rows.items()}
    assert counts["validation"] == {"ham": 87, "spam": 13}
    assert counts["test"] == {"ham": 87, "spam": 13}
    assert counts["train"] == {"ham": 696, "spam": 104}


@pytest.mark.parametrize("seed", range(10))
def test_a_class_of_three_rows_is_in_every_part(seed):
    rows = hold_out_rows(["common"] * 500 + ["rare"] * 3, seed=seed)

    assert all(any(row >= 500 for row in numbers) for numbers in rows.values())


def test_a_class_of_two_rows_stays_in_train():
    rows = hold_out_rows(["common"] * 500 + ["rare"] * 2)

    assert {500, 501} <= set(rows["train"])


def test_one_large_group_goes_to_train_not_into_a_small_part():
    texts = ["the same advert"] * 50 + [f"text {row}" for row in range(100)]

    rows = hold_out_rows(["spam"] * 150, texts=texts)

    assert set(range(50)) <= set(rows["train"])
    assert len(rows["validation"]) == len(rows["test"]) == 15


def test_another_seed_draws_other_rows():
    labels = ["a", "b"] * 100

    assert hold_out_rows(labels, seed=1) == hold_out_rows(labels, seed=1)
    assert hold_out_rows(labels, seed=1)["test"] != hold_out_rows(labels, seed=2)["test"]


def test_the_draw_does_not_hang_on_the_order_of_the_rows():
    texts = [f"text {row % 90}" for row in range(100)]
    labels = [f"class {row % 90 % 3}" for row in range(100)]

    forward = hold_out_rows(labels, texts=texts)
    backward = hold_out_rows(labels[::-1], texts=texts[::-1])

    for part, numbers in forward.items():
        assert sorted(texts[row] for row in numbers) == sorted(texts[::-1][row] for row in backward[part])


rows_of = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc"), st.integers(0, 25)), min_size=1, max_size=120)


@settings(max_examples=200, deadline=None)
@given(rows=rows_of, fractions=st.sampled_from([TENTHS, {"test": 0.2}, {"validation": 0.3, "test": 0.3}]))
def test_every_row_is_in_one_part_and_no_group_in_two(rows, fractions):
    texts = [f"text {text}" for text, _, _ in rows]
    authors = [author for _, _, author in rows]

    parts = hold_out_rows([label for _, label, _ in rows], texts=texts, authors=authors, fractions=fractions)

    assert list(parts) == ["train", *fractions]
    assert sorted(row for numbers in parts.values() for row in numbers) == list(range(len(rows)))
    for keys in (texts, authors):
        found = [{keys[row] for row in numbers} for numbers in parts.values()]
        assert sum(map(len, found)) == len(set.union(*found))


@settings(max_examples=100, deadline=None)
@given(counts=st.lists(st.integers(3, 200), min_size=2, max_size=6), seed=st.integers(0, 99))
def test_without_duplicates_every_class_is_in_every_part_near_its_share(counts, seed):
    labels = [f"class {index}" for index, count in enumerate(counts) for _ in range(count)]

    parts = hold_out_rows(labels, seed=seed)

    for index, count in enumerate(counts):
        for part in TENTHS:
            found = sum(labels[row] == f"class {index}" for row in parts[part])
            assert found >= 1
            assert abs(found - 0.1 * count) < 2


FOLDED = [
    ("Call NOW!!", "call now", True),
    ("a\tb\n c ", "A b, c", True),
    ("ﬁne １２", "fine 12", True),  # NFKC: ligature, full-width digits
    ("Straße", "STRASSE", True),  # casefold
    ("“quoted” – text…", '"quoted" - text...', True),
    ("I got it 😀", "I got it 😡", False),  # a symbol is content
    ("?!", "...", False),  # nothing else to tell them by
    ("कि", "की", False),  # vowel signs are no punctuation
    ("$5 off", "5 off", True),
    (["New", "York"], ["new", "york!"], True),  # tokens
]


@pytest.mark.parametrize(("one", "other", "same"), FOLDED)
def test_texts_equal_up_to_form_case_punctuation_and_space_are_duplicates(one, other, same):
    assert (normalize(one) == normalize(other)) is same


def test_rare_labels_of_rows_with_several_are_on_every_side_and_empty_sets_too():
    draw = np.random.default_rng(0)
    for seed in range(20):
        sets = [
            [name for name, share in (("a", 0.5), ("b", 0.2), ("c", 0.02)) if draw.random() < share] for _ in range(400)
        ]
        groups = [[row] for row in range(400)]
        texts = [f"text {row}" for row in range(400)]

        parts = stratified_group_split(groups, sets, texts, fractions={"validation": 0.1, "test": 0.2}, seed=seed)

        assert sorted(row for rows in parts.values() for row in rows) == list(range(400))
        for label, slack in (("a", 2), ("b", 2), ("c", 1.5), (None, 2)):
            rows = [row for row in range(400) if (label in sets[row] if label else not sets[row])]
            for part, share in (("validation", 0.1), ("test", 0.2)):
                here = len(set(rows) & set(parts[part]))
                assert abs(here - share * len(rows)) <= slack, (seed, label, part)
                assert here or len(rows) < 3


def test_copies_with_several_labels_stay_on_one_side():
    sets = [["a", "b"], ["a"], ["b"], [], ["a"]] * 20
    groups = [list(range(first, 100, 20)) for first in range(20)]

    parts = stratified_group_split(groups, sets, [str(row % 20) for row in range(100)], fractions={"test": 0.2}, seed=1)

    for group in groups:
        assert sum(group[0] in rows for rows in parts.values()) == 1
        assert any(set(group) <= set(rows) for rows in parts.values())
