"""The loss of spans against transformers' own, and against its cut into micro-batches."""

import pytest
import torch
import transformers

from llmtune.tasks.question_answering.loss import SpanLoss


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, pad_token_id=0
    )
    return transformers.BertForQuestionAnswering(config).eval()


IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [5, 6, 11, 12, 0, 0]])
LENGTHS = [6, 4]
SPANS = [(3, 4), (0, 0)]
LABELS = torch.tensor([[start, end, 2, n] for (start, end), n in zip(SPANS, LENGTHS, strict=True)])


def test_it_is_the_stock_loss_of_each_window_alone_and_padding_takes_no_part(model):
    with torch.no_grad():
        stock = [
            model(
                input_ids=IDS[row : row + 1, :n],
                start_positions=torch.tensor([start]),
                end_positions=torch.tensor([end]),
            ).loss
            for row, ((start, end), n) in enumerate(zip(SPANS, LENGTHS, strict=True))
        ]
        padded = model(input_ids=IDS, attention_mask=(IDS > 0).long())

    assert SpanLoss()(padded, LABELS) == pytest.approx(float(sum(stock) / 2), rel=1e-6)


def test_micro_batches_add_up_to_the_whole_and_a_filler_counts_for_nothing():
    start, end = (torch.randn(3, 6, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    labels = torch.cat([LABELS, torch.full((1, 4), -100)])
    gradients = []
    for cut in ([[0, 1, 2]], [[0], [1], [2]]):
        parts = [part.clone().requires_grad_() for part in (start, end)]
        for rows in cut:
            outputs = {"start_logits": parts[0][rows], "end_logits": parts[1][rows]}
            SpanLoss()(outputs, labels[rows], torch.tensor(8)).backward()
        gradients.append(torch.stack([part.grad for part in parts]))

    torch.testing.assert_close(gradients[0], gradients[1])
    assert gradients[0][:, 2].abs().sum() == 0
    assert gradients[0][:, 1, 4:].abs().sum() == 0, "padding"
    assert gradients[0][:, :2].abs().sum() > 0


def test_bfloat16_is_summed_in_float32():
    outputs = {name: torch.zeros(2, 6, dtype=torch.bfloat16) for name in ("start_logits", "end_logits")}

    loss = SpanLoss()(outputs, LABELS)

    assert loss.dtype == torch.float32
    assert loss == pytest.approx((torch.log(torch.tensor(6.0)) + torch.log(torch.tensor(4.0))).item() / 2)
