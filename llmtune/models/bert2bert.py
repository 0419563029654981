"""Two encoders (BERT, RoBERTa) as encoder and decoder of one model; see `llmtune.models.auto_generation`."""

from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerBase

from llmtune.models import encoder, encoder_decoder
from llmtune.models.auto_generation import PAIRED_TYPES

SERVES = ("generation",)
MODEL_TYPES = (*PAIRED_TYPES, "encoder-decoder")

# None: the attention from decoder to encoder is new in a pair, and an adapter would leave it at random.
LORA_TARGETS: dict[str, str] = {}
NO_LORA = (
    "of a pair of encoders the attention between them is new and must be trained whole; leave it out, or take a "
    f"sequence-to-sequence checkpoint ({', '.join(encoder_decoder.MODEL_TYPES)}) or a decoder"
)
SMALL: dict[str, dict[str, Any]] = {name: encoder.SMALL[name] for name in PAIRED_TYPES}


def positions(config: PretrainedConfig) -> int:
    """Tokens that the model reads at most."""
    return encoder.positions(getattr(config, "encoder", config))


def prepare(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    """Pads on the right; the config learns which tokens stand around a text, for the pair starts and ends with them."""
    tokenizer.padding_side = "right"
    config.pad_token_id = tokenizer.pad_token_id
    if config.model_type != "encoder-decoder":
        config.cls_token_id, config.sep_token_id = tokenizer.cls_token_id, tokenizer.sep_token_id
