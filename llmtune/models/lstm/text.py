"""LSTMs that read texts: classes of a text, tags of its tokens, the span that answers a question.

Letters: m rows, t tokens, d numbers of a state, c classes.
"""

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import (
    BaseModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)

from llmtune.models.lstm.configuration import LstmConfig
from llmtune.models.lstm.layers import AdditiveAttention, Lstm, TimeStepAttention


class LstmPreTrainedModel(PreTrainedModel):
    """What all models of the family share: how new weights begin."""

    config_class = LstmConfig
    base_model_prefix = "lstm"

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (Lstm, TimeStepAttention)):
            module.reset_parameters()
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)


class LstmModel(LstmPreTrainedModel):
    """Token ids → a state a token."""

    def __init__(self, config: LstmConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.embedding_size)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Lstm(config, config.embedding_size)
        self.post_init()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> BaseModelOutput:
        """States (m, t, d), 0 at padding.

        Args:
            input_ids: (m, t).
            attention_mask: (m, t), 1 at tokens and 0 at the padding behind them; None where there is no padding.
        """
        lengths = None if attention_mask is None else row_lengths(attention_mask)
        return BaseModelOutput(self.encoder(self.dropout(self.embed_tokens(input_ids)), lengths))


def row_lengths(attention_mask: torch.Tensor) -> torch.Tensor:
    """Tokens of each row (m,), at least 1: of a row of nothing but padding one is read, and its states mean nothing.

    Raises:
        ValueError: padding stands before a token, where an LSTM would read it.
    """
    mask = attention_mask.cpu().bool()
    if (mask[:, 1:] & ~mask[:, :-1]).any():
        raise ValueError(
            "attention_mask: padding stands before tokens, and an LSTM reads a row from its first place on; pad on the "
            'right (tokenizer.padding_side = "right")'
        )
    return mask.sum(dim=1).clamp(min=1)


class LstmForSequenceClassification(LstmPreTrainedModel):
    """A text → logits of c classes, of several labels, or a number: LSTM, additive attention, a linear head."""

    def __init__(self, config: LstmConfig) -> None:
        super().__init__(config)
        self.lstm = LstmModel(config)
        self.attention = AdditiveAttention(config.state_size, config.attention_size)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.state_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_attentions: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Logits (m, c).

        Args:
            input_ids: (m, t).
            attention_mask: (m, t), see `LstmModel`.
            labels: class ids (m,), or numbers (m, c) as `config.problem_type` says.
            output_attentions: also the weight of each token (m, t), which sum to 1 in a row; 0 at padding.
        """
        states = self.lstm(input_ids, attention_mask)[0]
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        pooled, weights = self.attention(states, mask.bool())
        logits = self.classifier(self.dropout(pooled))
        return SequenceClassifierOutput(
            loss=None if labels is None else self.loss_function(labels, logits, self.config),
            logits=logits,
            attentions=weights if output_attentions else None,
        )


class LstmForTokenClassification(LstmPreTrainedModel):
    """A text → logits of c tags at each token: the BiLSTM tagger (Huang et al. 2015, without their CRF)."""

    def __init__(self, config: LstmConfig) -> None:
        super().__init__(config)
        self.lstm = LstmModel(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.state_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> TokenClassifierOutput:
        """Logits (m, t, c); labels (m, t), -100 where none counts."""
        logits = self.classifier(self.dropout(self.lstm(input_ids, attention_mask)[0]))
        loss = None if labels is None else self.loss_function(logits, labels, self.config)
        return TokenClassifierOutput(loss=loss, logits=logits)


class LstmForQuestionAnswering(LstmPreTrainedModel):
    """A question and a context → logits of each token as the first and as the last of the answer."""

    def __init__(self, config: LstmConfig) -> None:
        super().__init__(config)
        self.lstm = LstmModel(config)
        self.dropout = nn.Dropout(config.dropout)
        self.qa_outputs = nn.Linear(config.state_size, 2)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        start_positions: torch.Tensor | None = None,
        end_positions: torch.Tensor | None = None,
    ) -> QuestionAnsweringModelOutput:
        """Start and end logits (m, t) each; positions (m,) each."""
        logits = self.qa_outputs(self.dropout(self.lstm(input_ids, attention_mask)[0]))
        start, end = logits.unbind(dim=-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = self.loss_function(start, end, start_positions, end_positions)
        return QuestionAnsweringModelOutput(loss=loss, start_logits=start, end_logits=end)
