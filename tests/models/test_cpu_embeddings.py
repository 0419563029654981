"""Gradients of embedding tables that are kept between updates: torch's own, whatever was read before."""

import contextlib
import copy
from types import SimpleNamespace

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtune.models.cpu_embeddings import KeptGradientEmbedding, install, kept_gradients


def trainer_of(model, **arguments):
    optim = transformers.training_args.OptimizerNames("adamw_torch_fused")
    plain = {"device": torch.device("cpu"), "world_size": 1, "torch_compile": False, "optim": optim}
    return SimpleNamespace(model=model, args=SimpleNamespace(**plain | arguments))


def two_alike(padding_id=None):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(12, 3, padding_idx=padding_id), torch.nn.Linear(3, 2))
    other = copy.deepcopy(model)
    install(trainer_of(model))
    assert type(model[0]) is KeptGradientEmbedding
    return model, other


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=9), min_size=1, max_size=3), max_size=5),
    st.sampled_from([None, 0, 11]),
)
def test_updates_are_those_of_torch(updates, padding_id):
    models = two_alike(padding_id)
    optimizers = [torch.optim.AdamW(model.parameters(), lr=0.1, fused=True) for model in models]
    for parts in updates:
        for model in models:
            for ids in parts:
                model(torch.tensor([ids])).square().sum().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        kept, plain = (model[0].weight.grad for model in models)
        torch.testing.assert_close(kept, plain)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    for mine, torchs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(mine, torchs)


def test_the_table_stays_where_it_is_and_only_rows_that_were_read_are_not_zero():
    model, _ = two_alike()
    places = set()
    for ids in ([1, 2, 2], [5], [7, 1]):
        model(torch.tensor(ids)).sum().backward()
        assert sorted(set(ids)) == model[0].weight.grad.abs().sum(dim=1).nonzero()[:, 0].tolist()
        places.add(model[0].weight.grad.data_ptr())
        model.zero_grad()
    assert len(places) == 1
    assert model.state_dict().keys() == {"0.weight", "1.weight", "1.bias"}


def test_a_norm_that_is_no_number_spoils_one_update_alone():
    model, other = two_alike()
    for each in (model, other):
        (each(torch.tensor([3])).sum() * float("nan")).backward()
        torch.nn.utils.clip_grad_norm_(each.parameters(), 1.0)
        each.zero_grad()
        each(torch.tensor([4])).sum().backward()
    assert model[0].weight.grad.isfinite().all()
    torch.testing.assert_close(model[0].weight.grad, other[0].weight.grad)


def test_who_hooks_the_gradient_gets_torchs():
    model, _ = two_alike()
    seen = []
    model[0].weight.register_post_accumulate_grad_hook(lambda weight: seen.append(weight.grad.clone()))
    model(torch.tensor([3])).sum().backward()
    assert seen[0].shape == (12, 3)


def test_without_gradients_it_is_a_table():
    model, other = two_alike()
    with torch.no_grad():
        assert torch.equal(model(torch.tensor([3])), other(torch.tensor([3])))
    model[0].weight.requires_grad_(False)
    assert not model[0](torch.tensor([3])).requires_grad


@pytest.mark.parametrize(
    "arguments",
    [{"world_size": 2}, {"torch_compile": True}, {"optim": "sgd"}, {"device": torch.device("meta")}],
    ids=str,
)
def test_where_others_look_at_gradients_torchs_stay(arguments):
    model = torch.nn.Sequential(torch.nn.Embedding(4, 2))
    install(trainer_of(model, **arguments))
    assert type(model[0]) is torch.nn.Embedding


def test_a_table_that_a_head_shares_stays_torchs():
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.LlamaConfig(vocab_size=16, tie_word_embeddings=True, num_key_value_heads=2, **sizes)
    model = transformers.LlamaForCausalLM(config)
    install(trainer_of(model))
    assert type(model.model.embed_tokens) is torch.nn.Embedding
    encoder = transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=16, **sizes))
    install(trainer_of(encoder))
    names = {name for name, module in encoder.named_modules() if type(module) is KeptGradientEmbedding}
    assert {name.rpartition(".")[2] for name in names} == {
        "word_embeddings", "position_embeddings", "token_type_embeddings"
    }  # fmt: skip


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_activation_checkpointing_loses_no_gradient_of_a_table_inside_a_layer(use_reentrant):
    """T5's biases of positions are read in its first layer."""
    config = transformers.T5Config(
        vocab_size=30,
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=2,
        num_heads=2,
        dropout_rate=0.0,
        decoder_start_token_id=0,
    )
    torch.manual_seed(0)
    model = transformers.T5ForConditionalGeneration(config).train()
    model.gradient_checkpointing_enable({"use_reentrant": use_reentrant})
    ids = torch.arange(12).view(2, 6)
    gradients = []
    for keeps in (False, True):
        model.zero_grad()
        with kept_gradients(trainer_of(model)) if keeps else contextlib.nullcontext():
            model(input_ids=ids, labels=ids).loss.backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters() if "bias" in name})

    assert gradients[0]
    torch.testing.assert_close(gradients[1], gradients[0])


def test_it_ends_with_training(tmp_path):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=16, **sizes))
    args = transformers.TrainingArguments(str(tmp_path), use_cpu=True)
    words = model.bert.embeddings.word_embeddings
    with kept_gradients(SimpleNamespace(model=model, args=args)):
        assert type(words) is KeptGradientEmbedding
        model(input_ids=torch.tensor([[3, 4]]), labels=torch.tensor([1])).loss.backward()
    assert type(words) is torch.nn.Embedding
    assert "gradient_table" not in words.__dict__
    assert words.weight.grad[3].abs().sum() > 0
