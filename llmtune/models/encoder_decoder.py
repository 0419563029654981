"""Sequence to sequence (T5, Marian, BART, mBART, NLLB): an encoder reads the source, a decoder writes the answer."""

from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerBase

SERVES = ("generation",)
MODEL_TYPES = ("t5", "mt5", "marian", "bart", "mbart", "m2m_100", "pegasus")

_BART_TARGETS = r".*\.layers\.\d+\..*(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"
LORA_TARGETS = {
    **dict.fromkeys(("t5", "mt5"), r".*\.block\.\d+\..*\.(q|k|v|o|wi|wi_0|wi_1|wo)"),
    **dict.fromkeys(("marian", "bart", "mbart", "m2m_100", "pegasus"), _BART_TARGETS),
}

# From scratch: mBART and NLLB are left out, for their tokenizers are made of a hundred languages.
_T5_NAMES = {"d_model": 128, "d_kv": 32, "d_ff": 512, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
_BART_NAMES = {
    "d_model": 128,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 512,
    "decoder_ffn_dim": 512,
}
SMALL: dict[str, dict[str, Any]] = {
    "t5": _T5_NAMES,
    "marian": {**_BART_NAMES, "activation_function": "gelu", "scale_embedding": True},
    "bart": _BART_NAMES,
}


def positions(config: PretrainedConfig) -> int | None:
    """Tokens that the model reads at most; None for T5, whose positions are relative."""
    return getattr(config, "max_position_embeddings", None)


def prepare(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    """Pads on the right with the tokenizer's own token; from scratch an answer starts with it (Marian, T5) or </s>."""
    tokenizer.padding_side = "right"
    config.pad_token_id = tokenizer.pad_token_id


def decoder_start_config(model_type: str, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Config values of a model from scratch: what its decoder is given first, as its own checkpoints have it."""
    start = tokenizer.eos_token_id if model_type == "bart" else tokenizer.pad_token_id
    return {"decoder_start_token_id": start, "forced_eos_token_id": None, "forced_bos_token_id": None}
