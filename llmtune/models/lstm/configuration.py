"""The sizes of an LSTM that reads texts or series."""

from huggingface_hub.dataclasses import strict
from transformers import PretrainedConfig

SIZES = (
    *("hidden_size", "num_hidden_layers", "vocab_size", "embedding_size", "attention_size", "max_position_embeddings"),
    *("num_features", "lookback", "horizon"),
)


@strict
class LstmConfig(PretrainedConfig):
    """Of `llmtune.models.lstm`; the first half sizes every model, then what texts need, then what series need.

    Args:
        hidden_size: units of each direction and layer.
        num_hidden_layers: LSTM layers, each over the states of the one before.
        bidirectional: a second LSTM reads from the end; its states stand beside those of the first.
        dropout: of what the LSTM reads, between its layers, and of what the head reads; 0 to 1.
        vocab_size: tokens of the vocabulary.
        embedding_size: numbers a token.
        attention_size: units of the additive attention that pools a text's states.
        initializer_range: standard deviation of new embeddings.
        pad_token_id: of the tokenizer.
        max_position_embeddings: tokens that a text may have, by the name that transformers has for it; no weight
            depends on it.
        num_features: numbers a time step of a series.
        lookback: time steps that a forecast reads.
        horizon: time steps that it predicts.
    """

    model_type = "lstm"

    hidden_size: int = 128
    num_hidden_layers: int = 1
    bidirectional: bool = True
    dropout: float | int = 0.3

    vocab_size: int = 4000
    embedding_size: int = 128
    attention_size: int = 64
    initializer_range: float = 0.1
    pad_token_id: int | None = 0
    max_position_embeddings: int = 1024

    num_features: int = 1
    lookback: int = 60
    horizon: int = 1

    def validate_sizes(self) -> None:
        """Raises ValueError for a size that no layer can have; called by `strict`."""
        for name in SIZES:
            if not 1 <= getattr(self, name) < 2**31:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 1 or more, below 2**31")

    @property
    def state_size(self) -> int:
        """Numbers of a state, of both directions together."""
        return self.hidden_size * (2 if self.bidirectional else 1)
