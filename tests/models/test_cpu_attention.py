"""Attention on a CPU written out: that of torch, in states and gradients, with its dropout, each row alone."""

import pytest
import torch
from transformers.models.llama.modeling_llama import eager_attention_forward

from llmtune.models import cpu_attention as own
from llmtune.models.cpu_attention import cpu_attention
from llmtune.models.cpu_dropout import LEVELS, keep_mask, masked
from llmtune.models.row_attention import WRITTEN_OUT, TokenRows

CASES = [
    pytest.param(lengths, causal, window, id=f"{'-'.join(map(str, lengths))} {causal} {window}")
    for lengths in ([5, 9, 30, 31, 2], [7, 7, 7], [3, WRITTEN_OUT + 12, 64], [1])
    for causal, window in ((False, None), (True, None), (False, 4), (True, 4))
]


def with_gradients(parts, lengths, dtype, causal, window):
    """States and gradients of query, key and value, in float32."""
    leaves = [part.clone().requires_grad_() for part in parts]
    rows = TokenRows.of_lengths(torch.tensor(lengths), sum(lengths), max(lengths))
    inputs = [leaf.to(dtype) for leaf in leaves]
    states = rows.attend(*inputs, causal=causal, window=window, dropout=0.0, scale=None).float()
    states.square().sum().backward()
    return [states.detach(), *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize(("lengths", "causal", "window"), CASES)
def test_states_and_gradients_are_those_of_float32_as_far_as_bfloat16_goes(lengths, causal, window):
    parts = torch.randn(3, sum(lengths), 4, 16, generator=torch.Generator().manual_seed(0))

    exact = with_gradients(parts, lengths, torch.float32, causal, window)
    found = with_gradients(parts, lengths, torch.bfloat16, causal, window)

    for each, expected in zip(found, exact, strict=True):
        # Of a row of one token the query has no gradient.
        assert (each - expected).abs().max() <= 0.02 * max(float(expected.abs().max()), 1.0)


def test_it_is_as_near_to_float32_as_eager_attention_of_transformers():
    """Whose scores and weights are bfloat16, as in most BERTs that were fine-tuned in it."""
    lengths, generator = [24] * 32, torch.Generator().manual_seed(1)
    parts = torch.randn(3, sum(lengths), 8, 32, generator=generator)
    exact = with_gradients(parts, lengths, torch.float32, False, None)
    found = with_gradients(parts, lengths, torch.bfloat16, False, None)
    leaves = [part.clone().requires_grad_() for part in parts]
    by_rows = [leaf.bfloat16().unflatten(0, (32, 24)).transpose(1, 2) for leaf in leaves]
    module = torch.nn.Module().eval()
    module.num_key_value_groups = 1
    states, _ = eager_attention_forward(module, *by_rows, None, scaling=32**-0.5)
    states = states.flatten(0, 1).float()
    states.square().sum().backward()

    for place, eager in enumerate([states.detach(), *(leaf.grad for leaf in leaves)]):
        errors = [float((each - exact[place]).square().mean()) for each in (found[place], eager)]
        assert errors[0] <= 1.1 * errors[1]


def test_a_row_sees_itself_alone():
    lengths = [6, 11, 11, 4]
    parts = torch.randn(3, 32, 2, 8, generator=torch.Generator().manual_seed(2)).bfloat16()
    rows = TokenRows.of_lengths(torch.tensor(lengths), 32, 11)
    settings = {"causal": False, "window": None, "dropout": 0.0, "scale": None}
    before = rows.attend(*parts, **settings)
    parts[:, 6:17] = torch.inf  # the second row

    after = rows.attend(*parts, **settings)

    others = torch.ones(32, dtype=torch.bool)
    others[6:17] = False
    assert torch.equal(after[others], before[others])
    assert after[~others].isnan().all()


PIECES = [
    pytest.param(own.PIECE, id="all at once"),
    pytest.param(4 * 10 * 10, id="one row after the other"),
    pytest.param(3 * 10 * 10, id="three heads of a row, then its fourth"),
]
KEPT = [pytest.param(10, id="weights kept"), pytest.param(9, id="weights computed again")]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("kept_up_to", KEPT)
def test_dropout_is_that_of_the_weights_with_its_gradient(piece, kept_up_to, monkeypatch):
    monkeypatch.setattr(own, "PIECE", piece)
    monkeypatch.setattr(own, "KEPT_UP_TO", kept_up_to)
    generator = torch.Generator().manual_seed(3)
    query, key = torch.randn(2, 2 * 10, 4, 8, generator=generator)
    value = torch.randn(2 * 10, 4, 6, generator=generator)
    leaves = [part.clone().requires_grad_() for part in (query, key, value)]
    torch.manual_seed(5)
    states = cpu_attention(leaves, [(2, 10, None)], scale=0.5, dropout=0.25)
    states.sin().sum().backward()
    plain = [part.clone().requires_grad_() for part in (query, key, value)]
    q, k, v = (part.unflatten(0, (2, 10)).transpose(1, 2) for part in plain)
    torch.manual_seed(5)
    threshold = round(0.25 * LEVELS)
    mask = keep_mask(2 * 4 * 10 * 10, threshold).view(2, 4, 10, 10)
    kept = (mask != 0) * LEVELS / (LEVELS - threshold)
    expected = ((0.5 * q @ k.transpose(2, 3)).softmax(dim=-1) * kept) @ v
    expected = expected.transpose(1, 2).flatten(0, 1)
    expected.sin().sum().backward()

    torch.testing.assert_close(states, expected)
    for leaf, other in zip(leaves, plain, strict=True):
        torch.testing.assert_close(leaf.grad, other.grad)
    torch.testing.assert_close(masked(kept.float(), mask, 1.0), kept.float())


def test_dropout_meets_masks_in_groups_of_which_some_are_computed_again(monkeypatch):
    monkeypatch.setattr(own, "PIECE", 1)
    monkeypatch.setattr(own, "KEPT_UP_TO", 4)
    lengths = torch.tensor([6, 4])
    seen = torch.zeros(2, 1, 1, 6).masked_fill_((torch.arange(6) >= lengths[:, None])[:, None, None], -torch.inf)
    causal = torch.zeros(4, 4).masked_fill_(~torch.ones(4, 4, dtype=torch.bool).tril(), -torch.inf)
    groups = [(2, 6, seen), (1, 4, causal)]
    parts = torch.randn(3, 16, 3, 8, generator=torch.Generator().manual_seed(7))
    leaves = [part.clone().requires_grad_() for part in parts]
    torch.manual_seed(8)
    states = cpu_attention(leaves, groups, scale=0.5, dropout=0.25)
    states.sin().sum().backward()
    plain = [part.clone().requires_grad_() for part in parts]
    threshold = round(0.25 * LEVELS)
    torch.manual_seed(8)
    expected = []
    for row, (begin, length) in enumerate(((0, 6), (6, 6), (12, 4))):
        q, k, v = (part[begin : begin + length].transpose(0, 1) for part in plain)
        masks = torch.stack([keep_mask(length**2, threshold).view(length, length) for _ in range(3)])
        added = causal if row == 2 else seen[row, 0]
        weights = (0.5 * q @ k.transpose(1, 2) + added).softmax(dim=-1) * (masks != 0) * LEVELS / (LEVELS - threshold)
        expected.append((weights @ v).transpose(0, 1))
    torch.cat(expected).sin().sum().backward()

    torch.testing.assert_close(states, torch.cat(expected))
    for leaf, other in zip(leaves, plain, strict=True):
        torch.testing.assert_close(leaf.grad, other.grad)


@pytest.mark.parametrize(("lengths", "causal", "window"), CASES)
def test_the_size_of_a_piece_does_not_show(lengths, causal, window, monkeypatch):
    parts = torch.randn(3, sum(lengths), 4, 16, generator=torch.Generator().manual_seed(6))
    whole = with_gradients(parts, lengths, torch.bfloat16, causal, window)
    monkeypatch.setattr(own, "KEPT_UP_TO", 8)
    for size in (1, 2 * 9 * 9, 70_000):
        monkeypatch.setattr(own, "PIECE", size)

        for found, expected in zip(with_gradients(parts, lengths, torch.bfloat16, causal, window), whole, strict=True):
            torch.testing.assert_close(found, expected, atol=0.01, rtol=0.02)


def test_of_long_rows_only_masks_are_kept_for_the_gradient():
    parts = [torch.randn(2 * 512, 3, 8, requires_grad=True) for _ in range(3)]
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: kept.append(saved.nbytes), lambda _: None):
        cpu_attention(parts, [(2, 512, None)], scale=0.5, dropout=0.1)
        masks, inputs = 2 * 2 * 3 * 512 * 512, sum(part.nbytes for part in parts)
        assert sum(kept) == masks + inputs

        kept.clear()
        rows = TokenRows.of_lengths(torch.tensor([512, 512]), 1024, 512)
        rows.attend(*parts, causal=False, window=None, dropout=0.1, scale=None)
        assert sum(kept) == masks + inputs  # float32 with dropout is computed so


def test_the_mean_over_masks_is_attention_without_dropout():
    parts = torch.randn(3, 12, 2, 4, generator=torch.Generator().manual_seed(4))
    settings = {"groups": [(1, 12, None)], "scale": 0.5}
    torch.manual_seed(0)
    draws = torch.stack([cpu_attention(parts, **settings, dropout=0.2) for _ in range(3_000)])

    off = draws.mean(dim=0) - cpu_attention(parts, **settings, dropout=0.0)

    standard_errors = off / (draws.std(dim=0) / 3_000**0.5)
    assert standard_errors.abs().max() < 4.5
    assert standard_errors.square().mean() == pytest.approx(1, abs=0.5)
