"""The LSTM and the attention that pools its states. Letters: m rows, t steps, f features, d numbers of a state."""

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from transformers import initialization as init

from llmtune.models.lstm.configuration import LstmConfig


class Lstm(nn.Module):
    """A (bidirectional) LSTM of one or more layers (Hochreiter and Schmidhuber 1997) that never reads padding.

    With one bias vector a direction and layer, as in the paper and in Keras: h·(h + f + 1)·4 weights. `torch.nn.LSTM`
    has two, of which only the sum matters.

    Args:
        config: hidden_size h, num_hidden_layers, bidirectional, dropout (between layers).
        input_size: f, numbers a step.
    """

    def __init__(self, config: LstmConfig, input_size: int) -> None:
        super().__init__()
        self.hidden_size, self.num_layers = config.hidden_size, config.num_hidden_layers
        self.bidirectional, self.dropout = config.bidirectional, float(config.dropout)
        self.input_weights, self.state_weights, self.biases = (nn.ParameterList() for _ in range(3))
        for layer in range(self.num_layers):
            for _ in range(1 + self.bidirectional):
                size = config.state_size if layer else input_size
                self.input_weights.append(torch.empty(4 * self.hidden_size, size))
                self.state_weights.append(torch.empty(4 * self.hidden_size, self.hidden_size))
                self.biases.append(torch.empty(4 * self.hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As Keras: Glorot, orthogonal, and a forget gate that begins open (bias 1; Jozefowicz et al. 2015)."""
        for weight in self.input_weights:
            init.xavier_uniform_(weight)
        for weight in self.state_weights:
            init.orthogonal_(weight)
        for bias in self.biases:
            gates = torch.zeros(4, self.hidden_size, device=bias.device)
            gates[1] = 1.0  # in the order of torch: input, forget, cell, output
            init.copy_(bias, gates.flatten())

    def forward(self, steps: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """The states of the last layer, (m, t, d), 0 behind the end of a row.

        Args:
            steps: (m, t, f).
            lengths: of each row (m,), 1 or more, on any device; None where every row has t steps.
        """
        m, t, _ = steps.shape
        if lengths is None:
            lengths = torch.full((m,), t)
        packed = pack_padded_sequence(steps, lengths.cpu(), batch_first=True, enforce_sorted=False)
        zeros = steps.new_zeros(len(self.biases), m, self.hidden_size)
        weights = [
            tensor
            for input_weight, state_weight, bias in zip(
                self.input_weights, self.state_weights, self.biases, strict=True
            )
            for tensor in (input_weight, state_weight, bias, torch.zeros_like(bias))
        ]
        states, _, _ = torch.lstm(
            packed.data,
            packed.batch_sizes,
            (zeros, zeros),
            weights,
            True,
            self.num_layers,
            self.dropout if self.num_layers > 1 else 0.0,
            self.training,
            self.bidirectional,
        )
        packed = PackedSequence(states, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
        padded: torch.Tensor = pad_packed_sequence(packed, batch_first=True, total_length=t)[0]
        return padded


class AdditiveAttention(nn.Module):
    """Pools the states of a text: score v·tanh(W h + b), softmax over its tokens (Yang et al. 2016, after Bahdanau).

    Args:
        state_size: d.
        attention_size: rows of W.
    """

    def __init__(self, state_size: int, attention_size: int) -> None:
        super().__init__()
        self.projection = nn.Linear(state_size, attention_size)
        self.score = nn.Linear(attention_size, 1, bias=False)

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of states (m, t, d) and a mask (m, t), true at tokens: the pooled states (m, d) and their weights (m, t)."""
        scores = self.score(torch.tanh(self.projection(states)))[..., 0]
        return weighted_mean(states, scores.masked_fill(~mask, torch.finfo(scores.dtype).min))


class TimeStepAttention(nn.Module):
    """Pools the states of a window of t time steps: score tanh(w·h + b_t), softmax over the steps; d + t weights.

    The bias of each step learns how much yesterday counts against a day long past, whatever its state.

    Args:
        state_size: d.
        steps: t.
    """

    def __init__(self, state_size: int, steps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, state_size))
        self.bias = nn.Parameter(torch.empty(steps))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Small weights, no step before another."""
        init.normal_(self.weight, std=0.05)
        init.zeros_(self.bias)

    def forward(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of states (m, t, d): the pooled states (m, d) and their weights (m, t)."""
        return weighted_mean(states, torch.tanh(nn.functional.linear(states, self.weight)[..., 0] + self.bias))


def weighted_mean(states: torch.Tensor, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of states (m, t, d) under the softmax of scores (m, t), and that softmax, which sums to 1 in a row."""
    weights = scores.float().softmax(dim=-1)  # float32: in bfloat16 the weights of a long text would not sum to 1
    return torch.einsum("mt,mtd->md", weights.to(states.dtype), states), weights
