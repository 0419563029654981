"""Encoders (BERT, RoBERTa, ALBERT, DeBERTa, Longformer …): see both sides of a word, come with a pad token."""

from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerBase

SERVES = ("classification",)
MODEL_TYPES = (
    "bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2", "modernbert", "albert", "electra", "mpnet",
    "camembert", "longformer", "deberta", "ernie", "rembert", "xlm-roberta-xl", "eurobert",
)  # fmt: skip

# The projections of attention and feed-forward, by model_type: regular expressions that peft matches whole names with.
_BERT_TARGETS = r".*\.layer\.\d+\..*\.?(query|key|value|dense)"
LORA_TARGETS = {
    **dict.fromkeys(MODEL_TYPES, _BERT_TARGETS),
    "distilbert": r".*\.layer\.\d+\..*(q_lin|k_lin|v_lin|out_lin|lin1|lin2)",
    "deberta-v2": r".*\.layer\.\d+\..*\.?(query_proj|key_proj|value_proj|dense)",
    "modernbert": r".*\.layers\.\d+\..*(Wqkv|Wo|Wi)",
    "albert": r".*\.albert_layers\.\d+\..*(query|key|value|dense|ffn|ffn_output)",
    "mpnet": r".*\.layer\.\d+\..*\.(q|k|v|o|dense)",
    "longformer": r".*\.layer\.\d+\..*\.(query|key|value|query_global|key_global|value_global|dense)",
    "deberta": r".*\.layer\.\d+\..*\.(in_proj|dense)",
    "eurobert": r".*\.layers\.\d+\..*(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
}

# From scratch: small enough to train in a minute on two cores, under the names that each config uses.
_BERT_NAMES = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 512}
SMALL: dict[str, dict[str, Any]] = {
    **dict.fromkeys(MODEL_TYPES, _BERT_NAMES),
    "distilbert": {"dim": 128, "n_layers": 2, "n_heads": 4, "hidden_dim": 512},
    "longformer": {**_BERT_NAMES, "attention_window": 64, "max_position_embeddings": 1026},
    "rembert": {**_BERT_NAMES, "input_embedding_size": 64, "output_embedding_size": 128},
    "xlm-roberta-xl": {**_BERT_NAMES, "type_vocab_size": 2},  # a tokenizer from scratch has two
    "eurobert": {**_BERT_NAMES, "num_key_value_heads": 4},
}

# RoBERTa and its kin count positions from pad_token_id + 1: two of their position embeddings are never reached.
POSITIONS_LOST = dict.fromkeys(("roberta", "xlm-roberta", "camembert", "longformer", "mpnet", "xlm-roberta-xl"), 2)


def positions(config: PretrainedConfig) -> int:
    """Tokens that the model reads at most."""
    return int(config.max_position_embeddings - POSITIONS_LOST.get(config.model_type, 0))


def prepare(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    """Encoders pad on the right with their own pad token; nothing is to be set but the config's copy of its id."""
    tokenizer.padding_side = "right"
    config.pad_token_id = tokenizer.pad_token_id
