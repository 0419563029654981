"""The arguments: precision that fits the hardware, checkpoints that follow evaluation, the metric that picks one."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
import torch

from llmtune import arguments
from llmtune.arguments import DataArguments, ModelArguments, TrainingArguments, describe_arguments
from llmtune.errors import InputError, run_command
from llmtune.tasks.text_classification.arguments import TextClassificationArguments


def test_the_arguments_are_imported_late_and_an_unknown_name_is_one():
    with pytest.raises(AttributeError, match="module 'llmtune.arguments' has no attribute 'TrainerArguments'"):
        arguments.TrainerArguments  # noqa: B018


def training(folder: Path, **options) -> TrainingArguments:
    return TrainingArguments(str(folder), use_cpu=True, **options)


def test_on_a_cpu_bf16_is_for_training_only_and_auto_follows_the_hardware(tmp_path):
    able = torch.cpu.get_capabilities()
    well = bool(able.get("avx512_bf16") or able.get("amx_bf16"))

    assert training(tmp_path).precision == ("bf16" if well else "fp32")
    assert training(tmp_path).cpu_autocast is well
    for asked in ({"precision": "bf16"}, {"bf16": True}, {"bf16": True, "precision": "fp32"}):
        made = training(tmp_path, **asked)
        assert (made.precision, bool(made.bf16), made.cpu_autocast) == ("bf16", False, True), (
            "accelerate's would reach evaluation"
        )
        assert dataclasses.replace(made).precision == "bf16", "a copy computes as its original"
    assert not training(tmp_path, precision="fp32").cpu_autocast


@pytest.mark.parametrize("asked", [{"bf16": False}, {"bf16": False, "fp16": False}, {"bf16": False, "fp16": None}])
def test_bf16_false_rules_out_that_auto_takes_bf16(tmp_path, monkeypatch, asked):
    monkeypatch.setattr("llmtune.arguments.training.does_bf16_well", lambda on_cpu: True)

    assert training(tmp_path).precision == "bf16"
    assert training(tmp_path, **asked).precision == "fp32"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"precision": "bf16", "bf16": False},
            "--precision bf16 and --bf16 False contradict each other; leave one of them out",
        ),
        ({"bf16": True, "fp16": True}, "--bf16 and --fp16 are both given; give one of the two"),
    ],
)
def test_precisions_that_contradict_each_other_are_refused(tmp_path, asked, message):
    with pytest.raises(InputError, match=message):
        training(tmp_path, **asked)


@pytest.mark.parametrize(
    ("launched", "asked", "precision"),
    [
        ("bf16", {"precision": "fp32"}, "fp32"),  # what is named in the command wins over accelerate's configuration
        ("bf16", {}, "bf16"),
        ("bf16", {"bf16": False}, "fp32"),
        ("no", {"precision": "bf16"}, "bf16"),
    ],
)
def test_what_accelerate_was_told_is_followed_or_overruled_and_known(tmp_path, monkeypatch, launched, asked, precision):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launched)
    monkeypatch.setattr("llmtune.arguments.training.does_bf16_well", lambda on_cpu: False)

    made = training(tmp_path, **asked)

    assert made.precision == precision
    assert made.mixed_precision == "no", "on a CPU the Trainer subclass autocasts, and training only"
    assert os.environ["ACCELERATE_MIXED_PRECISION"] == launched


@pytest.mark.parametrize(
    ("launched", "message"),
    [
        ("fp8", "accelerate launch --mixed_precision fp8 .* expected no, bf16 or fp16; give --precision, which wins"),
        ("fp16", "--precision fp16: half precision training needs a GPU"),
    ],
)
def test_a_precision_of_accelerate_that_cannot_run_is_refused(tmp_path, monkeypatch, launched, message):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launched)

    with pytest.raises(InputError, match=message):
        training(tmp_path)


@pytest.mark.parametrize(
    ("precision", "weights", "said"),
    [
        ("fp32", "float32", "training in fp32, evaluation in fp32"),
        ("bf16", "float32", "training in bf16, evaluation in fp32"),  # autocast is for training only
        ("fp32", "bfloat16", "training in bf16, evaluation in bf16, the weights in bfloat16"),
        ("bf16", "float16", "training in bf16, evaluation in fp16, the weights in float16"),
        ("fp32", "4-bit", "training in bf16, evaluation in bf16, the weights in 4-bit"),
    ],
)
def test_the_arithmetic_is_said_as_it_is_on_a_cpu(tmp_path, precision, weights, said):
    assert training(tmp_path, precision=precision).describe_precision(weights) == said


@pytest.mark.parametrize(
    ("flags", "environment", "evaluation"),
    [
        ({}, {}, "fp32"),
        ({"torch_compile": True}, {}, "bf16"),
        ({}, {"ACCELERATE_USE_FSDP": "true"}, "bf16"),
        ({}, {"ACCELERATE_USE_DEEPSPEED": "true"}, "bf16"),
    ],
    ids=str,
)
def test_on_a_gpu_evaluation_is_in_half_precision_only_where_the_model_is_bound_to_it(
    tmp_path, monkeypatch, flags, environment, evaluation
):
    made = training(tmp_path, precision="bf16")
    made.use_cpu = False
    for name, value in (environment | flags).items():
        monkeypatch.setenv(name, value) if name in environment else setattr(made, name, value)

    assert made.describe_precision("float32") == f"training in bf16, evaluation in {evaluation}"


@pytest.mark.parametrize(
    ("given", "save_strategy", "save_steps", "load_best"),
    [
        ({}, "epoch", 500, True),
        ({"eval_strategy": "steps", "eval_steps": 30}, "steps", 30, True),
        ({"eval_strategy": "steps", "logging_steps": 20}, "steps", 20, True),
        ({"eval_strategy": "steps", "eval_steps": 30, "save_steps": 60}, "steps", 60, True),
        ({"save_strategy": "best"}, "best", 500, True),
        ({"save_strategy": "no"}, "no", 500, False),
        ({"eval_strategy": "no"}, "epoch", 500, False),
        ({"eval_strategy": "steps", "load_best_model_at_end": False}, "epoch", 500, False),
    ],
)
def test_checkpoints_are_saved_when_validation_is_scored(tmp_path, given, save_strategy, save_steps, load_best):
    made = training(tmp_path, **given)

    assert (made.save_strategy, made.save_steps, made.load_best_model_at_end) == (save_strategy, save_steps, load_best)


@pytest.mark.parametrize(
    ("given", "metric", "greater"),
    [
        ({}, "f1", True),
        ({"metric_for_best_model": "brier"}, "brier", False),  # transformers takes it for higher is better
        ({"metric_for_best_model": "eval_brier"}, "eval_brier", False),
        ({"metric_for_best_model": "mcc"}, "mcc", True),
        ({"metric_for_best_model": "loss"}, "loss", False),
        ({"metric_for_best_model": "mcc", "greater_is_better": False}, "mcc", False),
    ],
)
def test_the_best_checkpoint_is_best_in_the_metrics_own_direction(tmp_path, given, metric, greater):
    made = training(tmp_path, **given)

    made.choose_best_metric("f1", {"f1": True, "mcc": True, "brier": False})

    assert (made.metric_for_best_model, made.greater_is_better) == (metric, greater)


def test_an_unknown_metric_for_the_best_checkpoint_is_refused(tmp_path):
    made = training(tmp_path / "run", metric_for_best_model="f7")

    with pytest.raises(InputError, match="--metric_for_best_model f7 is not one of f1, loss"):
        made.choose_best_metric("f1", {"f1": True})


def test_the_arguments_are_json_by_group(tmp_path):
    groups = (DataArguments(train_file="a.csv"), TextClassificationArguments(), ModelArguments(), training(tmp_path))

    described = describe_arguments(groups)

    assert list(described) == ["data", "task", "model", "training"]
    assert described["data"]["train_file"] == "a.csv"
    assert described["task"]["threshold_objective"] == "f1"
    assert described["training"]["precision"] in ("bf16", "fp32")
    json.dumps(described)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"optim": "paged_adamw_8bit"},
            "--optim paged_adamw_8bit: needs bitsandbytes, not installed here",
        ),
        ({"optim": "rmsprop_bnb"}, "--optim rmsprop_bnb: needs bitsandbytes"),
        (
            {"optim": "galore_adamw_8bit"},
            "needs galore_torch, not installed here: pip install galore-torch",
        ),
        ({"optim": "adamw_torch_8bit"}, "--optim adamw_torch_8bit: needs torchao"),
        (
            {"dataloader_persistent_workers": True},
            "--dataloader_persistent_workers: there are no workers",
        ),
        ({"num_train_epochs": -1}, "--num_train_epochs -1: expected 0 or more"),
    ],
)
def test_what_cannot_run_is_refused_at_once(tmp_path, given, message, monkeypatch):
    monkeypatch.setattr("llmtune.arguments.training.find_spec", lambda name: None)

    with pytest.raises(InputError) as refused:
        training(tmp_path, **given)

    assert message in str(refused.value)


@pytest.mark.parametrize("optim", ["adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "rmsprop", "adagrad"])
def test_torchs_own_optimizers_need_nothing(tmp_path, optim, monkeypatch):
    monkeypatch.setattr("llmtune.arguments.training.find_spec", lambda name: None)

    assert training(tmp_path, optim=optim).optim == optim


def test_an_interrupt_says_what_it_knows_and_exits_130(capsys):
    def main():
        raise KeyboardInterrupt("nothing was saved yet")

    with pytest.raises(SystemExit) as ended:
        run_command(main)

    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted: nothing was saved yet\n"


@pytest.mark.parametrize(
    ("rank", "said", "waits"),
    # The launcher ends the second process in these seconds, where the first has the same error.
    [("0", "error: no such file\n", []), ("1", "error: process 1: no such file\n", [5])],
)
def test_an_input_error_is_said_once_a_machine_and_exits_2(rank, said, waits, monkeypatch, capsys):
    waited: list[float] = []
    monkeypatch.setenv("LOCAL_RANK", rank)
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr("time.sleep", waited.append)

    def main():
        raise InputError("no such file")

    with pytest.raises(SystemExit) as ended:
        run_command(main)

    assert ended.value.code == 2
    assert capsys.readouterr().err == said
    assert waited == waits, "a launcher would end the process that speaks"


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1)])
def test_a_command_ends_with_its_own_code(returned, code):
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: returned)

    assert ended.value.code == code


def test_a_bug_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 // 0)
