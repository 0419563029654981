"""The tags that evaluation keeps of a token."""

import pytest
import torch

from llmtune.tasks.token_classification.candidate_tags import candidate_tags
from llmtune.text.likeliest_tags import CANDIDATES


@pytest.mark.parametrize("c", [1, 3, 7, 41, 200])
def test_the_candidates_of_a_token_are_outside_and_the_likeliest_others(c):
    logits = torch.randn(2, 3, c, generator=torch.Generator().manual_seed(c), dtype=torch.float64)
    outside = c // 2

    ids, probabilities = candidate_tags(logits, outside)

    assert ids.shape == probabilities.shape == (2, 3, min(c, CANDIDATES))
    exact = logits.softmax(-1)
    torch.testing.assert_close(probabilities.double(), exact.gather(-1, ids.long()), rtol=1e-6, atol=1e-7)
    assert (probabilities.diff(dim=-1) <= 0).all()
    for of_token, row in zip(ids.flatten(0, 1).tolist(), exact.flatten(0, 1).tolist(), strict=True):
        others = sorted((place for place in range(c) if place != outside), key=lambda place: -row[place])
        assert set(of_token) == {outside, *others[: CANDIDATES - 1]}
