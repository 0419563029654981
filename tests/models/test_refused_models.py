"""Models that can't be loaded as asked, and what is said of them."""

import importlib.util

import pytest

from llmtune.arguments import ModelArguments
from llmtune.errors import InputError
from llmtune.models.loading import load_model, qlora_config, requested_family
from llmtune.tasks.text_classification.task import TextClassification

TASK = TextClassification(("ham", "spam"), "spam", 64)


def test_a_folder_without_a_config_has_no_family(tmp_path):
    with pytest.raises(InputError, match=f"--model_name_or_path {tmp_path}: has no readable config.json"):
        requested_family(ModelArguments(model_name_or_path=str(tmp_path)), ("encoder", "decoder"))


def test_a_vocabulary_that_holds_no_words_is_refused():
    arguments = ModelArguments(model_type="bert", tokenizer_vocab_size=10)

    with pytest.raises(InputError, match="or more: letters, special tokens and some words must find room"):
        load_model(arguments, TASK, train_texts=lambda: ["see you"])


def test_four_bit_weights_name_the_package_they_need(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "bitsandbytes" else find_spec(name, *rest)
    )

    with pytest.raises(
        InputError, match=r"\(--load_in_4bit\) need bitsandbytes: pip install 'llmtune\[quantization\]'"
    ):
        qlora_config()
