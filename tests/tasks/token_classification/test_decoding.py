"""The likeliest valid tags of a sentence, against every sequence there is."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtune.tasks.token_classification.decoding import likeliest_iob2
from llmtune.text.tag_schemes import repair_iob2

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def candidates_of(probabilities: np.ndarray, k: int) -> tuple[list[list[str]], np.ndarray]:
    places = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return [[TAGS[place] for place in row] for row in places], np.take_along_axis(probabilities, places, axis=1)


def is_valid(tags: tuple[str, ...]) -> bool:
    return repair_iob2(tags)[1] == 0


@given(words=st.integers(0, 5), k=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_no_valid_sequence_of_the_candidates_is_likelier(words, k, seed):
    probabilities = np.random.default_rng(seed).dirichlet(np.full(len(TAGS), 0.5), size=words)
    tags, kept = candidates_of(probabilities, k)

    found, chosen = likeliest_iob2(tags, kept)

    valid = [places for places in itertools.product(range(k), repeat=words) if is_valid(tuple(map(of, tags, places)))]
    assert is_valid(tuple(found))
    if valid:
        likelihood = {places: np.prod([kept[word, place] for word, place in enumerate(places)]) for places in valid}
        assert likelihood[tuple(chosen)] == pytest.approx(max(likelihood.values()), rel=1e-12)
        assert found == [of(row, place) for row, place in zip(tags, chosen, strict=True)]
    else:
        assert found == repair_iob2([row[0] for row in tags])[0]
        assert chosen == [0] * words


def of(row, place):
    return row[place]


@given(seed=st.integers(0, 2**32 - 1), words=st.integers(1, 30))
def test_valid_tags_stay_as_they_are(seed, words):
    probabilities = np.random.default_rng(seed).dirichlet(np.full(len(TAGS), 0.5), size=words)
    tags, kept = candidates_of(probabilities, 4)
    for row, repaired in zip(tags, repair_iob2([row[0] for row in tags])[0], strict=True):
        row[0] = repaired

    assert likeliest_iob2(tags, kept) == ([row[0] for row in tags], [0] * words)


def test_a_tag_that_the_model_holds_impossible_is_not_taken():
    assert likeliest_iob2([["I-PER", "O"]], np.array([[1.0, 0.0]])) == (["B-PER"], [0])
    assert likeliest_iob2([["I-PER", "O"]], np.array([[1.0, 1e-300]])) == (["O"], [1])
