"""What an adapter trains, and what merging makes of it."""

import re

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from llmtune.arguments import ModelArguments
from llmtune.errors import InputError
from llmtune.models import checkpoints
from llmtune.models.checkpoints import load_run, merge_run
from llmtune.models.loading import load_model
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.tasks.translation import Translation
from tests.models.test_models import TEXTS, saved_checkpoint

CLASSES = TextClassification(("ham", "spam"), "spam", max_length=32)
TRANSLATION = Translation(24, 8, 8, decoder=True, prompt_template="{source} =>")


def adapted(task, checkpoint, *, dtype="float32", **arguments):
    transformers.set_seed(0)
    arguments = ModelArguments(model_name_or_path=str(checkpoint), use_peft=True, lora_r=2, dtype=dtype, **arguments)
    return load_model(arguments, task, train_texts=lambda: TEXTS)


def saved_run(loaded, folder):
    """A run's folder, its adapter drawn at random so that it does something."""
    generator = torch.Generator().manual_seed(1)
    for name, weights in loaded.model.named_parameters():
        if "lora_B" in name:
            with torch.no_grad():
                weights.copy_(torch.randn(weights.shape, generator=generator) * 0.1)
    loaded.model.save_pretrained(folder)
    loaded.model.get_base_model().config.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("model_type", ["bert", "llama", "distilbert", "modernbert"])
def test_all_linear_means_every_linear_layer_but_the_head(model_type, tmp_path):
    loaded = adapted(CLASSES, saved_checkpoint(tmp_path / "base", model_type), lora_target_modules=["all-linear"])

    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base")
    body = getattr(base, base.base_model_prefix)
    linear = {name for name, module in body.named_modules() if isinstance(module, torch.nn.Linear)}
    prefix = f"base_model.model.{base.base_model_prefix}."
    found = {name.removeprefix(prefix) for name, _ in loaded.model.named_modules()}
    assert {name.removesuffix(".lora_A") for name in found if name.endswith(".lora_A")} == linear


def test_all_linear_stands_alone(tmp_path):
    message = "--lora_target_modules all-linear already covers query; give all-linear alone"
    with pytest.raises(InputError, match=message):
        adapted(CLASSES, saved_checkpoint(tmp_path, "bert"), lora_target_modules=["all-linear", "query"])


@pytest.mark.parametrize("model_type", ["bert", "llama"])
def test_the_embeddings_of_added_tokens_are_trained_and_named_as_new(model_type, tmp_path):
    folder = saved_checkpoint(tmp_path / "base", model_type)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["GOODTOK", "BADTOK"])
    tokenizer.save_pretrained(folder)
    ids = tokenizer.convert_tokens_to_ids(["GOODTOK", "BADTOK"])

    loaded = adapted(CLASSES, folder)
    before = loaded.model.get_input_embeddings()(torch.tensor([*ids, 5])).detach().clone()
    optimizer = torch.optim.SGD([p for p in loaded.model.parameters() if p.requires_grad], lr=1.0)
    batch = loaded.tokenizer(["GOODTOK BADTOK"], return_tensors="pt", return_token_type_ids=False)
    loaded.model(**batch, labels=torch.tensor([1])).loss.backward()
    optimizer.step()
    after = loaded.model.get_input_embeddings()(torch.tensor([*ids, 5])).detach()

    assert [name.lower() for name in loaded.facts.new_weights][-2:] == [
        "embedding of goodtok",
        "embedding of badtok",
    ]
    assert (before[:2] != after[:2]).any(dim=1).all()
    torch.testing.assert_close(before[2], after[2], rtol=0, atol=0)
    saved_run(loaded, tmp_path / "run")
    _, again = load_run(tmp_path / "run", AutoModelForSequenceClassification)
    with torch.no_grad():
        torch.testing.assert_close(again(**batch).logits, loaded.model.eval()(**batch).logits)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_a_run_of_any_dtype_is_merged_in_float32_and_written_in_its_own(dtype, tmp_path):
    folder = saved_checkpoint(tmp_path / "base", "llama", AutoModelForCausalLM)
    AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).save_pretrained(folder)
    run = saved_run(adapted(TRANSLATION, folder, dtype=dtype), tmp_path / "run")

    merge_run(run, tmp_path / "plain", AutoModelForCausalLM)

    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert merged.dtype == getattr(torch, dtype)
    ids = torch.arange(6, 14)[None]
    with torch.no_grad():
        _, model = load_run(run, AutoModelForCausalLM)
        exact, plain = model.float()(input_ids=ids).logits, merged.float()(input_ids=ids).logits
        base = AutoModelForCausalLM.from_pretrained(folder).float()(input_ids=ids).logits
    assert (plain - base).abs().max() > 20 * (plain - exact).abs().max()


