"""LSTMs, from scratch: the baseline that a transformer must beat, and the model of short rows and of series.

Importing this module makes them known to transformers: `AutoModelForSequenceClassification.from_pretrained` and its
siblings then load a run of `--model_type lstm`.
"""

from typing import Any

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTimeSeriesPrediction,
    AutoModelForTokenClassification,
    PreTrainedTokenizerBase,
)

from llmtune.models.lstm.configuration import LstmConfig
from llmtune.models.lstm.forecasting import LstmForForecasting
from llmtune.models.lstm.text import (
    LstmForQuestionAnswering,
    LstmForSequenceClassification,
    LstmForTokenClassification,
    LstmModel,
)

__all__ = [
    "LstmConfig",
    "LstmForForecasting",
    "LstmForQuestionAnswering",
    "LstmForSequenceClassification",
    "LstmForTokenClassification",
    "LstmModel",
]

SERVES = ("classification", "forecasting")
MODEL_TYPES = ("lstm",)

LORA_TARGETS: dict[str, str] = {}
NO_LORA = "an LSTM has no pretrained weights that an adapter could keep: it is trained whole; leave it out"
# On texts more dropout than for series: with 0.3 F1 on SST-2's validation split was 0.791, with 0.5 0.805.
SMALL: dict[str, dict[str, Any]] = {"lstm": {"dropout": 0.5}}


def positions(config: LstmConfig) -> int:
    """Tokens that the model reads at most."""
    return config.max_position_embeddings


def prepare(tokenizer: PreTrainedTokenizerBase, config: LstmConfig) -> None:
    """Pads on the right, where a packed sequence ends; of a pair of texts only [SEP] tells the second."""
    tokenizer.padding_side = "right"
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    config.pad_token_id = tokenizer.pad_token_id


AutoConfig.register(LstmConfig.model_type, LstmConfig)
AutoModel.register(LstmConfig, LstmModel)
AutoModelForSequenceClassification.register(LstmConfig, LstmForSequenceClassification)
AutoModelForTokenClassification.register(LstmConfig, LstmForTokenClassification)
AutoModelForQuestionAnswering.register(LstmConfig, LstmForQuestionAnswering)
AutoModelForTimeSeriesPrediction.register(LstmConfig, LstmForForecasting)
