"""Every family from scratch and from a checkpoint: trained, saved, loaded again, with and without LoRA."""

import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from llmtune.arguments import ModelArguments, TrainingArguments
from llmtune.errors import InputError
from llmtune.models import decoder, encoder
from llmtune.models.auto_generation import AutoModelForGeneration
from llmtune.models.checkpoints import load_run, save_weights
from llmtune.models.config_overrides import read_overrides
from llmtune.models.families import family_of
from llmtune.models.from_scratch import train_tokenizer
from llmtune.models.head_labels import align_head
from llmtune.models.loading import load_model
from llmtune.tasks.losses import ClassificationLoss
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.tasks.translation import Translation
from llmtune.training.trainer import FineTuningTrainer

TASK = TextClassification(("ham", "spam"), "spam", max_length=64)
TEXTS = [f"{'win cash' if i % 2 else 'see you'} {i} {'again ' * (i % 5)}" for i in range(16)]
DISTILBERT = "dim=32,n_layers=1,n_heads=2,hidden_dim=48"
COMMON = "hidden_size=32,num_hidden_layers=1,num_attention_heads=2,intermediate_size=48"
OVERRIDES = {
    **dict.fromkeys(encoder.MODEL_TYPES, COMMON),
    "distilbert": DISTILBERT,
    "longformer": f"{COMMON},attention_window=8",
    "rembert": f"{COMMON},input_embedding_size=16",
    "eurobert": f"{COMMON},num_key_value_heads=1",
    **dict.fromkeys(decoder.MODEL_TYPES, f"{COMMON},num_key_value_heads=1"),
    **dict.fromkeys(("gemma2", "gemma3_text"), f"{COMMON},num_key_value_heads=1,sliding_window=4"),
    "gpt2": "n_embd=32,n_layer=1,n_head=2,n_inner=48",
    "gpt_neox": COMMON,
    "lstm": "hidden_size=24,embedding_size=16,attention_size=8",
}
SIDE = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}
ADAPTED_TYPES = [*encoder.MODEL_TYPES, *decoder.MODEL_TYPES]
MODEL_TYPES = [*ADAPTED_TYPES, "lstm"]


def load(task: Any = TASK, **arguments: Any) -> Any:
    transformers.set_seed(0)
    if "model_type" in arguments:
        arguments = {"config_overrides": OVERRIDES.get(arguments["model_type"]), **arguments}
    return load_model(ModelArguments(**arguments), task, train_texts=lambda: TEXTS)


def logits(model: Any, tokenizer: Any) -> np.ndarray:
    # One at a time and together: padding must change nothing.
    with torch.no_grad():
        inputs = tokenizer(TEXTS[:6], padding=True, return_tensors="pt", return_token_type_ids=False)
        return model.eval()(**inputs).logits.float().numpy()


def train(loaded: Any, folder: Path, *, steps: int = 2, **options: Any) -> FineTuningTrainer:
    rows = datasets.Dataset.from_dict({"text": TEXTS, "label": ["ham", "spam"] * 8})
    tokens = TASK.encode(rows, loaded.tokenizer).dataset
    defaults = {
        "precision": "fp32",
        "use_cpu": True,
        "learning_rate": 1e-2,
        "eval_strategy": "no",
        "save_strategy": "no",
    }
    trainer = FineTuningTrainer(
        model=loaded.model,
        args=TrainingArguments(str(folder), max_steps=steps, **{**defaults, **options}),
        train_dataset=tokens,
        processing_class=loaded.tokenizer,
        data_collator=TASK.data_collator(loaded.tokenizer),
        compute_loss_func=ClassificationLoss(),
    )
    trainer.train()
    return trainer


