"""Encoders and decoders over real tokens alone: what is linear runs over the tokens of all rows, attention in each row.

A batch of texts of mixed length is mostly padding (SMS: 2.75 slots a token). `install` puts a step around a model's
body: the m rows of t slots become one row of their n real tokens, with the position that each has in its row; attention
is a function of HF's `AttentionInterface` that keeps to the rows; heads get the states back in their slots, zeros in
padding. The model stays what it is: its weights, its config on disk, its generation and calls without a mask.
Letters: m rows, t slots, n tokens, h numbers of a state.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from llmtune.models.row_attention import ATTENTION, Spread, TokenRows

REAL_TOKENS = "real_token_slots"  # of a batch: the slot of each real token, of m x t, (n,)

OF_HEADS = ("return_dict", "num_items_in_batch")  # what heads and the Trainer hand on, and a body has no use for

# Each is proven equal to its padded self by tests/models/test_padding_free.py.
MODEL_TYPES = (
    "bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "albert", "ernie", "modernbert",
    "eurobert", "xlm-roberta-xl",
    "llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma", "gemma3_text", "phi", "phi3", "gpt2", "gpt_neox",
)  # fmt: skip

TOLERANCE = 1e-3  # of a probe's states, relative to the largest: float32 gives 1e-6, bfloat16 0.01, mixed rows 0.1 up


class PaddingFreeBody:
    """A model's body whose `forward` leaves padding out where it can; it takes the place of that `forward`.

    Args:
        body: a transformers model without a head.
    """

    def __init__(self, body: PreTrainedModel) -> None:
        self.forward = body.forward
        self.body = body
        self.names = list(inspect.signature(self.forward).parameters)
        # RoBERTa and its kin count positions from pad_token_id + 1.
        embeddings: Any = getattr(body, "embeddings", None)
        shifted = hasattr(embeddings, "create_position_ids_from_input_ids")
        self.first_position = embeddings.padding_idx + 1 if shifted else 0
        # Of tokens (1, n) by name, their rows and what else was given: the outputs.
        self.compute: Callable[..., Any] = self.eager

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """The body's outputs; the states of padding are zeros."""
        inputs = dict(zip(self.names, args, strict=False)) | inputs
        real = inputs.pop(REAL_TOKENS, None)
        if not _can_leave_out(inputs):
            return self.forward(**inputs)
        ids, mask, positions = (inputs.pop(name, None) for name in ("input_ids", "attention_mask", "position_ids"))
        size = ids.numel()
        if mask is None:  # windows of text packed into rows, each counted from 0
            begins = (positions.flatten() == 0).nonzero()[:, 0]
            lengths = torch.diff(begins, append=begins.new_tensor([size]))
            rows = TokenRows.of_lengths(lengths, size, size if ids.is_cuda else int(lengths.max()))
        else:
            real = mask.flatten().nonzero()[:, 0] if real is None else real
            rows = TokenRows.of_lengths(mask.sum(dim=1), len(real), ids.shape[1])
        tokens = {
            name: _tokens(value, ids.shape, real)
            for name, value in {"input_ids": ids, "token_type_ids": inputs.pop("token_type_ids", None)}.items()
            if value is not None
        }
        tokens["position_ids"] = (rows.position + self.first_position)[None]
        inputs = {name: value for name, value in inputs.items() if value is not None and name not in OF_HEADS}
        if "use_cache" in self.names:
            inputs["use_cache"] = False
        outputs = self.compute(tokens, rows, inputs)
        states = outputs.last_hidden_state[0]
        states = states if rows.count == size else Spread.apply(states, real, size)
        outputs.last_hidden_state = states.view(*ids.shape, -1)
        if outputs.get("pooler_output") is not None:
            outputs.pooler_output = self._pooled(outputs.last_hidden_state)
        return outputs

    def eager(self, tokens: Mapping[str, torch.Tensor], rows: TokenRows, inputs: Mapping[str, Any]) -> Any:
        """The body's outputs of tokens (1, n) by name, as PyTorch runs them."""
        # A mask of four dimensions is passed on as it is: none is made.
        no_mask = tokens["position_ids"].new_ones(1, 1, 1, 1)
        return self.forward(**tokens, attention_mask=no_mask, **inputs, token_rows=rows)

    def _pooled(self, states: torch.Tensor) -> torch.Tensor:
        body: Any = self.body
        if hasattr(body, "pooler_activation"):  # ALBERT
            return body.pooler_activation(body.pooler(states[:, 0]))
        return body.pooler(states)


