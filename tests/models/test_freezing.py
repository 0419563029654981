"""`--freeze_layers`: which weights stay the checkpoint's."""

import re

import pytest
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AutoTokenizer,
    T5Config,
    T5ForConditionalGeneration,
)

from llmtune.arguments import ModelArguments
from llmtune.errors import InputError
from llmtune.models.freezing import freeze_layers
from llmtune.models.loading import load_model
from llmtune.tasks.text_classification.task import TextClassification
from tests.models.test_models import TEXTS, saved_checkpoint

CLASSES = TextClassification(("ham", "spam"), "spam", max_length=32)


def frozen(checkpoint, layers):
    arguments = ModelArguments(model_name_or_path=str(checkpoint), freeze_layers=layers)
    return load_model(arguments, CLASSES, train_texts=lambda: TEXTS)


@pytest.mark.parametrize(
    "model_type",
    ["bert", "roberta", "distilbert", "modernbert", "electra", "rembert", "longformer", "llama", "gpt2", "gpt_neox"],
)
def test_the_embeddings_and_the_first_layers_are_not_trained(model_type, tmp_path):
    folder = saved_checkpoint(tmp_path, model_type)
    none, first = frozen(folder, 0), frozen(folder, 1)

    trained = [{name for name, p in one.model.named_parameters() if p.requires_grad} for one in (none, first)]
    every = {name for name, _ in none.model.named_parameters()}
    assert every - trained[0]
    assert all(re.search("embed|tok|wte|wpe", name) for name in every - trained[0])
    assert trained[0] - trained[1]
    assert all(".0." in name for name in trained[0] - trained[1])
    assert any("classifier" in name or "score" in name for name in trained[1])
    assert first.facts.trainable_parameters < none.facts.trainable_parameters < none.facts.parameters
    assert "frozen: the embeddings and the first 1 layers" in first.facts.lines()


def test_more_layers_than_there_are_is_refused(tmp_path):
    with pytest.raises(InputError, match="--freeze_layers 9: bert has 1 layers; give at most those"):
        frozen(saved_checkpoint(tmp_path, "bert"), 9)


def test_layers_that_share_their_weights_are_refused():
    model = AlbertForSequenceClassification(
        AlbertConfig(vocab_size=30, embedding_size=8, hidden_size=8, num_hidden_layers=3, num_attention_heads=2)
    )

    with pytest.raises(InputError, match="--freeze_layers 1: the 3 layers of albert share their weights; leave it out"):
        freeze_layers(model, 1)


def test_an_encoder_with_a_decoder_is_refused():
    model = T5ForConditionalGeneration(T5Config(vocab_size=30, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2))

    with pytest.raises(InputError, match="t5 has the layers of an encoder and of a decoder; leave it out"):
        freeze_layers(model, 1)


def test_new_tokens_are_not_frozen_as_they_were_drawn(tmp_path):
    folder = saved_checkpoint(tmp_path, "bert")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["GOODTOK"])
    tokenizer.save_pretrained(folder)

    with pytest.raises(InputError, match="and frozen they would stay as drawn; leave it out"):
        frozen(folder, 0)
