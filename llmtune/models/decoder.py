"""Decoders (Llama, Mistral, Qwen, Gemma, Phi …): see the left context alone; checkpoints often have no pad token."""

from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerBase

SERVES = ("classification", "generation")
MODEL_TYPES = (
    "llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "gpt2",
    "gpt_neox",
)  # fmt: skip

LORA_TARGETS = {
    **dict.fromkeys(MODEL_TYPES, r".*\.layers\.\d+\..*(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"),
    "phi": r".*\.layers\.\d+\..*(q_proj|k_proj|v_proj|dense|fc1|fc2)",
    "phi3": r".*\.layers\.\d+\..*(qkv_proj|o_proj|gate_up_proj|down_proj)",
    "gpt2": r".*\.h\.\d+\..*(c_attn|c_proj|c_fc)",
    "gpt_neox": r".*\.layers\.\d+\..*(query_key_value|dense|dense_h_to_4h|dense_4h_to_h)",
}

_WITHOUT_HEAD_DIM = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 384,
    "max_position_embeddings": 1024,
}
_LLAMA_NAMES = {**_WITHOUT_HEAD_DIM, "head_dim": 32}
SMALL: dict[str, dict[str, Any]] = {
    **dict.fromkeys(MODEL_TYPES, _LLAMA_NAMES),
    **dict.fromkeys(("smollm3", "phi", "phi3"), _WITHOUT_HEAD_DIM),
    "gpt2": {"n_embd": 128, "n_layer": 2, "n_head": 4, "n_inner": 384, "n_positions": 1024},
    "gpt_neox": {name: size for name, size in _WITHOUT_HEAD_DIM.items() if name != "num_key_value_heads"},
}

# Tokens that vocabularies reserve for padding, best first (Llama 3.1+, Mistral, GPT-NeoX, Qwen).
RESERVED_PAD_TOKENS = ("<|finetune_right_pad_id|>", "<pad>", "[PAD]", "<|padding|>", "<|endoftext|>")


def positions(config: PretrainedConfig) -> int:
    """Tokens that the model reads at most."""
    read: int = config.max_position_embeddings
    return read


def prepare(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    """Gives tokenizer and config the same pad token, on the right.

    The classification head reads the right-most token that is not padding, so the pad token must not be one that can
    end a text: a reserved one is taken where the vocabulary has it, else the unknown token, else a new `<pad>`.
    """
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        vocabulary = tokenizer.get_vocab()
        candidates = [*(token for token in RESERVED_PAD_TOKENS if token in vocabulary), tokenizer.unk_token]
        # GPT-2 has one token for the end of a text and for all else that is special.
        usable = [token for token in candidates if token and token not in (tokenizer.bos_token, tokenizer.eos_token)]
        if usable:
            tokenizer.pad_token = usable[0]
        else:
            tokenizer.add_special_tokens({"pad_token": "<pad>"})
    # Without it in the *config*: "Cannot handle batch sizes > 1 if no padding token is defined" (transformers#34055).
    config.pad_token_id = tokenizer.pad_token_id
