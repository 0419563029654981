import random

import pytest

from llmtune.models.from_scratch import train_tokenizer


@pytest.mark.parametrize("model_type", ["bert", "roberta", "llama"])
def test_a_tokenizer_is_the_same_each_time_it_is_trained(model_type):
    draw = random.Random(0)
    texts = ["".join(draw.choices("abcdefgh  é漢1.", k=30)) for _ in range(200)]

    first, second = (train_tokenizer(model_type, texts, 300, 64) for _ in range(2))

    assert first.get_vocab() == second.get_vocab()


def test_inner_letters_are_pieces_not_special_tokens():
    tokenizer = train_tokenizer("bert", ["peter lives", "anna met peter"], 100, 64)

    assert tokenizer.convert_ids_to_tokens(tokenizer("##e")["input_ids"])[1] != "##e"
    assert set(tokenizer.all_special_tokens) == {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    assert tokenizer.decode(tokenizer("anna lives")["input_ids"], skip_special_tokens=True) == "anna lives"
