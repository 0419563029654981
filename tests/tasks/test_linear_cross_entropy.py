"""Loss and gradients of pending logits are torch's own of whole ones, in pieces of any size."""

import weakref

import pytest
import torch
from accelerate.utils import convert_to_fp32
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from llmtune.models.pending_logits import PendingLogits
from llmtune.tasks import linear_cross_entropy as module
from llmtune.tasks.linear_cross_entropy import linear_cross_entropy

TOKENS, WIDTH, WORDS = 7, 6, 11


def parts(dtype: torch.dtype, *, bias: bool) -> list[torch.Tensor | None]:
    torch.manual_seed(0)
    made = [torch.randn(TOKENS, WIDTH), torch.randn(WORDS, WIDTH), torch.randn(WORDS)]
    leaves = [part.to(dtype).requires_grad_() for part in made]
    return [*leaves[:2], leaves[2] if bias else None]


@pytest.fixture(params=[1, 3, 100])
def pieces(request, monkeypatch):
    """Tokens whose logits stand at once."""
    monkeypatch.setattr(module, "SMALL_PIECE", 4 * WORDS * request.param)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("bias", [False, True])
def test_loss_and_gradients_are_those_of_whole_logits(bias, smoothing, pieces):
    labels = torch.arange(TOKENS) % WORDS
    seen = []
    for pending in (True, False):
        states, weight, added = parts(torch.float32, bias=bias)
        if pending:
            loss = linear_cross_entropy(PendingLogits(states, weight, added, torch.float32), labels, smoothing)
        else:
            logits = functional.linear(states, weight, added)
            loss = functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
        (loss / 3).backward()
        seen.append([loss.detach(), states.grad, weight.grad, *([added.grad] if bias else [])])

    for ours, torchs in zip(*seen, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradients_are_those_of_differences_in_float64(smoothing, pieces):
    labels = torch.arange(TOKENS) % WORDS

    def loss(states, weight, bias):
        return linear_cross_entropy(PendingLogits(states, weight, bias, torch.float64), labels, smoothing)

    assert torch.autograd.gradcheck(loss, parts(torch.float64, bias=True))


def test_gradients_are_made_for_what_is_trained_alone():
    states, weight, _ = parts(torch.float32, bias=False)
    weight.requires_grad_(False)

    linear_cross_entropy(PendingLogits(states, weight, None, torch.float32), torch.zeros(TOKENS, dtype=int)).backward()

    assert states.grad is not None
    assert weight.grad is None


def test_weights_keep_their_type_where_products_are_taken_in_another():
    states, weight, bias = parts(torch.float32, bias=True)

    loss = linear_cross_entropy(PendingLogits(states, weight, bias, torch.bfloat16), torch.zeros(TOKENS, dtype=int))
    loss.backward()

    assert {loss.dtype, states.grad.dtype, weight.grad.dtype, bias.grad.dtype} == {torch.float32}
    whole = functional.cross_entropy(
        functional.linear(states, weight, bias), torch.zeros(TOKENS, dtype=int), reduction="sum"
    )
    assert loss.item() == pytest.approx(whole.item(), rel=0.02)


def test_nothing_is_learned_and_nothing_said_without_tokens():
    states, weight, _ = parts(torch.float32, bias=False)

    loss = linear_cross_entropy(PendingLogits(states[:0], weight, None, torch.float32), torch.zeros(0, dtype=int))
    loss.backward()

    assert loss.item() == 0
    assert weight.grad.abs().sum() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_accelerate_leaves_them_pending(dtype):
    # Around a forward pass under mixed precision it turns every tensor of the outputs into float32.
    states, weight, _ = parts(torch.float32, bias=False)
    pending = PendingLogits(states, weight, None, dtype)

    assert convert_to_fp32({"logits": pending})["logits"] is pending


class LargeTensors(TorchDispatchMode):
    """Counts how many memories of a size or more are held at once, by tensors that Python knows."""

    def __init__(self, numbers):
        super().__init__()
        self.numbers, self.held, self.most = numbers, [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.numel() >= self.numbers:
            self.held.append(weakref.ref(result))
        self.held = [reference for reference in self.held if reference() is not None]
        self.most = max(self.most, len({reference().untyped_storage().data_ptr() for reference in self.held}))
        return result


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_piece_of_logits_is_held_at_a_time_and_its_gradient_in_their_memory(dtype, learns, monkeypatch):
    tokens, words = 12, 64
    monkeypatch.setattr(module, "SMALL_PIECE", 4 * words * 4)
    states, weight = torch.randn(tokens, 2, dtype=dtype), torch.randn(words, 2, dtype=dtype)
    pending = PendingLogits(states.requires_grad_(learns), weight, None, dtype)

    with LargeTensors(4 * words) as seen:
        linear_cross_entropy(pending, torch.arange(tokens))

    # In half precision the product is rounded before it is widened, and the slope after.
    assert seen.most == (1 if dtype == torch.float32 else 2)
