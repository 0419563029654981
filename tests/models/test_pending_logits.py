"""Logits that are left pending give the loss, gradients and likelihoods of whole ones, of every family that writes."""

from typing import Any

import accelerate
import peft
import pytest
import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from llmtune.metrics.perplexity import row_likelihoods
from llmtune.models import decoder
from llmtune.models.pending_logits import PendingLogits, can_leave_logits_pending, pending_logits
from llmtune.tasks import linear_cross_entropy
from llmtune.tasks.losses import TokenCrossEntropy
from tests.training.write_on_processes import SIZES, tiny, trainer_of

WORDS = 300
BENDS_ITS_LOGITS = "gemma2"
DECODERS = [model_type for model_type in decoder.MODEL_TYPES if model_type != BENDS_ITS_LOGITS]
PAIRS = [model_type for model_type in SIZES if model_type != "llama"]


def language_model(model_type: str = "llama") -> Any:
    config = transformers.AutoConfig.for_model(
        model_type, vocab_size=WORDS, pad_token_id=1, **decoder.SMALL[model_type]
    )
    transformers.set_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def batch(model: Any) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Ids and labels (3, 9); of the first row the end is not learned, of the last one nothing."""
    ids = torch.randint(4, WORDS, (3, 9), generator=torch.Generator().manual_seed(1))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    labels = ids.clone()
    labels[0, 5:] = labels[2] = -100
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids.roll(1, dims=1)
    return inputs, labels


def seen(model: Any, smoothing: float, *, pending: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
    """Loss, gradients and nats of each row."""
    inputs, labels = batch(model)
    loss_of = TokenCrossEntropy(not model.config.is_encoder_decoder, smoothing)
    model.zero_grad()
    outputs = model(**inputs)
    if pending:
        with pending_logits(model):
            outputs = model(**inputs)
        assert isinstance(outputs["logits"], PendingLogits)
    loss = loss_of(outputs, labels)
    loss.backward()
    gradients = {name: part.grad.clone() for name, part in model.named_parameters() if part.grad is not None}
    with torch.no_grad():
        return loss.detach(), gradients, loss_of.nats(outputs, labels)


@pytest.fixture
def small_pieces(monkeypatch):
    """Several a batch."""
    monkeypatch.setattr(linear_cross_entropy, "SMALL_PIECE", 4 * WORDS * 4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("model_type", [*DECODERS, *PAIRS])
def test_loss_gradients_and_nats_are_those_of_whole_logits(model_type, smoothing, small_pieces):
    model = tiny(model_type)[0].eval() if model_type in PAIRS else language_model(model_type)
    bias = getattr(model, "final_logits_bias", None)
    if bias is not None:
        bias.normal_()  # Marian's; new models have zeros

    assert can_leave_logits_pending(model)

    (whole, slopes, nats), (loss, ours, our_nats) = (seen(model, smoothing, pending=p) for p in (False, True))
    torch.testing.assert_close(loss, whole, rtol=1e-6, atol=0)
    torch.testing.assert_close(our_nats, nats, rtol=1e-5, atol=0)
    assert our_nats[2] == 0
    assert ours.keys() == slopes.keys()
    largest = max(slope.abs().max() for slope in slopes.values())
    for name, slope in slopes.items():
        assert (ours[name] - slope).abs().max() <= 1e-5 * largest, name


def test_likelihoods_and_hits_of_rows_are_those_of_whole_logits():
    model = language_model()
    inputs, labels = batch(model)
    with torch.no_grad():
        whole = model(**inputs).logits
        labels[1, 1:4] = whole[1, :3].argmax(-1)  # some hits
        with pending_logits(model):
            pending = model(**inputs).logits

    for tokens_at_once in (1, 5, None):
        ours = row_likelihoods(pending, labels, tokens_at_once=tokens_at_once)
        torch.testing.assert_close(ours, row_likelihoods(whole, labels), rtol=1e-6, atol=0)
    assert ours[:, 1].tolist() == [4, 8, 0]
    assert ours[1, 2] >= 3


def lora(**options: Any) -> Any:
    return peft.get_peft_model(language_model(), peft.LoraConfig(task_type="CAUSAL_LM", **options))


def with_a_hook() -> Any:
    model = language_model()
    accelerate.hooks.add_hook_to_module(model.lm_head, accelerate.hooks.AlignDevicesHook(execution_device="cpu"))
    return model


@pytest.mark.parametrize(
    ("made", "can"),
    [
        pytest.param(lambda: lora(target_modules=["q_proj"]), True, id="LoRA of the body"),
        pytest.param(lambda: lora(target_modules=["q_proj", "lm_head"]), False, id="LoRA of the head"),
        pytest.param(
            lambda: lora(target_modules=["q_proj"], modules_to_save=["lm_head"]), False, id="a head of the adapter"
        ),
        pytest.param(lambda: language_model(BENDS_ITS_LOGITS), False, id="soft-capped"),
        pytest.param(with_a_hook, False, id="a hook of accelerate"),
    ],
)
def test_what_is_more_than_a_projection_keeps_its_logits(made, can):
    model = made()
    inputs, _ = batch(model)
    before = model(**inputs)["logits"]

    assert can_leave_logits_pending(model) is can

    assert torch.equal(model(**inputs)["logits"], before), "the head is as it was"


def test_a_hook_of_accelerate_is_still_there_after_the_probe():
    model = with_a_hook()

    can_leave_logits_pending(model)

    assert "forward" in vars(model.lm_head)


class LargestFloat32(TorchDispatchMode):
    """Keeps the numbers in the largest float32 tensor that any operation gave."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for part in tree_leaves(made):
            if torch.is_tensor(part) and part.dtype == torch.float32:
                self.numel = max(self.numel, part.numel())
        return made


@pytest.mark.parametrize("pending", [True, False])
@pytest.mark.parametrize("model_type", ["llama", "t5", "marian", "bert"])
def test_no_step_makes_logits_of_all_tokens(model_type, pending, tmp_path, small_pieces):
    trainer = trainer_of(model_type, tmp_path, 64, per_device_train_batch_size=64)
    assert trainer.leaves_logits_pending
    trainer.leaves_logits_pending = pending
    inputs = trainer.data_collator([trainer.train_dataset[row] for row in range(64)])
    words = trainer.model.get_output_embeddings().weight.shape[0]
    labels = inputs["labels"][:, 1:] if model_type == "llama" else inputs["labels"]
    learned = int((labels != -100).sum()) * words
    trainer.create_optimizer()

    with LargestFloat32() as training:
        trainer.training_step(trainer.model, dict(inputs), labels.numel())
    with LargestFloat32() as evaluation:
        trainer.writes = False
        trainer.prediction_step(trainer.model, dict(inputs), prediction_loss_only=False)

    # Those of the tokens to learn alone are fewer than all of them; whole logits show that the measure sees them.
    assert (training.numel < learned) is pending
    assert (evaluation.numel < learned) is pending
