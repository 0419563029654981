"""Dropout with masks of 15 bits: torch's distribution, its gradient, its seeds, on a CPU in training alone."""

from types import SimpleNamespace

import pytest
import scipy.stats
import torch
from torch.utils.checkpoint import checkpoint

from llmtune.models.cpu_dropout import LEVELS, CpuDropout, install, keep_mask


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.9])
def test_the_share_that_is_dropped_and_its_neighbours_are_those_of_independent_draws(probability):
    torch.manual_seed(0)
    count, threshold = 400_000, round(probability * LEVELS)
    mask = keep_mask(count, threshold)
    assert mask.unique().tolist() == [-1, 0]
    dropped = (mask == 0).long()
    assert scipy.stats.binomtest(int(dropped.sum()), count, threshold / LEVELS).pvalue > 1e-3
    # By distance: the lanes of one 64-bit word, and those of the next words.
    for apart in (1, 2, 3, 4, 8):
        both = int((dropped[:-apart] * dropped[apart:]).sum())
        assert scipy.stats.binomtest(both, count - apart, (threshold / LEVELS) ** 2).pvalue > 1e-4
    for lane in range(4):
        assert scipy.stats.binomtest(int(dropped[lane::4].sum()), count // 4, threshold / LEVELS).pvalue > 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_kept_numbers_and_gradients_are_scaled_as_torchs_and_the_rest_is_zero(dtype):
    torch.manual_seed(0)
    numbers = torch.randn(7, 33, dtype=dtype).requires_grad_()
    output = CpuDropout(0.25)(numbers)
    output.backward(torch.ones_like(output))
    kept = output != 0
    assert 0.5 < kept.float().mean() < 0.95
    torch.testing.assert_close(output[kept], (numbers / 0.75)[kept])
    torch.testing.assert_close(numbers.grad, kept.to(dtype) / 0.75)
    columns = numbers.detach().t()  # not contiguous
    assert CpuDropout(0.25)(columns).shape == columns.shape


def test_the_mean_over_masks_is_the_number():
    torch.manual_seed(0)
    mean = torch.stack([CpuDropout(0.1)(torch.ones(1_000)) for _ in range(400)]).mean()
    assert abs(float(mean) - 1) < 4 * (0.1 / 0.9 / 400_000) ** 0.5


def test_a_seed_repeats_a_mask_and_activation_checkpointing_draws_it_again():
    layer, numbers = CpuDropout(0.5), torch.ones(1_001)
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(layer(numbers))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    leaf = torch.ones(1_001, requires_grad=True)
    output = checkpoint(lambda x: layer(x) * x, leaf, use_reentrant=False)
    output.sum().backward()
    torch.testing.assert_close(leaf.grad, 2 * output.detach())


def test_it_is_in_training_and_in_the_models_own_dropouts_alone():
    numbers = torch.randn(50)
    assert torch.equal(CpuDropout(0.5).eval()(numbers), numbers)
    assert torch.equal(CpuDropout(0.0)(numbers), numbers)
    assert torch.equal(CpuDropout(1.0)(numbers), torch.zeros(50))

    class Own(torch.nn.Dropout):
        pass

    model = torch.nn.Sequential(torch.nn.Dropout(0.1), Own(0.1), torch.nn.Dropout1d(0.1))
    for args in (("cuda", False), ("cpu", True), ("cpu", False)):
        trainer = SimpleNamespace(
            model=model, args=SimpleNamespace(device=torch.device(args[0]), torch_compile=args[1])
        )
        install(trainer)
        assert [type(layer) for layer in model][1:] == [Own, torch.nn.Dropout1d]
        assert (type(model[0]) is CpuDropout) == (args == ("cpu", False))
