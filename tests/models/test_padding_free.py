"""Without padding a model gives what it gives with it: logits, loss, gradients, of every family and head."""

import copy
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForQuestionAnswering, AutoModelForSequenceClassification
from transformers import AutoModelForTokenClassification as Tokens

from llmtune.arguments import TrainingArguments
from llmtune.models import decoder, encoder, padding_free, row_attention
from llmtune.models.cpu_attention import cpu_attention
from llmtune.models.lstm.configuration import LstmConfig
from llmtune.models.lstm.text import LstmForSequenceClassification
from llmtune.models.padding_free import PaddingFreeBody, body_of, install
from llmtune.models.row_attention import TokenRows

WORDS = 300
LENGTHS = (20, 3, 11, 10, 1)
HEADS = {
    encoder: (AutoModelForSequenceClassification, Tokens, AutoModelForQuestionAnswering),
    decoder: (AutoModelForSequenceClassification, Tokens, AutoModelForCausalLM),
}
WITHOUT_HEAD = {("eurobert", AutoModelForQuestionAnswering), ("gemma3_text", Tokens)}
NARROW = {"mistral": {"sliding_window": 5}, "modernbert": {"local_attention": 8}, "gemma3_text": {"sliding_window": 5}}


def model_of(model_type: str, auto: Any = AutoModelForSequenceClassification, **options: Any) -> Any:
    family = encoder if model_type in encoder.MODEL_TYPES else decoder
    sizes = {**family.SMALL[model_type], **NARROW.get(model_type, {}), **options}
    config = transformers.AutoConfig.for_model(model_type, vocab_size=WORDS, pad_token_id=1, **sizes)
    transformers.set_seed(0)
    return auto.from_config(config, dtype=torch.float32).eval()


def batch() -> dict[str, torch.Tensor]:
    mask = (torch.arange(20) < torch.tensor(LENGTHS)[:, None]).long()
    ids = torch.randint(2, WORDS, (5, 20), generator=torch.Generator().manual_seed(1))
    return {"input_ids": torch.where(mask.bool(), ids, 1), "attention_mask": mask}


def seen(model: Any, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """Outputs at real tokens, a loss of them all, and the norm of its gradient."""
    model.zero_grad()
    mask = batch()["attention_mask"]
    outputs = [part for part in model(**inputs).values() if torch.is_tensor(part) and part.is_floating_point()]
    outputs = [part[mask.bool()] if part.shape[:2] == mask.shape else part for part in outputs]
    loss = sum(part.square().sum() for part in outputs)
    loss.backward()
    norms = [weight.grad.double().square().sum() for weight in model.parameters() if weight.grad is not None]
    return [*(part.detach() for part in outputs), loss.detach(), torch.stack(norms).sum().sqrt()]


CELLS = [
    (model_type, auto)
    for family, autos in HEADS.items()
    for model_type in padding_free.MODEL_TYPES
    if model_type in family.MODEL_TYPES
    for auto in autos
    if (model_type, auto) not in WITHOUT_HEAD
]


@pytest.mark.parametrize(("model_type", "auto"), CELLS, ids=lambda value: getattr(value, "__name__", value))
def test_outputs_loss_and_gradient_norm_are_those_with_padding(model_type, auto):
    model = model_of(model_type, auto)
    padded = seen(model, batch())

    assert install(model) is None

    for ours, with_padding in zip(seen(model, batch()), padded, strict=True):
        assert (ours - with_padding).abs().max() <= 1e-5 * with_padding.abs().max()


def test_every_family_that_can_is_in_the_list():
    torchs = set()
    for family in (encoder, decoder):
        for model_type in family.MODEL_TYPES:
            if model_of(model_type).config._attn_implementation == "sdpa":
                torchs.add(model_type)

    assert torchs == set(padding_free.MODEL_TYPES)


def test_the_linear_layers_see_real_tokens_alone(monkeypatch):
    model = model_of("bert")
    assert install(model) is None
    widths = []
    model.bert.encoder.layer[0].intermediate.dense.register_forward_hook(
        lambda module, inputs, output: widths.append(tuple(inputs[0].shape[:2]))
    )

    model(**batch())

    assert widths == [(1, sum(LENGTHS))]


@pytest.mark.parametrize("model_type", ["bert", "llama"])
def test_what_is_computed_again_in_the_backward_pass_keeps_to_the_rows_too(model_type):
    model = model_of(model_type)
    assert install(model) is None
    once = seen(model, batch())

    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    again = seen(model, batch())

    for ours, plain in zip(again, once, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)


def test_windows_packed_into_rows_stay_apart():
    model = model_of("llama", AutoModelForCausalLM)
    ids = torch.randint(2, WORDS, (2, 12), generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([[*range(5), *range(7)], [*range(8), *range(4)]])
    alone = [model(input_ids=part[None]).logits[0] for part in (ids[0, :5], ids[0, 5:], ids[1, :8], ids[1, 8:])]

    assert install(model) is None

    packed = model(input_ids=ids, position_ids=positions, use_cache=False).logits.flatten(0, 1)
    torch.testing.assert_close(packed, torch.cat(alone), rtol=1e-5, atol=1e-5)


def test_padding_on_the_left_is_left_out_as_well():
    model = model_of("bert", Tokens)
    assert install(model) is None
    inputs = batch()
    right = model(**inputs).logits[inputs["attention_mask"].bool()]

    mask = inputs["attention_mask"].flip(1)
    ids = torch.ones_like(mask)
    ids[mask.bool()] = inputs["input_ids"][inputs["attention_mask"].bool()]

    left = model(input_ids=ids, attention_mask=mask).logits[mask.bool()]
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)


def test_a_model_whose_new_tokens_alone_are_trained_under_lora_leaves_it_out_too():
    options = {"r": 2, "target_modules": ["query"], "trainable_token_indices": [5, 6], "task_type": "SEQ_CLS"}
    model = peft.get_peft_model(model_of("bert"), peft.LoraConfig(**options)).eval()
    padded = model(**batch()).logits

    assert install(model) is None

    torch.testing.assert_close(model(**batch()).logits, padded, rtol=1e-5, atol=1e-6)


def test_a_model_writes_as_it_did():
    model = model_of("llama", AutoModelForCausalLM)
    inputs = {name: value[:2] for name, value in batch().items()}
    before = model.generate(**inputs, max_new_tokens=6, do_sample=False)

    assert install(model) is None

    assert torch.equal(model.generate(**inputs, max_new_tokens=6, do_sample=False), before)


def test_a_saved_model_says_nothing_of_it(tmp_path):
    model = model_of("bert")
    assert install(model) is None

    model.save_pretrained(tmp_path)

    assert "padding_free" not in (Path(tmp_path) / "config.json").read_text()
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert loaded.config._attn_implementation == "sdpa"
    torch.testing.assert_close(loaded(**batch()).logits, model(**batch()).logits, rtol=1e-5, atol=1e-6)


def test_a_second_model_of_the_same_config_is_asked_too():
    config = model_of("bert").config
    first, second = (AutoModelForSequenceClassification.from_config(config) for _ in range(2))

    assert install(first) is None
    assert install(second) is None

    assert all(isinstance(body_of(model).forward, PaddingFreeBody) for model in (first, second))


def test_a_copy_computes_with_its_own_weights():
    model = model_of("bert")
    assert install(model) is None
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.zero_()

    assert twin(**batch()).logits.abs().max() == 0
    assert model(**batch()).logits.abs().max() > 0


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: model_of("deberta-v2"), "deberta-v2 computes padding too"),
        (lambda: model_of("bert", attn_implementation="eager"), "attention eager computes padding too"),
        (
            lambda: LstmForSequenceClassification(LstmConfig(vocab_size=9, hidden_size=8, embedding_size=4)),
            "lstm computes padding too",
        ),
        (lambda: torch.nn.Linear(2, 2), "Linear computes padding too"),
    ],
)
def test_a_model_that_cannot_keeps_its_way_and_says_why(made, reason):
    model = made()
    forward = getattr(body_of(model), "forward", None)

    assert install(model) == reason

    assert getattr(body_of(model), "forward", None) == forward


