"""Clipping where it is needed: the gradients and norms of torch's own, to the last bit."""

from types import SimpleNamespace

import pytest
import torch

from llmtune.training.clipping import ClippingWhereNeeded


def clipped(gradients, most, **arguments):
    model = torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(len(gradient))) for gradient in gradients])
    for weight, gradient in zip(model, gradients, strict=True):
        weight.grad = torch.tensor(gradient)
    plain = {"device": torch.device("cpu"), "world_size": 1, "max_grad_norm": most}
    trainer = ClippingWhereNeeded.__new__(ClippingWhereNeeded)
    trainer.args = SimpleNamespace(**plain | arguments)
    return model, trainer


@pytest.mark.parametrize("most", [0.1, 4.999999, 5.0, 5.000001, 5.1, float("inf")])
@pytest.mark.parametrize(
    "gradients", [[[3.0, 0.0], [4.0]], [[float("nan"), 1.0], [2.0]], [[float("inf")], [1.0, 2.0]]], ids=str
)
def test_gradients_and_norm_are_those_of_torch(most, gradients):
    model, trainer = clipped(gradients, most)
    other, _ = clipped(gradients, most)

    norm = trainer._clip_grad_norm(model)

    expected = torch.nn.utils.clip_grad_norm_(other.parameters(), most)
    assert torch.equal(norm.nan_to_num(-1.0), expected.nan_to_num(-1.0))
    for mine, torchs in zip(model, other, strict=True):
        torch.testing.assert_close(mine.grad, torchs.grad, rtol=0, atol=0, equal_nan=True)


def test_gradients_that_are_short_enough_are_not_written():
    model, trainer = clipped([[3.0, 0.0], [4.0]], 6.0)
    versions = [weight.grad._version for weight in model]
    trainer._clip_grad_norm(model)
    assert [weight.grad._version for weight in model] == versions


def test_a_weight_without_a_gradient_is_left_alone():
    model, trainer = clipped([[3.0], [4.0]], 1.0)
    model[1].grad = None
    assert trainer._clip_grad_norm(model) == 3.0
    assert model[1].grad is None
