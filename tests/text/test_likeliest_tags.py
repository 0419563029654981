"""The likeliest valid tags of a sentence, against every sequence there is."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmtune.tasks.token_classification.candidate_tags import candidate_tags
from llmtune.text.likeliest_tags import likeliest_iob2
from llmtune.text.tag_schemes import repair_iob2

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def candidates_of(words: int, seed: int) -> tuple[list[list[str]], np.ndarray]:
    logits = np.random.default_rng(seed).normal(size=(words, len(TAGS))) * 3
    ids, probabilities = candidate_tags(torch.from_numpy(logits), TAGS)
    return [[TAGS[place] for place in row] for row in ids], probabilities.double().numpy()


def at(tags: list[list[str]], places: list[int]) -> list[str]:
    return [row[place] for row, place in zip(tags, places, strict=True)]


def is_valid(tags: list[str]) -> bool:
    return repair_iob2(tags)[1] == 0


@given(words=st.integers(0, 4), seed=st.integers(0, 2**32 - 1))
def test_no_valid_sequence_of_the_candidates_is_likelier(words, seed):
    tags, probabilities = candidates_of(words, seed)

    chosen = likeliest_iob2(tags, probabilities)

    likelihood = {
        places: np.prod([probabilities[word, place] for word, place in enumerate(places)])
        for places in itertools.product(range(5), repeat=words)
        if is_valid(at(tags, places))
    }
    assert likelihood[tuple(chosen)] == pytest.approx(max(likelihood.values()), rel=1e-12)


@given(seed=st.integers(0, 2**32 - 1), words=st.integers(1, 30))
def test_tags_that_are_valid_stay_as_they_are(seed, words):
    tags, probabilities = candidates_of(words, seed)
    for row, repaired in zip(tags, repair_iob2([row[0] for row in tags])[0], strict=True):
        row[0] = repaired

    assert likeliest_iob2(tags, probabilities) == [0] * words


def test_a_token_that_is_surely_inside_an_entity_that_never_began_is_outside():
    ids, probabilities = candidate_tags(torch.tensor([[-300.0, -300.0, 300.0]]), TAGS[:3])

    assert probabilities[0].tolist() == [1.0, 0.0, 0.0]
    assert ids[0, likeliest_iob2([[TAGS[place] for place in ids[0]]], probabilities.numpy())].tolist() == [0]
