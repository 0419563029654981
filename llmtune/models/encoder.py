"""Encoders (BERT, RoBERTa, DistilBERT, DeBERTa-v2, ModernBERT): see both sides of a word, come with a pad token."""

from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerBase

SERVES = ("classification",)
MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2", "modernbert")

# The projections of attention and feed-forward, by model_type: regular expressions that peft matches whole names with.
LORA_TARGETS = {
    "bert": r".*\.layer\.\d+\..*\.?(query|key|value|dense)",
    "roberta": r".*\.layer\.\d+\..*\.?(query|key|value|dense)",
    "xlm-roberta": r".*\.layer\.\d+\..*\.?(query|key|value|dense)",
    "distilbert": r".*\.layer\.\d+\..*(q_lin|k_lin|v_lin|out_lin|lin1|lin2)",
    "deberta-v2": r".*\.layer\.\d+\..*\.?(query_proj|key_proj|value_proj|dense)",
    "modernbert": r".*\.layers\.\d+\..*(Wqkv|Wo|Wi)",
}

# From scratch: small enough to train in a minute on two cores, under the names that each config uses.
_BERT_NAMES = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 512}
SMALL: dict[str, dict[str, Any]] = {
    "bert": _BERT_NAMES,
    "roberta": _BERT_NAMES,
    "xlm-roberta": _BERT_NAMES,
    "distilbert": {"dim": 128, "n_layers": 2, "n_heads": 4, "hidden_dim": 512},
    "deberta-v2": _BERT_NAMES,
    "modernbert": _BERT_NAMES,
}

# RoBERTa counts positions from pad_token_id + 1: two of its position embeddings are never reached.
POSITIONS_LOST = {"roberta": 2, "xlm-roberta": 2}


def positions(config: PretrainedConfig) -> int:
    """Tokens that the model reads at most."""
    return int(config.max_position_embeddings - POSITIONS_LOST.get(config.model_type, 0))


def prepare(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    """Encoders pad on the right with their own pad token; nothing is to be set but the config's copy of its id."""
    tokenizer.padding_side = "right"
    config.pad_token_id = tokenizer.pad_token_id
