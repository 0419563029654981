"""Tiny causal models and tokenizers for these tests."""

import torch
import transformers

from llmtune.models.from_scratch import train_tokenizer

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
WORDS = ["the", "river", "ran", "past", "mill", "town", "while", "old", "miller", "counted", "sacks", "of", "grain"]
TEXTS = [" ".join(WORDS[(7 * i + k * k) % len(WORDS)] for k in range(3 + 5 * i % 23)) for i in range(12)]
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "initializer_range": 0.5,  # so small a model would not look at its context otherwise
}


def tokenizer_of(model_type="llama", texts=TEXTS, special=()):
    tokenizer = train_tokenizer(model_type, list(texts) * 3, 330, 64)
    if special:
        tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    return tokenizer


def model_of(model_type="llama", tokenizer=None, **more):
    transformers.set_seed(0)
    tokenizer = tokenizer or tokenizer_of(model_type)
    tokens = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("pad", "bos", "eos")}
    config = transformers.AutoConfig.for_model(model_type, vocab_size=len(tokenizer), **tokens, **{**SIZES, **more})
    return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
