"""Batches of rows that are written: padding, what a decoder side reads, and prompts without their answers.

Letters: m rows, t tokens, p tokens of the longest prompt.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from llmtune.data.padding import PaddingCollator
from llmtune.metrics.core.base import IGNORED


class GenerationCollator:
    """Batches of rows; `decoder_input_ids` beside labels where the model is made of encoder and decoder.

    The Trainer takes `labels` out of a batch before the model sees it (`compute_loss_func`), so that the model could
    not make them.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, model: Any) -> None:
        self.pad = PaddingCollator(tokenizer, labels_of_tokens=True)
        self.model, self.end = model, tokenizer.eos_token_id

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Rows with `input_ids`, `attention_mask` (and `labels`) → tensors padded on the right."""
        batch = self.pad(rows)
        if "labels" not in batch:
            return batch
        if self.model is not None:
            labels = batch["labels"].clone()
            # A filler row has no label; mBART looks for its last one.
            labels[(labels == IGNORED).all(dim=1), 0] = self.end or 0
            batch["decoder_input_ids"] = decoder_inputs(self.model, labels)
        return batch


def decoder_inputs(model: Any, labels: torch.Tensor) -> torch.Tensor:
    """What a decoder side reads to write the labels (m, t): these one place to the right, as the model does it."""
    prepare = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if prepare is not None:
        shifted: torch.Tensor = prepare(labels=labels)
        return shifted
    # M2M100, and so NLLB, do it in their forward pass alone.
    shifted = labels.roll(1, dims=1)
    shifted[:, 0] = model.config.decoder_start_token_id
    return shifted.masked_fill(shifted == IGNORED, model.config.pad_token_id)


def prompts_of(
    ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor | None, pad: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The prompts of a decoder's rows without their answers, padded on the left.

    Args:
        ids: (m, t), padded on the right.
        mask: (m, t), 1 on tokens.
        labels: (m, t), -100 outside the answer; None where the rows hold no answer.
        pad: the id of padding.

    Returns:
        ids and mask, (m, p): p is the longest prompt.
    """
    lengths = mask.sum(dim=1)
    if labels is not None:
        answered = labels != IGNORED
        lengths = torch.where(answered.any(dim=1), answered.int().argmax(dim=1), lengths)
    width = int(lengths.max())
    prompts = ids.new_full((len(ids), width), pad)
    seen = mask.new_zeros((len(ids), width))
    for row, length in enumerate(lengths.tolist()):
        prompts[row, width - length :] = ids[row, :length]
        seen[row, width - length :] = 1
    return prompts, seen
