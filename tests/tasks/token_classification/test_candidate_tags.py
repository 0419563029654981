"""The tags that evaluation keeps of a token."""

import pytest
import torch

from llmtune.tasks.token_classification.candidate_tags import candidate_tags
from llmtune.text.likeliest_tags import TYPES


def names_of(types: int) -> tuple[str, ...]:
    return ("O", *(f"{letter}-T{place}" for place in range(types) for letter in "BI"))


@pytest.mark.parametrize("types", [0, 1, 2, 4, 20, 100])
def test_the_candidates_of_a_token_are_outside_and_both_tags_of_the_likeliest_types(types):
    names = names_of(types)
    logits = torch.randn(2, 3, len(names), generator=torch.Generator().manual_seed(types), dtype=torch.float64)

    ids, probabilities = candidate_tags(logits, names)

    assert ids.shape == probabilities.shape == (2, 3, 1 + 2 * min(types, TYPES))
    exact = logits.softmax(-1)
    torch.testing.assert_close(probabilities.double(), exact.gather(-1, ids.long()), rtol=1e-6, atol=1e-7)
    assert (probabilities.diff(dim=-1) <= 0).all()
    assert (ids[..., 0].long() == exact.argmax(-1)).all()
    for of_token, row in zip(ids.flatten(0, 1).tolist(), exact.flatten(0, 1).tolist(), strict=True):
        best = sorted(range(types), key=lambda place: -max(row[2 * place + 1], row[2 * place + 2]))[:TYPES]
        assert set(of_token) == {0, *(2 * place + letter for place in best for letter in (1, 2))}


def test_a_type_of_which_the_model_has_one_tag_is_a_candidate_too():
    ids, probabilities = candidate_tags(torch.tensor([[1.0, 3.0, 0.0, 2.0]]), ["B-A", "I-B", "O", "B-C"])

    assert ids.tolist() == [[1, 1, 3, 3, 0, 0, 2]]
    assert probabilities.tolist()[0][0] == pytest.approx(0.6439, abs=1e-4)


def test_outputs_that_are_not_finite_have_no_probability():
    _, probabilities = candidate_tags(torch.tensor([[float("inf"), 0.0, 1.0], [float("nan"), 0.0, 1.0]]), names_of(1))

    assert probabilities.isnan().all()
