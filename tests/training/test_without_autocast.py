"""Evaluation in the precision of the weights, where accelerate put the autocast of training around the model."""

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from llmtune.training.without_autocast import without_autocast


@pytest.fixture
def accelerator():
    AcceleratorState._reset_state(reset_partial_state=True)
    yield Accelerator(mixed_precision="bf16", cpu=True)
    AcceleratorState._reset_state(reset_partial_state=True)


def test_outputs_are_those_of_float32_inside_and_of_bfloat16_again_after_it(accelerator):
    torch.manual_seed(0)
    model, inputs = torch.nn.Linear(64, 64), torch.randn(8, 64)
    exact = model(inputs)
    prepared = accelerator.prepare_model(model)
    rounded = prepared(inputs)
    assert not torch.equal(rounded, exact)

    with without_autocast(accelerator.unwrap_model(prepared)):
        assert torch.equal(prepared(inputs), exact)

    assert torch.equal(prepared(inputs), rounded)


def test_it_comes_back_after_an_error_and_a_plain_model_stays(accelerator):
    prepared = accelerator.prepare_model(torch.nn.Linear(4, 4))
    around = prepared.forward
    with pytest.raises(ValueError, match="stop"), without_autocast(prepared):
        raise ValueError("stop")
    assert prepared.forward is around
    plain = torch.nn.Linear(4, 4)
    with without_autocast(plain):
        assert "forward" not in plain.__dict__
