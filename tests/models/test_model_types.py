"""Every model type: loss, answers and positions are exact, and a checkpoint keeps its own tokenizer."""

import copy
import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
import transformers

from llmtune.errors import InputError
from llmtune.inference import inference_trainer, predict
from llmtune.models import decoder, encoder
from llmtune.models.checkpoints import load_run, merge_run, save_weights
from llmtune.models.families import FAMILIES, HEADS
from llmtune.report.card_code_question_answering import WITH_TOKEN_TYPES
from llmtune.tasks.causal_lm.collator import check_packing
from llmtune.tasks.question_answering.task import QuestionAnswering
from llmtune.tasks.question_answering.windows import PairLayout
from llmtune.tasks.task import Task
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.tasks.translation import Translation
from tests.models.test_models import MODEL_TYPES, OVERRIDES, TASK, TEXTS, load, logits, train

TAGS = TokenClassification(("O", "B-A", "I-A"), 64, 8)
ANSWERS = QuestionAnswering(max_length=64, doc_stride=8)
WRITING = Translation(32, 8, 8)
ROWS = {
    TAGS: {"tokens": [text.split() for text in TEXTS[:6]], "tags": [["O"] * len(text.split()) for text in TEXTS[:6]]},
    ANSWERS: {
        "id": list("abcdef"),
        "question": ["you?", "what do you win?"] * 3,
        "context": TEXTS[:6],
        "answers": [{"text": [text[:3]], "answer_start": [0]} for text in TEXTS[:6]],
    },
    WRITING: {"source": TEXTS[:6], "target": TEXTS[6:12]},
}


def model_class(model_type: str, task: Task) -> Any:
    """The class of transformers, None where it has none."""
    config = transformers.CONFIG_MAPPING[model_type]
    return HEADS[task.auto_model].get(config, None) if task is not WRITING else config


def without_dropout(model_type: str) -> str:
    config = transformers.AutoConfig.for_model(model_type).to_dict()
    rates = [key for key, value in config.items() if "drop" in key and isinstance(value, float)]
    return ",".join([OVERRIDES[model_type], *(f"{key}=0" for key in rates)])


