"""Batches equal those of transformers' own collators."""

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from llmtune.data.padding import PaddingCollator

COLLATORS = {
    "row": transformers.DataCollatorWithPadding,
    "tokens": transformers.DataCollatorForTokenClassification,
    "answers": lambda tokenizer: transformers.DataCollatorForSeq2Seq(tokenizer, model=None),
}


def rows(labels: str, rng: np.random.Generator) -> list[dict[str, object]]:
    made = []
    for length in rng.integers(1, 9, 5):
        ids = rng.integers(1, 20, length).tolist()
        row: dict[str, object] = {"input_ids": ids, "attention_mask": [1] * len(ids), "token_type_ids": [1] * len(ids)}
        row["labels"] = {
            "row": int(rng.integers(3)),
            "tokens": rng.integers(0, 3, length).tolist(),
            "answers": rng.integers(0, 3, rng.integers(1, 6)).tolist(),
        }[labels]
        made.append(row)
    return made


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("labels", COLLATORS)
def test_a_batch_is_that_of_the_stock_collator(labels, side):
    words = Tokenizer(WordLevel({"[PAD]": 7, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", padding_side=side)
    rng = np.random.default_rng(0)
    for _ in range(20):
        batch = rows(labels, rng)

        ours = PaddingCollator(tokenizer, labels_of_tokens=labels != "row")(batch)

        stock = COLLATORS[labels](tokenizer)([dict(row) for row in batch])
        assert ours.keys() == stock.keys()
        for name, tensor in ours.items():
            assert tensor.dtype == stock[name].dtype
            assert torch.equal(tensor, stock[name]), name


@pytest.mark.parametrize(
    ("cell", "dtype"), [([1.0, 0.5], torch.float32), ([3, 4, 5, 6], torch.long), (2.5, torch.float32)]
)
def test_labels_that_are_numbers_stay_as_they_are(cell, dtype):
    words = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]")

    batch = PaddingCollator(tokenizer)([{"input_ids": [1], "labels": cell}, {"input_ids": [1, 2], "labels": cell}])

    assert batch["labels"].dtype == dtype
    assert batch["labels"].tolist() == [cell, cell]
