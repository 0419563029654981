"""What `accelerate launch` or its saved configuration asks for is followed and known, or refused."""

import argparse
import os
from importlib.util import find_spec

import pytest
from accelerate.commands.launch import launch_command_parser
from accelerate.utils.launch import prepare_simple_launcher_cmd_env

from llmtune.arguments import TrainingArguments
from llmtune.arguments.launcher import refuse_what_is_unknown
from llmtune.errors import InputError


def environment(*flags: str) -> dict[str, str]:
    """What accelerate puts into the environment of a process; of its plugins nothing is left out."""
    args: argparse.Namespace = launch_command_parser().parse_args([*flags, "recipe.py"])
    args.mixed_precision, args.dynamo_backend = args.mixed_precision or "no", args.dynamo_backend or "no"
    args.num_machines, args.use_cpu = 1, args.cpu
    args.num_processes, args.num_cpu_threads_per_process, args.deepspeed_fields_from_accelerate_config = 1, 1, ""
    command, made = prepare_simple_launcher_cmd_env(args)
    return dict(made)


def refused_as(tmp_path, monkeypatch, variables, **options):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as refused:
        TrainingArguments(output_dir=str(tmp_path / "run"), report_to="none", **options).resolve_output_dir("spam")
    return str(refused.value)


def test_a_compiler_that_accelerate_was_told_is_refused(tmp_path, monkeypatch):
    launched = environment("--dynamo_backend", "inductor")
    variables = {name: value for name, value in launched.items() if name.startswith("ACCELERATE_")}

    said = refused_as(tmp_path, monkeypatch, variables)

    assert said.lower() == (
        "accelerate launch --dynamo_backend inductor (or its saved configuration): the run's files would not tell of "
        "it; give the recipe --torch_compile true --torch_compile_backend inductor, and leave it out there or change "
        "it with `accelerate config`"
    )
    refuse_what_is_unknown(1, compiles=True)  # --torch_compile of the recipe wins


@pytest.mark.parametrize("flag", ["use_megatron_lm", "use_parallelism_config"])
def test_ways_to_divide_a_model_that_the_trainer_does_not_know_are_refused(flag, tmp_path, monkeypatch):
    said = refused_as(tmp_path, monkeypatch, {f"ACCELERATE_{flag.upper()}": "true"})

    assert said.startswith(f"accelerate launch --{flag} (or its saved configuration): the run's files would not tell")
    assert "take recipes/accelerate/fsdp2.yaml or deepspeed_zero3.yaml" in said


def test_accumulation_is_the_recipes_and_another_one_of_accelerate_is_refused(tmp_path, monkeypatch):
    variables = {"ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4"}

    said = refused_as(tmp_path, monkeypatch, variables, gradient_accumulation_steps=2)

    assert said == (
        "accelerate launch --gradient_accumulation_steps 4 (or its saved configuration): found 2 for the recipe, "
        "which counts; give the recipe --gradient_accumulation_steps 4, or leave it out there"
    )
    refuse_what_is_unknown(4)


@pytest.mark.skipif(find_spec("deepspeed") is not None, reason="deepspeed is installed")
def test_deepspeed_that_is_not_installed_is_one_message(tmp_path, monkeypatch):
    needs = "needs deepspeed, not installed here: pip install deepspeed"

    file = tmp_path / "ds.json"
    file.write_text("{}")
    with pytest.raises(InputError, match=f"^--deepspeed {file}: {needs}$"):
        TrainingArguments(output_dir=str(tmp_path / "run"), deepspeed=str(file))
    said = refused_as(tmp_path, monkeypatch, {"ACCELERATE_USE_DEEPSPEED": "true"})
    assert said == f"accelerate's configuration (distributed_type DEEPSPEED): {needs}"


def test_the_defaults_of_accelerate_launch_are_taken(tmp_path, monkeypatch):
    for name, value in environment().items():
        if name.startswith("ACCELERATE_"):
            monkeypatch.setenv(name, value)

    made = TrainingArguments(output_dir=str(tmp_path / "run"), report_to="none", precision="auto")
    made.resolve_output_dir("spam")

    assert os.environ["ACCELERATE_DYNAMO_BACKEND"].lower() == "no"


def test_a_launch_on_the_cpu_is_one_for_the_precision_too(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.accelerator.is_available", lambda: True)
    monkeypatch.setattr("llmtune.arguments.training.does_bf16_well", lambda on_cpu: not on_cpu)
    for name, value in environment("--cpu").items():
        if name.startswith("ACCELERATE_"):
            monkeypatch.setenv(name, value)

    made = TrainingArguments(output_dir=str(tmp_path / "run"), report_to="none")

    assert made.use_cpu
    assert (made.precision, made.device.type) == ("fp32", "cpu")