def test_an_adapter_on_an_output_layer_that_is_tied_leaves_the_input_embeddings_as_they_were(tmp_path):
    folder = saved_checkpoint(tmp_path / "base", "llama", AutoModelForCausalLM, tie_word_embeddings=True)
    loaded = adapted(TRANSLATION, folder, lora_target_modules=["q_proj", "lm_head"])
    run = saved_run(loaded, tmp_path / "run")

    drift = merge_run(run, tmp_path / "plain", AutoModelForCausalLM)

    assert drift < 1e-4
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert not merged.config.tie_word_embeddings
    before = AutoModelForCausalLM.from_pretrained(folder).get_input_embeddings().weight
    torch.testing.assert_close(merged.get_input_embeddings().weight, before)


def test_merged_weights_that_answer_differently_are_not_left(tmp_path, monkeypatch):
    folder = saved_checkpoint(tmp_path / "base", "llama", AutoModelForCausalLM)
    run = saved_run(adapted(TRANSLATION, folder), tmp_path / "run")
    monkeypatch.setattr(checkpoints, "MOST_ROUNDINGS", -1.0)
    monkeypatch.setattr(checkpoints, "FLOAT32_TOLERANCE", -1.0)

    message = (
        "run: the merged weights, in float32, answer differently: logits up to .* apart, expected .* at most; nothing "
        "was written. Use the run as it is (llmtune evaluate, predict and push read adapters), or train without "
        "--use_peft"
    )
    with pytest.raises(InputError, match=re.escape(message).replace(r"\.\*", ".*")):
        merge_run(run, tmp_path / "plain", AutoModelForCausalLM)
    assert not list(tmp_path.glob("*plain*"))


@pytest.mark.parametrize(
    ("arguments", "method"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"use_rslora": True}, "rsLoRA"),
        ({"use_dora": True, "use_rslora": True}, "rsDoRA"),
    ],
)
def test_variants_of_lora_are_trained_saved_and_merged(arguments, method, tmp_path):
    loaded = adapted(CLASSES, saved_checkpoint(tmp_path / "base", "bert"), **arguments)

    assert loaded.facts.lines()[-1].startswith(f"{method} r 2, alpha 32, dropout 0.05; new weights are trained whole")
    (scale,) = {module.scaling["default"] for module in loaded.model.modules() if hasattr(module, "lora_A")}
    assert scale == pytest.approx(32 / 2**0.5 if "use_rslora" in arguments else 32 / 2)
    assert any("magnitude" in name for name, _ in loaded.model.named_parameters()) == ("use_dora" in arguments)
    run = saved_run(loaded, tmp_path / "run")
    assert merge_run(run, tmp_path / "plain", AutoModelForSequenceClassification) < 1e-4


def test_an_adapter_on_eight_bits_is_saved_and_read_as_it_was(tmp_path):
    pytest.importorskip("bitsandbytes", reason="the extra quantization is not installed")
    loaded = adapted(CLASSES, saved_checkpoint(tmp_path / "base", "bert"), load_in_8bit=True)
    batch = loaded.tokenizer(TEXTS[:2], padding=True, return_tensors="pt")

    run = saved_run(loaded, tmp_path / "run")
    _, again = load_run(run, AutoModelForSequenceClassification)

    assert loaded.facts.weights == "8-bit"
    assert again.base_model.model.is_loaded_in_8bit
    with torch.no_grad():
        torch.testing.assert_close(again(**batch).logits, loaded.model.eval()(**batch).logits)