def test_a_model_whose_rows_would_mix_is_noticed_and_left_as_it_was(monkeypatch):
    model = model_of("bert")
    padded = model(**batch()).logits
    plain = TokenRows.attend

    def mixed(self: TokenRows, *parts: torch.Tensor, **options: Any) -> torch.Tensor:
        whole = TokenRows(torch.tensor([0, self.count], dtype=torch.int32), self.count, self.count)
        return plain(whole, *parts, **options)

    monkeypatch.setattr(TokenRows, "attend", mixed)

    assert install(model) == "without padding this model's states were others, in a trial"
    assert torch.equal(model(**batch()).logits, padded)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("model_type", padding_free.MODEL_TYPES)
def test_under_autocast_each_family_trains_in_bfloat16_alone(model_type, monkeypatch):
    """Rotary positions leave queries and keys in float32, beside values in bfloat16."""
    config = model_of(model_type).config
    names = ("attention_dropout", "attention_probs_dropout_prob", "attn_pdrop")
    dropouts = {name: 0.1 for name in names if hasattr(config, name)}  # no family has two
    assert len(dropouts) == 1
    model = model_of(model_type, **dropouts)
    expected = seen(model, batch())[0]
    assert install(model) is None
    found = []

    def observed(parts: Any, *rest: Any, **options: Any) -> Any:
        found.append(({part.dtype for part in parts}, options["dropout"]))
        return cpu_attention(parts, *rest, **options)

    monkeypatch.setattr(row_attention, "cpu_attention", observed)
    with torch.autocast("cpu", torch.bfloat16):
        logits = seen(model, batch())[0]
        norm = seen(model.train(), batch())[-1]

    assert (logits - expected).abs().max() <= 0.05 * expected.abs().max()
    assert norm.isfinite()
    assert norm > 0
    assert {dropout for _, dropout in found} == {0.0, 0.1}
    assert all(dtypes == {torch.bfloat16} for dtypes, _ in found)


def test_attention_dropout_drops_as_many_weights_with_and_without_padding():
    model = model_of("bert", attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0).train()
    inputs = {name: value.repeat(200, 1) for name, value in batch().items()}
    with torch.no_grad():
        padded = model(**inputs).logits.unflatten(0, (200, 5))
        assert install(model) is None
        free = model(**inputs).logits.unflatten(0, (200, 5))

    assert padded.std(0).min() > 0
    torch.testing.assert_close(free.std(0), padded.std(0), rtol=0.25, atol=0)
    error = padded.std(0) * (2 / 200) ** 0.5
    assert ((free.mean(0) - padded.mean(0)).abs() < 4.5 * error).all()


@pytest.mark.parametrize(
    ("options", "gpus", "reason"),
    [
        ({}, 1, None),
        ({"padding_free": False}, 1, "--padding_free False"),
        ({"torch_compile": True}, 1, "--torch_compile takes shapes that come again"),
        ({}, 2, "several GPUs share one process; start one on each (accelerate launch)"),
    ],
)
def test_arguments_say_why_padding_is_computed(options, gpus, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(TrainingArguments, "n_gpu", gpus)

    assert TrainingArguments(str(tmp_path), use_cpu=True, **options).why_padded == reason
