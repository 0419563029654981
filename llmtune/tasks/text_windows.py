"""Long documents: every window of a row is read, and the windows' logits pooled make the row's, in loss and metrics.

The windows are those of the tokenizer (`return_overflowing_tokens`). Of a pair the longer text, by characters, is read
in windows, and the other stands whole in each of them, as the question does in question answering (`stride` likewise);
where that alone fills more than half of a window it is cut there. The model stays a plain one: a row of the data set
holds its windows, the collator lays those of all its rows below each other, and `PooledRows` stands between the model
and whoever asks for the logits of rows. Letters: n rows, m rows of a batch, w windows of them, t tokens, c classes.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from llmtune.errors import InputError
from llmtune.tasks.control_tokens import encode_text

COUNTS = "window_counts"  # of a batch: how many windows each row has, (m,)
TRAINED_AT_ONCE = 32  # windows whose activations are kept for the gradient; of more they are computed anew


@dataclass(frozen=True)
class Windows:
    """How rows longer than a window are read.

    Args:
        stride: tokens that neighboring windows share.
        pooling: of the logits of a row's windows: mean, or max of each logit.
    """

    stride: int
    pooling: str

    def pool(self, logits: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Logits of rows (m, c) in float32, of those of their windows (w, c); counts (m,) sum to w."""
        rows = logits.float().split(counts.tolist())
        return torch.stack([row.mean(dim=0) if self.pooling == "mean" else row.amax(dim=0) for row in rows])

    def check(self, tokenizer: PreTrainedTokenizerBase, max_length: int, *, pair: bool) -> int:
        """Tokens of text in a window, of a pair the half that its longer text has at least.

        Raises:
            InputError: the stride leaves no room for new tokens.
        """
        room = max_length - tokenizer.num_special_tokens_to_add(pair=pair)
        room = room // 2 if pair else room
        if not 0 <= self.stride < room:
            beside = " beside a long second text" if pair else ""
            raise InputError(
                f"--stride {self.stride}: windows of --max_length {max_length} have room for {max(room, 0)} tokens "
                f"of a long text{beside}, of which neighbors share from 0 to {max(room - 1, 0)}; a quarter is a good "
                "stride"
            )
        return room

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, texts: Mapping[str, Sequence[str]], *, prefix: str, max_length: int
    ) -> tuple[list[dict[str, list[list[int]]]], int]:
        """The windows of each row by the names of the model's inputs, and how many rows had a text cut nevertheless.

        Args:
            tokenizer: a fast one.
            texts: `text` and of pairs `text_pair`, n each.
            prefix: before the second text of a pair.
            max_length: tokens of a window.

        Raises:
            InputError: the stride leaves no room for new tokens.
        """
        room = self.check(tokenizer, max_length, pair="text_pair" in texts)
        options = {"max_length": max_length, "stride": self.stride, "return_overflowing_tokens": True}
        rows: list[dict[str, list[list[int]]]] = [{} for _ in texts["text"]]
        if "text_pair" not in texts:
            encoded = encode_text(
                tokenizer, list(texts["text"]), truncation=True, return_token_type_ids=False, **options
            )
            _add_windows(rows, range(len(rows)), encoded)
            return rows, 0
        pairs = list(zip(texts["text"], texts["text_pair"], strict=True))
        cut = 0
        for first_is_longer in (True, False):
            numbers = [number for number, (a, b) in enumerate(pairs) if (len(a) >= len(b)) == first_is_longer]
            if not numbers:
                continue
            whole = [pairs[number][first_is_longer] for number in numbers]
            short = cut_texts(tokenizer, whole, room)
            cut += sum(a != b for a, b in zip(whole, short, strict=True))
            long = [pairs[number][not first_is_longer] for number in numbers]
            first, second = (long, short) if first_is_longer else (short, long)
            second = [f"{prefix}{text}" for text in second]
            truncation = "only_first" if first_is_longer else "only_second"
            types = "token_type_ids" in tokenizer.model_input_names
            encoded = encode_text(
                tokenizer, first, text_pair=second, truncation=truncation, return_token_type_ids=types, **options
            )
            _add_windows(rows, numbers, encoded)
        return rows, cut