def approximately(values: list[Any]) -> Any:
    """Equal, and of numbers equal but for rounding."""
    flat = [value for row in values for value in (row if isinstance(row, list) else [row])]
    if not all(isinstance(value, float) for value in flat):
        return values
    return [pytest.approx(row, rel=1e-4, abs=1e-5) for row in values]


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_loss_and_gradient_do_not_depend_on_how_a_batch_is_cut(model_type, tmp_path):
    loaded = load(model_type=model_type, config_overrides=without_dropout(model_type))
    first = []

    for micro in (16, 4):
        options = {"per_device_train_batch_size": micro, "gradient_accumulation_steps": 16 // micro}
        again = copy.copy(loaded)
        object.__setattr__(again, "model", copy.deepcopy(loaded.model))
        trainer = train(again, tmp_path, steps=1, logging_steps=1, **options)
        first.append(trainer.state.log_history[0])

    assert first[0]["grad_norm"] > 0
    for name in ("loss", "grad_norm"):
        assert first[1][name] == pytest.approx(first[0][name], rel=1e-5)


SERVED = [
    (model_type, task)
    for model_type in MODEL_TYPES
    for task in (TAGS, ANSWERS, *([WRITING] if model_type in decoder.MODEL_TYPES else []))
    if model_class(model_type, task)
]


@pytest.mark.parametrize(("model_type", "task"), SERVED, ids=[f"{name}-{task.name}" for name, task in SERVED])
def test_what_is_predicted_does_not_depend_on_the_batch(model_type, task, tmp_path):
    loaded = load(task, model_type=model_type)
    task = task.for_model(loaded)
    generator = torch.Generator().manual_seed(0)
    for weight in loaded.model.parameters():
        if weight.dim() > 1:  # weights as drawn make all rows nearly alike
            weight.data.normal_(0, 0.15, generator=generator)
    rows = datasets.Dataset.from_dict(next(rows for asked, rows in ROWS.items() if asked.name == task.name))
    encoded = task.encode(rows, loaded.tokenizer)

    alone, together = (
        task.tabulate(
            predict(
                inference_trainer(loaded.model, loaded.tokenizer, task, output_dir=str(tmp_path), batch_size=size),
                task,
                encoded,
            ),
            encoded,
        )
        for size in (1, 6)
    )

    for name in alone.table.column_names:
        assert together.column(name) == approximately(alone.column(name))


@pytest.mark.parametrize(("model_type", "lost"), [(name, encoder.POSITIONS_LOST.get(name, 0)) for name in MODEL_TYPES])
def test_a_text_may_have_just_as_many_tokens_as_there_are_positions(model_type, lost):
    name = "n_positions" if model_type == "gpt2" else "max_position_embeddings"
    loaded = load(model_type=model_type, config_overrides=f"{OVERRIDES[model_type]},{name}=40")
    ids = torch.full((1, loaded.max_length), len(loaded.tokenizer) - 1)

    with torch.no_grad():
        read = loaded.model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits

    assert loaded.max_length == 40 - lost
    assert torch.isfinite(read).all()


# The tokenizers of their checkpoints, and what transformers trains them on the body with.
MASKED, CAUSAL = transformers.AutoModelForMaskedLM, transformers.AutoModelForCausalLM
DEBERTA_V3 = {
    "relative_attention": True, "position_biased_input": False, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8,
    "norm_rel_ebd": "layer_norm", "share_att_key": True, "max_relative_positions": -1,
}  # fmt: skip
OWN = {
    "albert": ("AlbertTokenizer", MASKED, {}),
    "electra": ("BertTokenizer", MASKED, {}),
    "mpnet": ("MPNetTokenizer", MASKED, {}),
    "camembert": ("CamembertTokenizer", MASKED, {"type_vocab_size": 1}),
    "xlm-roberta": ("XLMRobertaTokenizer", MASKED, {"type_vocab_size": 1}),
    "xlm-roberta-xl": ("XLMRobertaTokenizer", MASKED, {"type_vocab_size": 1}),
    "longformer": ("RobertaTokenizer", MASKED, {"type_vocab_size": 1}),
    "deberta": ("DebertaTokenizer", MASKED, {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    "deberta-v2": ("DebertaV2Tokenizer", MASKED, DEBERTA_V3),
    "ernie": ("BertTokenizer", MASKED, {"use_task_id": True}),
    "rembert": ("RemBertTokenizer", MASKED, {}),
    "gemma": ("GemmaTokenizer", CAUSAL, {}),
    "gemma3_text": ("GemmaTokenizer", CAUSAL, {}),
    "phi": ("CodeGenTokenizer", CAUSAL, {}),
    "phi3": ("LlamaTokenizer", CAUSAL, {}),
    "gpt2": ("GPT2Tokenizer", CAUSAL, {}),
    "gpt_neox": ("GPTNeoXTokenizer", CAUSAL, {}),
}


def checkpoint_of(model_type: str, folder: Path) -> Path:
    """As pretraining leaves it: no head, and a tokenizer of the type's own class, trained on some words."""
    name, auto_model, settings = OWN[model_type]
    tokenizer = getattr(transformers, name)().train_new_from_iterator(TEXTS, 300)
    if model_type == "mpnet":  # of which its code knows the place of the padding
        words = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>", *sorted(set(" ".join(TEXTS).split()))]
        tokenizer = transformers.MPNetTokenizer(vocab={word: i for i, word in enumerate(words)})
    transformers.set_seed(1)
    special = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("pad", "bos", "eos", "sep")}
    sizes = {key: int(value) for key, value in (part.split("=") for part in OVERRIDES[model_type].split(","))}
    config = transformers.AutoConfig.for_model(
        model_type, vocab_size=len(tokenizer), **special, **{**sizes, **settings}
    )
    auto_model.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("model_type", OWN)
def test_a_checkpoint_keeps_its_tokenizer_and_body_and_its_run_answers_the_same(model_type, tmp_path):
    folder = checkpoint_of(model_type, tmp_path / "checkpoint")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="fan_in_fan_out")  # peft's, of the layers of GPT-2
        loaded = load(model_name_or_path=str(folder), use_peft=True, lora_r=2)

    own = getattr(transformers, OWN[model_type][0]).from_pretrained(folder)
    assert loaded.tokenizer(TEXTS)["input_ids"] == own(TEXTS)["input_ids"]
    assert all(re.match(r"classifier|score|pooler|.*\.pooler\.", key) for key in loaded.facts.new_weights)
    assert loaded.tokenizer.pad_token not in (loaded.tokenizer.bos_token, loaded.tokenizer.eos_token)
    save_weights(train(loaded, tmp_path / "run"), keep_base=False)
    together = logits(loaded.model, loaded.tokenizer)
    tokenizer, model = load_run(tmp_path / "run", TASK.auto_model)
    assert logits(model, tokenizer) == pytest.approx(together, abs=1e-6)
    for row, text in enumerate(TEXTS[:6]):
        with torch.no_grad():
            alone = model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)).logits[0]
        assert together[row] == pytest.approx(alone.numpy(), abs=2e-6)
    merge_run(tmp_path / "run", tmp_path / "plain", TASK.auto_model)  # raises where the answers differ


