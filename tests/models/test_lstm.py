"""LSTMs against torch.nn.LSTM and calculations by hand: sizes, padding, attention, losses, and what they refuse."""

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune.arguments import ModelArguments
from llmtune.errors import InputError
from llmtune.models.from_scratch import train_tokenizer
from llmtune.models.loading import load_model
from llmtune.models.lstm import LstmConfig, LstmForForecasting, LstmForSequenceClassification, LstmModel
from llmtune.models.lstm.layers import AdditiveAttention, Lstm, TimeStepAttention
from llmtune.tasks.text_classification.task import TextClassification

SIZES = {"hidden_size": 6, "embedding_size": 5, "attention_size": 4, "vocab_size": 30, "num_hidden_layers": 2}
TASK = TextClassification(("ham", "spam"), "spam", max_length=64)
HEADS = [
    transformers.AutoModel,
    transformers.AutoModelForSequenceClassification,
    transformers.AutoModelForTokenClassification,
    transformers.AutoModelForQuestionAnswering,
]


def made(auto_model=transformers.AutoModelForSequenceClassification, **config):
    transformers.set_seed(0)
    return auto_model.from_config(LstmConfig(**{**SIZES, **config})).eval()


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_classic_forecaster_has_the_classic_numbers_of_weights():
    # 64 units over open and close, 60 days: of Keras LSTM(64), a weight a unit and a bias a day, Dense(1).
    model = LstmForForecasting(LstmConfig(hidden_size=64, bidirectional=False, num_features=2, lookback=60, horizon=1))

    assert parameters(model.lstm) == 4 * (64 * (64 + 2) + 64) == 17_152
    assert parameters(model.attention) == 64 + 60 == 124
    assert parameters(model.head) == 64 + 1 == 65
    assert model.num_parameters() == 17_152 + 124 + 65


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_states_are_those_of_torch_with_one_of_its_two_biases_at_zero(bidirectional, layers):
    transformers.set_seed(0)
    ours = Lstm(LstmConfig(hidden_size=6, bidirectional=bidirectional, num_hidden_layers=layers, dropout=0.0), 5)
    reference = torch.nn.LSTM(5, 6, layers, batch_first=True, bidirectional=bidirectional)
    weights = zip(ours.input_weights, ours.state_weights, ours.biases, reference.all_weights, strict=True)
    with torch.no_grad():
        for input_weight, state_weight, bias, (w_ih, w_hh, b_ih, b_hh) in weights:
            bias.normal_()
            for target, source in ((w_ih, input_weight), (w_hh, state_weight), (b_ih, bias), (b_hh, 0.0)):
                target.copy_(torch.as_tensor(source))
    steps = torch.randn(3, 7, 5)

    states = ours(steps)

    torch.testing.assert_close(states, reference(steps)[0], atol=1e-6, rtol=0)


def test_a_new_lstm_remembers_by_default():
    lstm = Lstm(LstmConfig(hidden_size=6, bidirectional=False), 5)

    (bias,) = lstm.biases
    assert bias.view(4, 6).sum(1).tolist() == [0, 6, 0, 0]  # torch's order of gates: input, forget, cell, output
    weight = lstm.state_weights[0]
    torch.testing.assert_close(weight.T @ weight, torch.eye(6), atol=1e-5, rtol=0)


@pytest.mark.parametrize("head", HEADS)
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5), more=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_padding_changes_no_output(head, lengths, more):
    model = made(head)
    ids = torch.randint(1, 30, (len(lengths), max(lengths) + more), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(ids.shape[1]) < torch.tensor(lengths)[:, None]).long()

    with torch.no_grad():
        together = model(ids, mask)[0]
        for row, length in enumerate(lengths):
            alone = model(ids[row : row + 1, :length])[0]
            padded = together[row : row + 1]
            if head is not transformers.AutoModelForSequenceClassification:
                padded = padded[:, :length]
            torch.testing.assert_close(padded, alone, atol=1e-6, rtol=0)


def test_states_of_padding_are_zero_and_the_padding_token_is_never_read():
    model = made(transformers.AutoModel)
    mask = torch.tensor([[1, 1, 1, 0, 0]])

    states = model(torch.tensor([[3, 4, 5, 0, 0]]), mask)[0]
    other = model(torch.tensor([[3, 4, 5, 9, 8]]), mask)[0]

    assert torch.equal(states, other)
    assert (states[0, 3:] == 0).all()
    assert (states[0, :3] != 0).all()


def test_a_row_of_nothing_but_padding_has_finite_logits():
    logits = made()(torch.zeros(2, 3, dtype=torch.long), torch.tensor([[0, 0, 0], [1, 1, 0]])).logits

    assert torch.isfinite(logits).all()


def test_padding_on_the_left_is_refused():
    with pytest.raises(ValueError, match="padding stands before tokens, and an LSTM reads a row from its first place"):
        made()(torch.ones(1, 3, dtype=torch.long), torch.tensor([[0, 1, 1]]))


def test_attention_over_tokens_is_the_calculation_by_hand():
    transformers.set_seed(0)
    attention = AdditiveAttention(3, 2)
    states = torch.randn(1, 4, 3)
    mask = torch.tensor([[True, True, True, False]])

    pooled, weights = attention(states, mask)

    h, w = states[0, :3].numpy(), attention.projection
    scores = (
        np.tanh(h @ w.weight.detach().numpy().T + w.bias.detach().numpy()) @ attention.score.weight[0].detach().numpy()
    )
    expected = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(weights.detach()[0], [*expected, 0], atol=1e-6)
    np.testing.assert_allclose(pooled.detach()[0], expected @ h, atol=1e-6)


