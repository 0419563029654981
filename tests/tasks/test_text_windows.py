"""Long documents in windows: nothing of a text is lost, a row stays a row, memory is bounded, and it is told."""

from dataclasses import replace

import datasets
import numpy as np
import pytest
import torch
import transformers

from llmtune.data.lengths import input_lengths
from llmtune.errors import InputError
from llmtune.models.from_scratch import train_tokenizer
from llmtune.tasks import text_windows
from llmtune.tasks.arguments import SequenceArguments
from llmtune.tasks.losses import ClassificationLoss
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.tasks.text_windows import COUNTS, PooledRows, WindowCollator, Windows, train_in_pieces
from llmtune.training.batching import with_padding_example

LONG = " ".join(f"day {i} it rained" for i in range(20))
TEXTS = ["it rained", LONG, "the end", LONG + " and so on"]
PAIRS = ["day 7", "who?", LONG, LONG]
CUT = TextClassification(("no", "yes"), "yes", max_length=20)
TASK = replace(CUT, windows=Windows(4, "mean"))


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer("bert", TEXTS + PAIRS, 200, 64)


@pytest.fixture(scope="module")
def rows():
    return datasets.Dataset.from_dict({"text": TEXTS, "text_pair": PAIRS, "label": ["yes", "no", "yes", "no"]})


def joined(windows, specials, stride):
    """The tokens of windows put together again, each without what it shares with the one before."""
    plain = [[token for token in window if token not in specials] for window in windows]
    return plain[0] + [token for window in plain[1:] for token in window[stride:]]


def test_the_windows_of_a_text_hold_every_token_of_it_and_neighbors_share_the_stride(tokenizer, rows):
    encoded = TASK.encode(rows, tokenizer)

    assert set(encoded.dataset.column_names) == {"input_ids", "attention_mask", "labels"}
    specials = {tokenizer.cls_token_id, tokenizer.sep_token_id}
    for text, windows in zip(TEXTS, encoded.dataset["input_ids"], strict=True):
        assert joined(windows, specials, 4) == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert all(window[0] == tokenizer.cls_token_id and len(window) <= 20 for window in windows)
    counts = [len(windows) for windows in encoded.dataset["input_ids"]]
    assert counts[0] == counts[2] == 1 < counts[1]
    assert encoded.facts == {"truncated": 0, "windows": sum(counts)}
    assert encoded.notes == [f"{sum(counts)} windows of 20 tokens of 4 rows"]


def test_of_a_pair_the_longer_text_is_windowed_and_the_other_stands_whole_in_each(tokenizer, rows):
    encoded = replace(TASK, pair_prefix="").encode(rows, tokenizer)

    room = (20 - 3) // 2
    for text, pair, windows, types in zip(
        TEXTS, PAIRS, encoded.dataset["input_ids"], encoded.dataset["token_type_ids"], strict=True
    ):
        sides = [[], []]
        for window, kinds in zip(windows, types, strict=True):
            parts = [[], []]
            for token, kind in zip(window, kinds, strict=True):
                if token not in (tokenizer.cls_token_id, tokenizer.sep_token_id):
                    parts[kind].append(token)
            for side, part in zip(sides, parts, strict=True):
                side.append(part)
        first, second = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in (text, pair))
        long, short = (0, 1) if len(text) >= len(pair) else (1, 0)
        whole = (first, second)
        assert joined(sides[long], (), 4) == whole[long]
        assert all(part == whole[short][:room] for part in sides[short])
    assert encoded.facts["truncated"] == 1, "the last pair has two long texts"


@pytest.mark.parametrize(("stride", "pair"), [(18, False), (-1, False), (8, True)])
def test_a_stride_that_leaves_no_room_is_refused(stride, pair, tokenizer, rows):
    task = replace(CUT, windows=Windows(stride, "mean"), pair_prefix="" if pair else None)

    room = 8 if pair else 18
    with pytest.raises(
        InputError,
        match=rf"--stride {stride}: windows of --max_length 20 have room for {room} tokens of a long text.*, of which "
        rf"neighbors share from 0 to {room - 1}; a quarter is a good stride",
    ):
        task.encode(rows, tokenizer)


def test_an_unknown_pooling_and_an_unknown_way_are_refused():
    with pytest.raises(InputError, match="--window_pooling 'sum' is not one of mean, max"):
        SequenceArguments(window_pooling="sum")
    with pytest.raises(InputError, match="--window_pooling max: is for long texts that are read in windows; add "):
        SequenceArguments(window_pooling="max")
    with pytest.raises(InputError, match="--stride 8: is for long texts that are read in windows"):
        SequenceArguments(stride=8)
    with pytest.raises(InputError, match="--long_text 'cut' is not one of truncate, windows"):
        SequenceArguments(long_text="cut")


