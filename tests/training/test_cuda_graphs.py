"""Updates from CUDA graphs: filling up to a size changes nothing. Capture itself needs a GPU (scripts/bench_gpu.py)."""

import contextlib
import types
from typing import Any

import pytest
import torch
import transformers

import tests.training.run_on_processes as rp
from llmtune.data.padding import PaddingCollator
from llmtune.models.padding_free import body_of, install
from llmtune.tasks.losses import ClassificationLoss
from llmtune.tasks.text_windows import WindowCollator, Windows
from llmtune.training.cuda_graphs import ReplayedBody, _without_walks, replayed_updates, rounded_up
from llmtune.training.trainer import FineTuningTrainer

CONFIGS = {
    "bert": {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64},
    "llama": {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64},
}


@pytest.fixture
def without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Graphs become the modules that they are made of; the sizes that were asked for."""
    sizes: list[tuple[int, ...]] = []

    def as_it_is(module: Any, samples: tuple[torch.Tensor, ...], **_: Any) -> Any:
        sizes.append(tuple(samples[0].shape))
        return module

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", as_it_is)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: None)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: None)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    return sizes


@pytest.mark.parametrize("model_type", CONFIGS)
def test_tokens_filled_up_to_a_size_give_the_same_logits_and_gradients(model_type, without_a_gpu):
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        model_type, vocab_size=50, num_hidden_layers=2, pad_token_id=0, **CONFIGS[model_type]
    )
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        setattr(config, name, 0.0)
    model = transformers.AutoModelForSequenceClassification.from_config(config).train()
    assert install(model) is None
    packed = model.base_model.forward
    ids = torch.randint(1, 50, (3, 30))
    mask = (torch.arange(30) < torch.tensor([30, 4, 17])[:, None]).long()

    def seen() -> dict[str, torch.Tensor]:
        model.zero_grad()
        logits = model(input_ids=ids * mask, attention_mask=mask).logits
        logits.square().sum().backward()
        gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
        return {"logits": logits.detach(), **gradients}

    eager = seen()
    packed.compute = ReplayedBody(packed, rows=3, longest=30)
    replayed = [seen() for _ in range(4)][-1]

    assert without_a_gpu == [(1, 64)], "51 tokens; the first two times nothing is made, then it is made once"
    assert eager.keys() == replayed.keys()
    for name, tensor in eager.items():
        torch.testing.assert_close(replayed[name], tensor, rtol=1e-5, atol=1e-6, msg=name)


def test_sizes_waste_at_most_an_eighth_above_small_ones():
    assert [rounded_up(tokens) for tokens in (1, 64, 65, 1000, 1025, 8193)] == [64, 64, 128, 1024, 1152, 9216]
    for tokens in range(512, 5000, 7):
        assert tokens <= rounded_up(tokens) < tokens * 1.125


def test_the_methods_of_a_model_are_its_own_again_after_training():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout())
    model(torch.ones(1, 2)).sum().backward()

    with _without_walks(model):
        model.eval()
        assert not model[1].training
        model.train()
        assert model[1].training
        assert [weight.shape for weight in model.parameters()] == [(2, 2), (2,)]
        model.zero_grad()
        assert model[0].weight.grad is None

    for name in ("train", "zero_grad", "parameters"):
        assert isinstance(getattr(model, name), types.MethodType)


def test_the_trainer_asks_for_nothing_that_a_graph_cannot_give(without_a_gpu, tmp_path):
    trainer = FineTuningTrainer(
        model=rp.tiny_model("bert", lora=False),
        args=rp.arguments(tmp_path, per_device_train_batch_size=4, num_train_epochs=2),
        train_dataset=rp.rows(21),
        data_collator=PaddingCollator(rp.tiny_tokenizer()),
        compute_loss_func=ClassificationLoss(),
    )
    packed = body_of(trainer.model).forward
    packed.compute = ReplayedBody(packed, rows=4, longest=16)

    trainer.train()

    assert without_a_gpu, "a graph was made in training"


@pytest.mark.parametrize("in_windows", [False, True])
def test_windows_that_are_computed_anew_are_not_replayed_over_each_other(in_windows, without_a_gpu):
    model = rp.tiny_model("bert", lora=False)
    assert install(model) is None
    packed, tokenizer = body_of(model).forward, rp.tiny_tokenizer()
    args = types.SimpleNamespace(
        cuda_graphs=True, device=torch.device("cuda"), world_size=1, precision="bf16", gradient_accumulation_steps=1,
        activation_checkpointing=False, per_device_train_batch_size=4,
    )  # fmt: skip
    trainer = types.SimpleNamespace(
        args=args,
        model=model,
        is_padding_free=True,
        train_dataset=rp.rows_of_windows(5) if in_windows else rp.rows(5),
        data_collator=WindowCollator(tokenizer, Windows(2, "mean")) if in_windows else PaddingCollator(tokenizer),
    )

    with replayed_updates(trainer):
        assert isinstance(packed.compute, ReplayedBody) != in_windows