def test_attention_over_time_steps_is_the_calculation_by_hand():
    attention = TimeStepAttention(3, 4)
    with torch.no_grad():
        attention.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5]))
    states = torch.randn(2, 4, 3)

    pooled, weights = attention(states)

    scores = np.tanh(states.numpy() @ attention.weight[0].detach().numpy() + attention.bias.detach().numpy())
    expected = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(weights.detach(), expected, atol=1e-6)
    np.testing.assert_allclose(pooled.detach(), np.einsum("mt,mtd->md", expected, states.numpy()), atol=1e-6)


@pytest.mark.parametrize("asked", [False, True])
def test_attention_weights_are_returned_on_request(asked):
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])

    weights = made()(torch.ones_like(mask), mask, output_attentions=asked).attentions

    assert (weights is not None) == asked
    if asked:
        torch.testing.assert_close(weights.sum(1), torch.ones(2))
        assert (weights[mask == 0] == 0).all()
        assert (weights[mask == 1] > 0).all()


@pytest.mark.parametrize(
    ("problem_type", "labels", "loss"),
    [
        ("single_label_classification", torch.tensor([0, 2]), torch.nn.functional.cross_entropy),
        (
            "multi_label_classification",
            torch.tensor([[0.0, 1, 1], [0, 0, 1]]),
            torch.nn.functional.binary_cross_entropy_with_logits,
        ),
        ("regression", torch.tensor([[0.5, 1, 2], [0, 1, -3]]), torch.nn.functional.mse_loss),
    ],
)
def test_the_loss_is_that_of_the_problem_type(problem_type, labels, loss):
    model = made(num_labels=3, problem_type=problem_type)

    outputs = model(torch.tensor([[3, 4], [5, 6]]), labels=labels)

    assert outputs.loss.item() == pytest.approx(loss(outputs.logits, labels).item(), rel=1e-6)


def test_the_losses_of_tags_answers_and_forecasts_are_those_of_torch():
    ids = torch.tensor([[3, 4, 5], [6, 7, 8]])
    tagger = made(transformers.AutoModelForTokenClassification, num_labels=3)
    reader = made(transformers.AutoModelForQuestionAnswering)
    forecaster = made(transformers.AutoModelForTimeSeriesPrediction, lookback=4, horizon=2)
    tags, starts, ends, values = (
        torch.tensor([[0, -100, 2], [1, 1, -100]]), torch.tensor([0, 1]), torch.tensor([2, 1]), torch.randn(2, 2),
    )  # fmt: skip

    tagged, read = tagger(ids, labels=tags), reader(ids, start_positions=starts, end_positions=ends)
    forecast = forecaster(torch.randn(2, 4, 1), labels=values, output_attentions=True)

    entropy = torch.nn.functional.cross_entropy
    assert tagged.loss.item() == pytest.approx(entropy(tagged.logits.flatten(0, 1), tags.flatten()).item())
    both = (entropy(read.start_logits, starts) + entropy(read.end_logits, ends)) / 2
    assert read.loss.item() == pytest.approx(both.item())
    assert forecast.loss.item() == pytest.approx(((forecast.logits - values) ** 2).mean().item())
    assert forecast.attentions.shape == (2, 4)


@pytest.mark.parametrize("head", [*HEADS, transformers.AutoModelForTimeSeriesPrediction])
def test_a_saved_model_loads_with_every_weight(head, tmp_path):
    model = made(head)
    model.save_pretrained(tmp_path)

    again, report = head.from_pretrained(tmp_path, output_loading_info=True)

    assert not any(report.values())
    assert type(again) is type(model)
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name]), name


def test_a_classifier_starts_from_the_weights_of_a_body(tmp_path):
    body = made(transformers.AutoModel)
    body.save_pretrained(tmp_path)

    model, report = LstmForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)

    assert {key.split(".")[0] for key in report["missing_keys"]} == {"attention", "classifier"}
    assert isinstance(model.lstm, LstmModel)
    assert torch.equal(model.lstm.embed_tokens.weight, body.embed_tokens.weight)


def test_windows_of_another_shape_are_refused():
    model = LstmForForecasting(LstmConfig(lookback=4, num_features=2))

    with pytest.raises(ValueError, match=r"shape \(3, 4, 1\), expected \(rows, 4, 2\): the lookback and num_features"):
        model(torch.zeros(3, 4, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"use_peft": True}, "--use_peft: an LSTM has no pretrained weights that an adapter could keep: it is trained"),
        ({"load_in_4bit": True}, "--load_in_4bit: an LSTM has no pretrained weights"),
        ({"attn_implementation": "sdpa"}, "LstmForSequenceClassification does not support"),
        ({"config_overrides": "num_attention_heads=2"}, "lstm has no setting 'num_attention_heads'"),
    ],
)
def test_what_an_lstm_does_not_have_is_refused(arguments, message):
    with pytest.raises(InputError) as refused:
        load_model(ModelArguments(model_type="lstm", **arguments), TASK, train_texts=lambda: ["see you", "win cash"])

    assert message in str(refused.value)


def test_its_vocabulary_is_of_word_pieces_that_keep_capitals():
    tokenizer = train_tokenizer("lstm", ["Rome met rome", "US and us"], 100, 64)

    assert tokenizer.tokenize("US rome Romes") == ["US", "rome", "Rome", "##s"]
