"""Batches of windows, alone in their rows or packed: padding on the right, which no token before it attends to."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from llmtune.errors import InputError
from llmtune.metrics.core.base import IGNORED

TOLERANCE = 1e-3  # of a probe's logits, relative to the largest: float32 gives 1e-6, bfloat16 0.01, a wrong mask 0.1 up


class CausalLMCollator:
    """Pads each micro-batch to its longest row.

    Args:
        tokenizer: whose pad token stands in padding.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.pad = int(tokenizer.pad_token_id)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Rows with `input_ids`, `attention_mask` (and `labels`, `position_ids`) → tensors (m, t)."""
        width = max(len(row["input_ids"]) for row in rows)
        fillers = {"input_ids": self.pad, "attention_mask": 0, "labels": IGNORED}
        batch = {
            name: torch.tensor([[*row[name], *[filler] * (width - len(row[name]))] for row in rows])
            for name, filler in fillers.items()
            if name in rows[0]
        }
        if "position_ids" in rows[0]:
            # Padding goes on where the last window ends: it is told apart by standing after all that counts.
            positions = [list(row["position_ids"]) for row in rows]
            batch["position_ids"] = torch.tensor(
                [[*row, *range(row[-1] + 1, row[-1] + 1 + width - len(row))] for row in positions]
            )
        return batch


def without_mask(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a model is given of packed rows: it tells windows apart by their positions only where no mask is given."""
    return {name: tensor for name, tensor in inputs.items() if name != "attention_mask"}


def check_packing(model: Any) -> None:
    """Raises `InputError` where the model's attention does not stop at the windows of a packed row.

    A probe of two rows of two windows each, beside the same windows alone. Attention that looks at positions only in a
    batch of one row, or not at all, would mix documents without a word.
    """
    ids = torch.randint(0, model.config.vocab_size, (2, 12), generator=torch.Generator().manual_seed(0))
    ids = ids.to(next(model.parameters()).device)
    positions = torch.tensor([[*range(5), *range(7)], [*range(8), *range(4)]], device=ids.device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        packed = model(input_ids=ids, position_ids=positions, use_cache=False).logits.float()
        apart = [
            torch.cat([model(input_ids=part[None], use_cache=False).logits[0] for part in (row[:cut], row[cut:])])
            for row, cut in zip(ids, (5, 8), strict=True)
        ]
    model.train(was_training)
    bound = max(TOLERANCE, 16 * torch.finfo(next(model.parameters()).dtype).eps)
    if not (packed - torch.stack(apart).float()).abs().max() <= bound * packed.abs().max():
        raise InputError(
            f"--packing: with this attention implementation of {model.config.model_type} the documents of a row see "
            "each other; give --attn_implementation sdpa, or --packing False"
        )