def cut_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], tokens: int) -> list[str]:
    """The texts up to so many tokens."""
    encoded = encode_text(
        tokenizer,
        list(texts),
        add_special_tokens=False,
        truncation=True,
        max_length=tokens,
        return_offsets_mapping=True,
    )
    ends = (offsets[-1][1] for offsets in encoded["offset_mapping"])
    whole = (not encoding.overflowing for encoding in encoded.encodings)
    return [text if fits else text[:end] for text, end, fits in zip(texts, ends, whole, strict=True)]


def _add_windows(rows: list[dict[str, list[list[int]]]], numbers: Sequence[int], encoded: Any) -> None:
    """The windows of the texts that were encoded, which are those rows."""
    for window, text in enumerate(encoded.pop("overflow_to_sample_mapping")):
        for name, cells in encoded.items():
            rows[numbers[text]].setdefault(name, []).append(cells[window])


@dataclass(frozen=True)
class WindowCollator:
    """Lays the windows of a micro-batch's rows below each other, padded to the longest, and counts them by row.

    Args:
        tokenizer: that pads.
        windows: how the logits are pooled.
    """

    tokenizer: PreTrainedTokenizerBase
    windows: Windows

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """`window_counts` (m,), `labels` where rows have them, and the model's inputs (w, t)."""
        counts = [len(row["input_ids"]) for row in features]
        names = [name for name in features[0] if name != "labels"]
        windows = [
            {name: row[name][window] for name in names}
            for row, count in zip(features, counts, strict=True)
            for window in range(count)
        ]
        labels = {"labels": torch.tensor([row["labels"] for row in features])} if "labels" in features[0] else {}
        # Rows before windows: transformers counts a batch by its first tensor.
        return {COUNTS: torch.tensor(counts), **labels, **self.tokenizer.pad(windows, return_tensors="pt")}


@dataclass(frozen=True)
class PooledRows:
    """A model of windows, called as one of rows.

    Args:
        model: plain or wrapped, inputs → outputs with `logits`.
        windows: how the logits are pooled.
        at_once: windows given to the model together; None for all, as in training, which `train_in_pieces` divides.
    """

    model: Callable[..., Any]
    windows: Windows
    at_once: int | None

    def __call__(self, **inputs: Any) -> Any:
        """The logits of rows (m, c); inputs without `window_counts` go to the model as they are."""
        counts = inputs.pop(COUNTS, None)
        if counts is None:
            return self.model(**inputs)
        total = len(inputs["input_ids"])
        size = self.at_once or total
        logits = [
            self.model(
                **{
                    name: value[begin : begin + size] if torch.is_tensor(value) and value.dim() > 1 else value
                    for name, value in inputs.items()
                }
            )["logits"]
            for begin in range(0, total, size)
        ]
        return SequenceClassifierOutput(logits=self.windows.pool(torch.cat(logits), counts))


def train_in_pieces(model: Any, collator: Any) -> None:
    """Where rows are windows (`WindowCollator`), lets a model in training compute more than some of them in pieces.

    The activations of a piece are computed anew when its gradient is asked for (Chen et al. 2016,
    https://arxiv.org/abs/1604.06174): less memory for a long text and more time, the same loss and gradient. It is the
    plain model that does so, inside whatever wraps it: to DDP and FSDP it is one forward pass.
    """
    if not isinstance(collator, WindowCollator):
        return
    forward, at_once = model.forward, TRAINED_AT_ONCE

    @functools.wraps(forward)
    def in_pieces(*args: Any, **inputs: Any) -> Any:
        total = len(inputs.get("input_ids", ()))
        # Where each row has one window, `real_token_slots` counts through all of them.
        by_window = all(value.dim() > 1 for value in inputs.values() if torch.is_tensor(value))
        if not torch.is_grad_enabled() or total <= at_once or not by_window:
            return forward(*args, **inputs)
        logits = []
        for begin in range(0, total, at_once):
            piece = {
                name: value[begin : begin + at_once] if torch.is_tensor(value) else value
                for name, value in inputs.items()
            }
            logits.append(checkpoint(functools.partial(forward, *args, **piece), use_reentrant=False)["logits"])
        return SequenceClassifierOutput(logits=torch.cat(logits))

    model.forward = in_pieces
