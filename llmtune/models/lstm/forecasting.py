"""An LSTM that reads windows of a series and predicts its next steps. Letters: m windows, t steps, f features."""

from dataclasses import dataclass

import torch
from torch import nn
from transformers.utils import ModelOutput

from llmtune.models.lstm.configuration import LstmConfig
from llmtune.models.lstm.layers import Lstm, TimeStepAttention
from llmtune.models.lstm.text import LstmPreTrainedModel


@dataclass
class ForecastOutput(ModelOutput):
    """What `LstmForForecasting` returns.

    Args:
        loss: mean squared error, a scalar; None without labels.
        logits: the forecasts, (m, horizon), in the units of the labels.
        attentions: the weight of each time step, (m, t), which sum to 1 in a row; None unless asked for.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    attentions: torch.Tensor | None = None


class LstmForForecasting(LstmPreTrainedModel):
    """A window of `lookback` steps of `num_features` numbers → `horizon` numbers: LSTM, attention, a linear head."""

    main_input_name = "past_values"

    def __init__(self, config: LstmConfig) -> None:
        super().__init__(config)
        self.lstm = Lstm(config, config.num_features)
        self.attention = TimeStepAttention(config.state_size, config.lookback)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.state_size, config.horizon)
        self.post_init()

    def forward(
        self,
        past_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        output_attentions: bool | None = None,
    ) -> ForecastOutput:
        """Forecasts (m, horizon) of windows (m, lookback, num_features); labels (m, horizon).

        Raises:
            ValueError: windows of another shape than the config's.
        """
        expected = (self.config.lookback, self.config.num_features)
        if past_values.shape[1:] != expected:
            raise ValueError(
                f"past_values: shape {tuple(past_values.shape)}, expected (rows, {expected[0]}, {expected[1]}): the "
                "lookback and num_features of the config"
            )
        pooled, weights = self.attention(self.lstm(past_values))
        forecasts = self.head(self.dropout(pooled))
        return ForecastOutput(
            loss=None if labels is None else nn.functional.mse_loss(forecasts, labels),
            logits=forecasts,
            attentions=weights if output_attentions else None,
        )