def _tokens(slots: torch.Tensor, shape: Sequence[int], real: torch.Tensor | None) -> torch.Tensor:
    """Ids of slots (m, t), or (1, t), as those of tokens (1, n)."""
    flat = slots.expand(*shape).flatten()
    return (flat if real is None else flat[real])[None]


def _can_leave_out(inputs: Mapping[str, Any]) -> bool:
    """Whether a call of the body is one forward pass over whole rows of ids."""
    ids, mask, positions = (inputs.get(name) for name in ("input_ids", "attention_mask", "position_ids"))
    asks = (
        "past_key_values", "inputs_embeds", "encoder_hidden_states", "output_hidden_states", "output_attentions",
        "use_cache",
    )  # fmt: skip
    if ids is None or any(inputs.get(name) for name in asks if not torch.is_tensor(inputs.get(name))):
        return False
    if any(torch.is_tensor(inputs.get(name)) for name in asks) or inputs.get("return_dict") is False:
        return False
    if mask is None:
        return positions is not None and positions.shape == ids.shape
    return positions is None and mask.shape == ids.shape


class SlotsOfRealTokens:
    """A collator whose batches also say where their real tokens are; elsewhere than on the device, nobody waits.

    Args:
        collator: of batches with `attention_mask`; of rows of windows (more masks than labels) nothing is added.
    """

    def __init__(self, collator: Callable[[Any], dict[str, Any]]) -> None:
        self.collator = collator

    def __call__(self, rows: Any) -> dict[str, Any]:
        """The batch, with `real_token_slots` (n,) where it can be told."""
        batch = self.collator(rows)
        mask = batch.get("attention_mask")
        if mask is not None and len(mask) == len(rows) and "position_ids" not in batch:
            batch[REAL_TOKENS] = mask.flatten().nonzero()[:, 0]
        return batch


def install(model: torch.nn.Module) -> str | None:
    """Lets a model leave padding out from now on, where it can.

    Args:
        model: of transformers, or of peft around one. One of another type, or with another attention implementation
            than torch's, is left as it is; so is one whose packed states differ from its padded ones in a probe.

    Returns:
        None where padding is left out, else why not, in words.
    """
    plain = _without_adapter(model)
    if not isinstance(plain, PreTrainedModel) or plain.config.model_type not in MODEL_TYPES:
        name = plain.config.model_type if isinstance(plain, PreTrainedModel) else type(plain).__name__
        return f"{name} computes padding too"
    body, chosen = body_of(model), plain.config._attn_implementation
    if body is None or chosen not in ("sdpa", ATTENTION):
        return f"attention {chosen} computes padding too"
    if isinstance(body.forward, PaddingFreeBody):
        return None
    padded_forward = body.forward
    plain.set_attn_implementation(ATTENTION)
    body.forward = PaddingFreeBody(body)
    if _equals_padded(body, padded_forward):
        return None
    body.forward = padded_forward
    plain.set_attn_implementation("sdpa")
    return "without padding this model's states were others, in a trial"


def body_of(model: torch.nn.Module) -> Any:
    """The part of a transformers model, or of peft's around one, that is before its head; None where it has no name."""
    plain = _without_adapter(model)
    return getattr(plain, getattr(plain, "base_model_prefix", ""), None)


def _without_adapter(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _equals_padded(body: PreTrainedModel, padded_forward: Callable[..., Any]) -> bool:
    """Whether the states of real tokens are those of padded rows."""
    lengths = (9, 4, 12)
    weight = next(body.parameters())
    vocabulary = body.config.vocab_size
    ids = torch.randint(0, vocabulary, (3, 12), generator=torch.Generator().manual_seed(0))
    ids = torch.where(ids == body.config.pad_token_id, (ids + 1) % vocabulary, ids).to(weight.device)
    mask = (torch.arange(12) < torch.tensor(lengths)[:, None]).long().to(weight.device)
    was_training = body.training
    body.eval()
    with torch.no_grad():
        packed, padded = (
            forward(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()].float()
            for forward in (body.forward, padded_forward)
        )
    body.train(was_training)
    bound = max(TOLERANCE, 16 * torch.finfo(weight.dtype if weight.is_floating_point() else torch.bfloat16).eps)
    return bool((packed - padded).abs().max() <= bound * padded.abs().max())
