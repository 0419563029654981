"""Models that can't be loaded as asked, and what is said of them."""

import importlib.util

import pytest
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from llmtune.arguments import ModelArguments
from llmtune.errors import InputError
from llmtune.models.adapter import check_new_rows_are_trained
from llmtune.models.loading import load_model, quantization_config, requested_family
from llmtune.models.pretrained_tokenizer import check_pad_token
from llmtune.tasks.text_classification.task import TextClassification

TASK = TextClassification(("ham", "spam"), "spam", max_length=64)


def test_a_folder_without_a_config_has_no_family(tmp_path):
    with pytest.raises(InputError, match=f"--model_name_or_path {tmp_path}: has no readable config.json"):
        requested_family(ModelArguments(model_name_or_path=str(tmp_path)), ("encoder", "decoder"))


def test_a_vocabulary_that_holds_no_words_is_refused():
    arguments = ModelArguments(model_type="bert", tokenizer_vocab_size=10)

    with pytest.raises(InputError, match="or more: letters, special tokens and some words must find room"):
        load_model(arguments, TASK, train_texts=lambda: ["see you"])


@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_weights_name_the_package_they_need(bits, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "bitsandbytes" else find_spec(name, *rest)
    )

    with pytest.raises(
        InputError, match=rf"\(--load_in_{bits}bit\) need bitsandbytes: pip install 'llmtune\[quantization\]'"
    ):
        quantization_config(bits, transformers.AutoModelForSequenceClassification, transformers.BertConfig())


def test_an_override_that_is_no_value_is_refused():
    arguments = ModelArguments(model_type="bert", config_overrides="classifier_dropout=[1")

    with pytest.raises(InputError, match=r"classifier_dropout=\[1 is not readable as a value"):
        load_model(arguments, TASK, train_texts=lambda: ["see you"])


def test_a_table_that_an_adapter_leaves_as_it_was_drawn_is_named():
    model = torch.nn.ModuleDict({"words": torch.nn.Embedding(10, 4), "positions": torch.nn.Embedding(7, 4)})
    model.config = transformers.BertConfig()

    with pytest.raises(InputError, match=r"has no embeddings for \(<a>\), and in words of bert an adapter would leave"):
        check_new_rows_are_trained(model, ["<a>"], 10)
    check_new_rows_are_trained(model, ["<a>"], 11)


def test_a_tokenizer_that_can_not_fill_up_rows_is_refused():
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0}, unk_token="a")))

    with pytest.raises(InputError, match="its tokenizer has no pad token, expected one that fills up short texts"):
        check_pad_token(tokenizer, "model")
    tokenizer.pad_token = "a"
    check_pad_token(tokenizer, "model")
