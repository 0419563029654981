"""Decoders (Llama, Mistral, Qwen): see only the left context; their checkpoints often have no pad token."""

from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerBase

SERVES = ("classification", "generation")
MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")

LORA_TARGETS = dict.fromkeys(
    MODEL_TYPES, r".*\.layers\.\d+\..*(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
)

SMALL: dict[str, dict[str, Any]] = dict.fromkeys(
    MODEL_TYPES,
    {
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "intermediate_size": 384,
        "max_position_embeddings": 1024,
    },
)

# Tokens that vocabularies reserve for padding, best first (Llama 3.1+, Mistral, Qwen).
RESERVED_PAD_TOKENS = ("<|finetune_right_pad_id|>", "<pad>", "[PAD]", "<|endoftext|>")


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
        reserved = [token for token in RESERVED_PAD_TOKENS if token in vocabulary]
        if reserved or tokenizer.unk_token:
            tokenizer.pad_token = reserved[0] if reserved else tokenizer.unk_token
        else:
            tokenizer.add_special_tokens({"pad_token": "<pad>"})
    # Without it in the *config*: "Cannot handle batch sizes > 1 if no padding token is defined" (transformers#34055).
    config.pad_token_id = tokenizer.pad_token_id