def test_a_row_of_windows_is_as_long_as_all_of_them_and_can_be_a_padding_example(tokenizer, rows):
    tokens = TASK.encode(rows, tokenizer).dataset

    lengths = input_lengths(tokens).tolist()
    assert lengths == [sum(map(len, windows)) for windows in tokens["input_ids"]]
    assert with_padding_example(tokens)[4] == {**tokens[lengths.index(min(lengths))], "labels": -100}


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_logits_are_pooled_by_row_and_learned_as_they_are_used(pooling, tokenizer, rows):
    tokens = TASK.encode(rows, tokenizer).dataset
    transformers.set_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model = transformers.BertForSequenceClassification(config).eval()
    batch = WindowCollator(tokenizer, Windows(4, pooling))(list(tokens))
    labels = batch.pop("labels")

    outputs = PooledRows(model, Windows(4, pooling), None)(**batch)
    loss = ClassificationLoss()(outputs, labels, 4)
    loss.backward()

    assert batch[COUNTS].tolist() == [len(windows) for windows in tokens["input_ids"]]
    by_hand = []
    for windows in tokens["input_ids"]:
        each = torch.cat([model(input_ids=torch.tensor([window])).logits for window in windows])
        by_hand.append(each.mean(0) if pooling == "mean" else each.max(0).values)
    torch.testing.assert_close(outputs.logits, torch.stack(by_hand))
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(torch.stack(by_hand), labels))
    assert model.classifier.weight.grad.abs().sum() > 0


def test_evaluation_computes_no_more_windows_at_once_than_it_is_told(tokenizer, rows):
    tokens = TASK.encode(rows, tokenizer).dataset
    batch = WindowCollator(tokenizer, TASK.windows)(list(tokens.remove_columns("labels")))
    sizes = []

    def model(**inputs):
        sizes.append(len(inputs["input_ids"]))
        assert len(inputs["attention_mask"]) == sizes[-1]
        return {"logits": inputs["input_ids"][:, :2].float()}

    at_once = PooledRows(model, TASK.windows, 3)(**batch)
    seen = list(sizes)
    whole = PooledRows(model, TASK.windows, None)(**batch)

    assert max(seen) == 3
    assert sum(seen) == sizes[-1] == int(batch[COUNTS].sum())
    np.testing.assert_array_equal(at_once.logits, whole.logits)


def saved_bytes(model, batch, labels):
    """What the forward pass keeps for the gradient, and the loss and the gradients then."""
    kept = 0

    def pack(tensor):
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    torch.manual_seed(0)  # of dropout
    model.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = PooledRows(model, TASK.windows, None)(**batch)
        loss = ClassificationLoss()(outputs, labels, len(labels))
    loss.backward()
    return kept, loss.detach(), [weight.grad.clone() for weight in model.parameters()]


def tiny_bert(tokenizer, dropout):
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
    )  # fmt: skip
    transformers.set_seed(0)
    return transformers.BertForSequenceClassification(config).train()


def test_training_keeps_no_more_windows_than_so_many_and_learns_the_same(tokenizer, rows, monkeypatch):
    monkeypatch.setattr(text_windows, "TRAINED_AT_ONCE", 3)
    collator = WindowCollator(tokenizer, TASK.windows)
    kept = {}
    for times in (1, 8):
        text = [{"text": " ".join([LONG] * times), "text_pair": "", "label": "yes"}]
        batch = collator(
            list(TASK.encode(datasets.Dataset.from_list(text).remove_columns("text_pair"), tokenizer).dataset)
        )
        labels = batch.pop("labels")
        assert batch[COUNTS].item() > 3 * times
        whole, in_pieces = tiny_bert(tokenizer, 0.0), tiny_bert(tokenizer, 0.0)
        train_in_pieces(in_pieces, collator)
        expected, found = (saved_bytes(model, dict(batch), labels) for model in (whole, in_pieces))
        kept[times] = expected[0], found[0]
        torch.testing.assert_close(found[1:], expected[1:], rtol=1e-5, atol=1e-7)

    assert kept[8][0] > 6 * kept[1][0]
    assert kept[8][1] < 0.1 * kept[8][0]


def test_dropout_is_the_same_when_a_piece_is_computed_anew(tokenizer, rows, monkeypatch):
    monkeypatch.setattr(text_windows, "TRAINED_AT_ONCE", 4)
    collator = WindowCollator(tokenizer, TASK.windows)
    batch = collator(list(TASK.encode(rows, tokenizer).dataset))
    labels = batch.pop("labels")
    model = tiny_bert(tokenizer, 0.3)
    train_in_pieces(model, collator)

    _, loss, gradients = saved_bytes(model, dict(batch), labels)
    nudge = 1e-3 / torch.cat([gradient.flatten() for gradient in gradients]).norm()
    with torch.no_grad():
        for weight, gradient in zip(model.parameters(), gradients, strict=True):
            weight += nudge * gradient
    _, after, _ = saved_bytes(model, dict(batch), labels)

    # Were other numbers dropped in the backward pass, the gradient would not be that of this loss.
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert float(after - loss) == pytest.approx(float(1e-3 * norm), rel=0.05)


def test_how_long_texts_are_read_travels_with_the_model():
    task = replace(TASK, pair_prefix="\n", windows=Windows(7, "max"))
    config = transformers.BertConfig(**task.head_config(), llmtune=task.to_config())

    assert TextClassification.from_config(transformers.BertConfig.from_dict(config.to_dict()), "run") == task


def test_the_share_that_is_cut_is_told_with_the_flag_that_reads_all(tokenizer, rows):
    encoded = CUT.encode(rows, tokenizer)

    assert encoded.notes == [
        "texts truncated at 20 tokens: 2 (50.0% of the rows; --long_text windows in training reads all)"
    ]
    assert CUT._length_lines({"train": encoded}) == [
        "50.0% of all rows are truncated; --long_text windows reads them whole"
    ]
    whole = TASK.encode(rows, tokenizer)
    count = whole.facts["windows"]
    assert TASK._length_lines({"train": whole}) == [
        f"long texts are read in windows of 20 tokens that share 4, mean of their logits: train {count} windows"
    ]