def saved_checkpoint(folder: Path, model_type: str, head: Any = None, **config: Any) -> Path:
    """A checkpoint as plain transformers writes it."""
    tokenizer = train_tokenizer(model_type, TEXTS, 300, 64)
    transformers.set_seed(1)
    sizes = {key: int(value) for key, value in (part.split("=") for part in OVERRIDES[model_type].split(","))}
    made = transformers.AutoConfig.for_model(
        model_type, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **sizes, **config
    )
    (head or transformers.AutoModelForSequenceClassification).from_config(made).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("model_type", "lora"), [*((name, False) for name in MODEL_TYPES), *((name, True) for name in ADAPTED_TYPES)]
)
def test_every_family_trains_from_scratch_and_loads_again(model_type, lora, tmp_path):
    loaded = load(model_type=model_type, use_peft=lora, lora_r=2)
    before = {name: parameter.detach().clone() for name, parameter in loaded.model.named_parameters()}

    trainer = train(loaded, tmp_path / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # peft's, where it finds no base
        save_weights(trainer, keep_base=True)

    moved = {name for name, parameter in loaded.model.named_parameters() if not torch.equal(parameter, before[name])}
    trainable = {name for name, parameter in loaded.model.named_parameters() if parameter.requires_grad}
    # The last layer of a Longformer is read at its first token alone, which attends by projections of its own.
    idle = {
        name for name in trainable if model_type == "longformer" and re.search(r"\.self\.(query|key|value)\.", name)
    }
    assert moved == trainable - idle
    assert bool(trainable == set(before)) != lora
    assert loaded.model.config.pad_token_id == loaded.tokenizer.pad_token_id is not None
    assert loaded.tokenizer.padding_side == "right"
    if lora:
        assert any("lora_B" in name for name in moved)
        assert any("modules_to_save" in name for name in moved), "the head"
    expected = logits(loaded.model, loaded.tokenizer)
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    tokenizer, model = load_run(tmp_path / "elsewhere", TASK.auto_model)
    # Not equal to the bit: where a vector lies in memory changes the last digit of its products.
    np.testing.assert_allclose(logits(model, tokenizer), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_padding_does_not_change_a_rows_logits(model_type):
    loaded = load(model_type=model_type)

    together = logits(loaded.model, loaded.tokenizer)

    with torch.no_grad():
        for row, text in enumerate(TEXTS[:6]):
            inputs = loaded.tokenizer(text, return_tensors="pt", return_token_type_ids=False)
            np.testing.assert_allclose(loaded.model(**inputs).logits.numpy()[0], together[row], atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("model_type", ["bert", "llama"])
def test_lora_on_a_checkpoint_keeps_the_base_where_it_is_and_loads_with_the_same_logits(model_type, dtype, tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", model_type)
    halved = {name: tensor.to(dtype) for name, tensor in load_file(checkpoint / "model.safetensors").items()}
    save_file(halved, checkpoint / "model.safetensors", metadata={"format": "pt"})
    loaded = load(model_name_or_path=str(checkpoint), use_peft=True, lora_r=2)

    trainer = train(loaded, tmp_path / "run")
    save_weights(trainer, keep_base=False)

    assert not (tmp_path / "run" / "base_model").exists()
    with pytest.raises(InputError, match="run: holds a LoRA adapter, not whole weights; make them with `llmtune merge"):
        load(model_name_or_path=str(tmp_path / "run"))
    tokenizer, model = load_run(tmp_path / "run", TASK.auto_model)
    np.testing.assert_allclose(logits(model, tokenizer), logits(loaded.model, loaded.tokenizer), atol=1e-6)


def test_lora_trains_and_keeps_a_pooler_that_the_checkpoint_lacks(tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", "bert", transformers.AutoModelForMaskedLM)
    loaded = load(model_name_or_path=str(checkpoint), use_peft=True, lora_r=2)
    assert any("pooler" in key for key in loaded.facts.new_weights)

    trainer = train(loaded, tmp_path / "run")
    save_weights(trainer, keep_base=False)

    transformers.set_seed(7)  # a pooler drawn anew changes logits by 0.08
    tokenizer, model = load_run(tmp_path / "run", TASK.auto_model)
    np.testing.assert_allclose(logits(model, tokenizer), logits(loaded.model, loaded.tokenizer), atol=1e-6)


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("unknown", [True, False], ids=["with <unk>", "without <unk>"])
def test_a_llama_without_pad_token_gets_one(unknown, lora, tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", "llama", transformers.AutoModelForCausalLM)
    words = train_tokenizer("llama", TEXTS, 300, 64).backend_tokenizer
    bare = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", **({"unk_token": "<unk>"} if unknown else {})
    )
    if not unknown:  # the vocabulary has none of the reserved names either
        state = words.to_str().replace('"<pad>"', '"<0>"').replace('"<unk>"', '"<1>"').replace('"<mask>"', '"<2>"')
        bare = transformers.PreTrainedTokenizerFast(
            tokenizer_object=type(words).from_str(state), bos_token="<s>", eos_token="</s>"
        )
    bare.save_pretrained(checkpoint)
    config = transformers.AutoConfig.from_pretrained(checkpoint)
    config.pad_token_id = None
    config.save_pretrained(checkpoint)

    loaded = load(model_name_or_path=str(checkpoint), use_peft=lora, lora_r=2)
    save_weights(train(loaded, tmp_path / "run"), keep_base=False)

    assert loaded.model.config.pad_token_id == loaded.tokenizer.pad_token_id
    assert loaded.tokenizer.pad_token not in ("<s>", "</s>")
    assert loaded.facts.new_weights == ("score.weight",)
    tokenizer, model = load_run(tmp_path / "run", TASK.auto_model)
    assert tokenizer.pad_token == loaded.tokenizer.pad_token
    np.testing.assert_allclose(logits(model, tokenizer), logits(loaded.model, loaded.tokenizer), atol=1e-6)


def test_pickled_weights_are_refused(tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", "bert")
    torch.save(load_file(checkpoint / "model.safetensors"), checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()

    with pytest.raises(InputError, match="not loadable as a checkpoint with safetensors weights"):
        load(model_name_or_path=str(checkpoint))


@pytest.mark.parametrize("change", ["missing", "another shape"])
def test_a_checkpoint_whose_body_does_not_fit_is_refused(change, tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", "bert")
    weights = load_file(checkpoint / "model.safetensors")
    key = "bert.encoder.layer.0.attention.self.query.weight"
    weights[key] = torch.zeros(16, 16)
    if change == "missing":
        del weights[key]
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(
        InputError, match=r"1 weights of the body are missing or of another shape, first 'bert\.encoder"
    ):
        load(model_name_or_path=str(checkpoint))


WRITERS = {
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2},
    "pegasus": {
        "d_model": 16,
        **{f"{side}_{size}": n for side in ("encoder", "decoder") for size, n in SIDE.items()},
        "max_position_embeddings": 600,
    },
    "llama": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
}


def load_writer(folder: Path, model_type: str, without: str) -> tuple[Any, Any]:
    """A checkpoint that lacks the weights named so, loaded for translation; beside it the whole model."""
    tokenizer = train_tokenizer(model_type, TEXTS, 300, 64)
    tokens = {"pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": tokenizer.eos_token_id}
    config = transformers.AutoConfig.for_model(model_type, vocab_size=len(tokenizer), **tokens, **WRITERS[model_type])
    model = AutoModelForGeneration.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if without not in k}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return load(Translation(64, 32, 32), model_name_or_path=str(folder)), model


@pytest.mark.parametrize(
    ("model_type", "without"), [("t5", "encoder.block.0.layer.0.SelfAttention.q"), ("llama", "lm_head")]
)
def test_a_checkpoint_of_which_what_writes_is_missing_is_refused(model_type, without, tmp_path):
    with pytest.raises(InputError, match=f"1 weights of the body are missing or of another shape, first '{without}"):
        load_writer(tmp_path, model_type, without)


def test_a_pegasus_without_its_sines_is_whole(tmp_path):
    loaded, model = load_writer(tmp_path, "pegasus", "embed_positions")

    assert loaded.facts.new_weights == ()
    torch.testing.assert_close(
        loaded.model.model.decoder.embed_positions.weight, model.model.decoder.embed_positions.weight
    )


def test_a_head_for_other_classes_is_replaced_and_said(tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", "bert", num_labels=5)

    loaded = load(model_name_or_path=str(checkpoint))

    assert loaded.facts.new_weights == ("classifier.bias", "classifier.weight")
    assert loaded.model.config.id2label == {0: "ham", 1: "spam"}
    assert loaded.model.classifier.out_features == 2
    body = load_file(checkpoint / "model.safetensors")["bert.encoder.layer.0.output.dense.weight"]
    assert torch.equal(loaded.model.bert.encoder.layer[0].output.dense.weight, body)


def named(*names: str) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("theirs", [("spam", "ham"), ("SPAM", "Ham ")], ids=["exact", "case"])
def test_a_head_in_another_order_of_classes_says_the_same_by_name(model_type, theirs, tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", model_type, **named(*theirs))
    tokenizer, model = load_run(checkpoint, transformers.AutoModelForSequenceClassification)

    loaded = load(model_name_or_path=str(checkpoint))

    assert loaded.facts.new_weights == ()
    assert loaded.facts.head.startswith("kept, its rows put in the order of the data's classes (the checkpoint's")
    assert loaded.model.config.id2label == {0: "ham", 1: "spam"}
    np.testing.assert_allclose(logits(loaded.model, tokenizer), logits(model, tokenizer)[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("theirs", [("neg", "pos"), ("LABEL_0", "LABEL_1"), ("ham", "HAM")])
def test_a_head_for_as_many_other_classes_starts_anew_and_that_is_said(theirs, tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", "bert", **named(*theirs))
    head = load_file(checkpoint / "model.safetensors")["classifier.weight"]

    loaded = load(model_name_or_path=str(checkpoint))

    assert loaded.facts.new_weights == ("classifier.bias", "classifier.weight")
    assert loaded.facts.head == f"new: the checkpoint's classes are {', '.join(theirs)}, not those of the data"
    assert not torch.isclose(loaded.model.classifier.weight, head).any()
    assert loaded.model.classifier.weight.std().item() == pytest.approx(0.02, rel=0.5)


@pytest.mark.parametrize(("theirs", "ours"), [(("ham", "spam"), ("ham", "spam")), (("LABEL_0", "LABEL_1"), ("0", "1"))])
def test_a_head_for_the_same_classes_is_kept(theirs, ours, tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", "bert", **named(*theirs))
    head = load_file(checkpoint / "model.safetensors")["classifier.weight"]

    loaded = load(TextClassification(ours, ours[1], max_length=64), model_name_or_path=str(checkpoint))

    assert loaded.facts.new_weights == ()
    assert loaded.facts.head is None
    assert torch.equal(loaded.model.classifier.weight, head)


def test_a_tagger_in_another_order_of_tags_says_the_same_by_name(tmp_path):
    tags = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    theirs = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")  # as dslim/bert-base-NER orders its types
    auto = transformers.AutoModelForTokenClassification
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", "bert", auto, **named(*theirs))
    tokenizer, model = load_run(checkpoint, auto)

    loaded = load(TokenClassification(tags, 64, 8), model_name_or_path=str(checkpoint))

    assert loaded.facts.head.startswith("kept, its rows put in the order of the data's classes")
    expected = logits(model, tokenizer)[..., [theirs.index(tag) for tag in tags]]
    np.testing.assert_allclose(logits(loaded.model, tokenizer), expected, atol=1e-6)


def test_a_head_in_4_bits_can_not_be_put_in_order(tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", "bert", **named("spam", "ham"))
    _, model = load_run(checkpoint, transformers.AutoModelForSequenceClassification)
    packed = torch.zeros((32, 1), dtype=torch.uint8)  # what bitsandbytes makes of a weight
    model.classifier.weight = torch.nn.Parameter(packed, requires_grad=False)

    with pytest.raises(
        InputError, match="--load_in_4bit: the checkpoint's classes are spam, ham, the data's ham, spam"
    ):
        align_head(model, ("ham", "spam"), ("spam", "ham"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model_name_or_path": "/nowhere/at/all"}, "--model_name_or_path /nowhere/at/all: not loadable"),
        (
            {"model_type": "mamba", "config_overrides": None},
            "model_type 'mamba' is not served for this task; served are encoder: bert",
        ),
        ({"model_type": "bert", "dtype": "int8"}, "--dtype 'int8' is not one of float32, bfloat16, float16, auto"),
        (
            {"model_type": "bert", "dtype": "bfloat16"},
            "--dtype bfloat16: the weights of a model from scratch are float",
        ),
        ({"model_type": "bert", "tokenizer_vocab_size": 49}, "--tokenizer_vocab_size 49: expected 50 or more"),
        ({"model_type": "bert", "use_peft": True, "lora_r": 0}, "--lora_r 0: expected 1 or more, the rank of"),
        (
            {"model_type": "bert", "use_peft": True, "lora_target_modules": ["q_proj"]},
            "linear layers are classifier, dense, key",
        ),
        (
            {"model_type": "bert", "config_overrides": "hidden_sizes=3"},
            "bert has no setting 'hidden_sizes'; did you mean hidden_size?",
        ),
        ({"model_type": "bert", "config_overrides": "hidden_size"}, "'hidden_size' is not of the form key=value"),
        ({"model_type": "bert", "config_overrides": "hidden_size=big"}, "hidden_size=big is not of type int (now 768)"),
        ({"model_type": "bert", "config_overrides": "hidden_size=33"}, "--config_overrides"),
        ({"model_type": "bert", "config_overrides": "hidden_size=-4"}, "RuntimeError: Trying to create tensor with"),
        ({"model_type": "bert", "config_overrides": "hidden_act=foo"}, "--attn_implementation: KeyError: 'foo'"),
        ({"model_type": "bert", "config_overrides": "num_attention_heads=0"}, "--attn_implementation: ZeroDivisionErr"),
        ({"model_type": "bert", "config_overrides": "hidden_size=[1"}, "hidden_size=[1 is not of type int (now 768)"),
        (
            {"model_type": "bert", "config_overrides": "vocab_size=50"},
            "vocab_size is settled by the tokenizer (from scratch: --tokenizer_vocab_size); leave it out",
        ),
        ({"model_type": "bert", "config_overrides": "num_labels=3"}, "num_labels is settled by the labels of train"),
        ({"model_type": "bert", "attn_implementation": "magic"}, "--attn_implementation"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(InputError) as refused:
        load(**arguments)

    assert message in str(refused.value)


def test_overrides_are_read_with_the_types_of_the_config():
    config = transformers.BertConfig()

    read = read_overrides("hidden_dropout_prob=0, num_hidden_layers=3 ,hidden_act=relu,classifier_dropout=0.5", config)

    assert read == {"hidden_dropout_prob": 0.0, "num_hidden_layers": 3, "hidden_act": "relu", "classifier_dropout": 0.5}
    assert isinstance(read["hidden_dropout_prob"], float)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("layer_norm_eps=1e-6", {"layer_norm_eps": 1e-6}),  # text to YAML 1.1
        ("num_hidden_layers=010", {"num_hidden_layers": 10}),  # 8 to YAML 1.1
        ("hidden_act=no", {"hidden_act": "no"}),  # False to YAML 1.1
        ("use_cache=no", {"use_cache": False}),
        ("classifier_dropout=1e-1", {"classifier_dropout": 0.1}),  # None in the config: as JSON has it
    ],
)
def test_an_override_means_what_the_config_holds_there(text, expected):
    assert read_overrides(text, transformers.BertConfig()) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classifier_dropout=no", "classifier_dropout=no: no is text to some readers and true or false to YAML"),
        ("use_cache=2", "use_cache=2 is not of type bool (now True)"),
        ("layer_norm_eps=nan", "layer_norm_eps=nan is not of type float"),
        ("num_hidden_layers=1:30", "num_hidden_layers=1:30 is not of type int"),
    ],
)
def test_an_override_that_could_mean_two_things_is_refused(text, message):
    with pytest.raises(InputError) as refused:
        read_overrides(text, transformers.BertConfig())

    assert message in str(refused.value)


def test_overrides_apply_to_a_checkpoint_too(tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", "bert")

    loaded = load(model_name_or_path=str(checkpoint), config_overrides="hidden_dropout_prob=0")

    assert {module.p for module in loaded.model.bert.modules() if isinstance(module, torch.nn.Dropout)} == {0.0, 0.1}


def test_code_that_comes_with_a_checkpoint_does_not_run(tmp_path):
    checkpoint = saved_checkpoint(tmp_path / "checkpoint", "bert")
    config = (checkpoint / "config.json").read_text()
    (checkpoint / "config.json").write_text(
        config.replace('"model_type": "bert"', '"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}')
    )
    (checkpoint / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")

    with pytest.raises(InputError, match="trust_remote_code"):
        load(model_name_or_path=str(checkpoint))

    assert not (tmp_path / "ran").exists()


def test_a_text_may_have_as_many_tokens_as_the_model_reads():
    assert load(model_type="bert", config_overrides=f"{COMMON},max_position_embeddings=40").max_length == 40
    # RoBERTa's positions begin after its pad token's.
    loaded = load(model_type="roberta", config_overrides=f"{COMMON},max_position_embeddings=40")
    assert loaded.max_length == 38
    inputs = torch.full((1, 38), 9)
    assert torch.isfinite(loaded.model(input_ids=inputs, attention_mask=torch.ones_like(inputs)).logits).all()


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_tokenizer_from_scratch_reads_the_same_when_loaded_again(model_type, tmp_path):
    loaded = load(model_type=model_type)
    hard = "  Hello WORLD  don't 123 4567 Éa 你好 😀\n\nnew   line <s> </s> [CLS] win.cash,now"

    loaded.tokenizer.save_pretrained(tmp_path)
    loaded.model.config.save_pretrained(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)

    assert again(hard)["input_ids"] == loaded.tokenizer(hard)["input_ids"]
    assert again.pad_token_id == loaded.tokenizer.pad_token_id


def test_families_are_told_apart_by_model_type():
    assert family_of("mistral", "x") is decoder
    assert family_of("deberta-v2", "x") is encoder