@pytest.mark.parametrize("model_type", [name for name in OWN if name in encoder.MODEL_TYPES])
def test_an_encoder_reads_a_question_and_a_context_as_its_tokenizer_pairs_them(model_type, tmp_path):
    loaded = load(ANSWERS, model_name_or_path=str(checkpoint_of(model_type, tmp_path)))

    windows = ANSWERS.encode(datasets.Dataset.from_dict(ROWS[ANSWERS]), loaded.tokenizer).dataset

    pair = loaded.tokenizer(ROWS[ANSWERS]["question"], ROWS[ANSWERS]["context"], return_token_type_ids=True)
    assert windows["input_ids"] == pair["input_ids"]
    assert windows["token_type_ids"] == pair["token_type_ids"]
    trainer = inference_trainer(loaded.model, loaded.tokenizer, ANSWERS, output_dir=str(tmp_path), batch_size=6)
    assert len(
        predict(trainer, ANSWERS, ANSWERS.encode(datasets.Dataset.from_dict(ROWS[ANSWERS]), loaded.tokenizer))[0]
    )


def test_a_decoder_is_given_no_token_types(tmp_path):
    loaded = load(ANSWERS, model_name_or_path=str(checkpoint_of("gpt2", tmp_path)))
    task = ANSWERS.for_model(loaded)

    windows = task.encode(datasets.Dataset.from_dict(ROWS[ANSWERS]), loaded.tokenizer).dataset

    assert "token_type_ids" in inspect.signature(loaded.model.forward).parameters, "as words, which they are not"
    assert set(windows.column_names) == {"input_ids", "attention_mask", "labels"}
    assert PairLayout.of(loaded.tokenizer, is_causal=True).first == []


def test_the_code_of_a_card_gives_token_types_to_the_models_that_take_them():
    taking = {
        name
        for name in encoder.MODEL_TYPES
        if (made := model_class(name, ANSWERS)) and "token_type_ids" in inspect.signature(made.forward).parameters
    }

    assert set(WITH_TOKEN_TYPES) == taking


def test_the_readme_names_every_model_type_and_the_heads_that_are_missing():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| family | `model_type` |")[2].partition("\n\n")[0].splitlines()[2:]
    shown = [[cell.strip() for cell in row.split("|")[1:3]] for row in table]
    tags, answers = (
        ", ".join(name for name in MODEL_TYPES if model_class(name, task) is None) for task in (TAGS, ANSWERS)
    )

    rows = [[name, ", ".join(family.MODEL_TYPES)] for name, family in FAMILIES.items()]
    assert [[name, types.removesuffix(" (from scratch)")] for name, types in shown] == rows
    missing = f"no head for tags of {tags}, and none for marked answers of {answers}: these decoders"
    assert missing in " ".join(readme.split())


@pytest.mark.parametrize("model_type", decoder.MODEL_TYPES)
def test_documents_that_share_a_row_do_not_see_each_other(model_type):
    check_packing(load(WRITING, model_type=model_type).model)  # raises where they do


@pytest.mark.parametrize(
    ("task", "model_type", "message"),
    [
        (ANSWERS, "gemma", r"--model_type gemma: transformers \S+ has no AutoModelForQuestionAnswering of model_type"),
        (ANSWERS, "phi3", "'phi3'; take one of bert, .*gpt_neox, .*, or leave out --method extractive: it writes"),
        (TAGS, "gemma3_text", "AutoModelForTokenClassification of model_type 'gemma3_text'; take one of bert, .*, phi"),
    ],
)
def test_a_head_that_transformers_lacks_is_said(task, model_type, message):
    with pytest.raises(InputError, match=message) as refused:
        load(task, model_type=model_type)

    assert "extractive" in str(refused.value) or task is TAGS


def test_a_checkpoint_without_such_a_head_is_refused_too(tmp_path):
    folder = checkpoint_of("gemma3_text", tmp_path)

    with pytest.raises(InputError, match=f"--model_name_or_path {folder}: transformers .* has no AutoModelForTokenCl"):
        load(TAGS, model_name_or_path=str(folder))
