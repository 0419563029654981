"""What `accelerate launch`, or its saved configuration, decided for its processes: followed and known, or refused.

It speaks through environment variables that accelerate and transformers listen to before their own arguments: a run
whose run.json says one thing would compute another.
"""

import os
from datetime import timedelta
from importlib.util import find_spec

import torch

from llmtune.errors import InputError

PRECISION = "ACCELERATE_MIXED_PRECISION"
FOLLOWED_PRECISIONS = ("no", "fp32", "bf16", "fp16")
NOTHING_ASKED = ("", "0", "1", "no", "none", "false")
DYNAMO = "ACCELERATE_DYNAMO_BACKEND"
# What nobody here would know of: (variable, what the user gave, what is to be done instead).
REFUSED = (
    (DYNAMO, "accelerate launch --dynamo_backend", "give the recipe --torch_compile True --torch_compile_backend"),
    (
        "ACCELERATE_USE_MEGATRON_LM",
        "accelerate launch --use_megatron_lm",
        "take recipes/accelerate/fsdp2.yaml or deepspeed_zero3.yaml",
    ),
    (
        "ACCELERATE_USE_PARALLELISM_CONFIG",
        "accelerate launch --use_parallelism_config",
        "take recipes/accelerate/fsdp2.yaml or deepspeed_zero3.yaml",
    ),
)
ACCUMULATION = "ACCELERATE_GRADIENT_ACCUMULATION_STEPS"


def launched_precision() -> str:
    """`no`, `fp32`, `bf16` or `fp16`; "no" is also what is sent when none was named.

    Raises:
        InputError: accelerate was told another.
    """
    launched = os.environ.get(PRECISION, "no").lower()
    if launched not in FOLLOWED_PRECISIONS:
        raise InputError(
            f"accelerate launch --mixed_precision {launched} (or its saved configuration): expected no, bf16 or "
            "fp16; give --precision, which wins, or change it with `accelerate config`"
        )
    return launched


def is_launched_on_cpu() -> bool:
    """Whether `accelerate launch --cpu`, or its saved configuration, leaves the GPUs out."""
    return os.environ.get("ACCELERATE_USE_CPU", "false").lower() in ("1", "true", "yes", "on", "y", "t")


def divides_models() -> bool:
    """Whether accelerate's FSDP or DeepSpeed was asked for, which keep the weights in a precision of their own."""
    return any(os.environ.get(f"ACCELERATE_USE_{name}", "").lower() == "true" for name in ("FSDP", "DEEPSPEED"))


def refuse_what_is_unknown(gradient_accumulation_steps: int, *, compiles: bool = False) -> None:
    """Raises `InputError` for settings of accelerate's that would change training, and that a run's files don't tell.

    Args:
        gradient_accumulation_steps: of the recipe.
        compiles: the recipe was given --torch_compile, which wins.
    """
    for variable, flag, remedy in REFUSED:
        value = os.environ.get(variable, "").lower()
        if value not in NOTHING_ASKED and not (compiles and variable == DYNAMO):
            with_value = "" if value == "true" else f" {value}"
            raise InputError(
                f"{flag}{with_value} (or its saved configuration): the run's files would not tell "
                f"of it; {remedy}{with_value}, and leave it out there or change it with `accelerate config`"
            )
    launched = os.environ.get(ACCUMULATION, "1")
    if launched not in ("1", str(gradient_accumulation_steps)):
        raise InputError(
            f"accelerate launch --gradient_accumulation_steps {launched} (or its saved configuration): found "
            f"{gradient_accumulation_steps} for the recipe, which counts; give the recipe "
            f"--gradient_accumulation_steps {launched}, or leave it out there"
        )


def refuse_missing_deepspeed(asked: object) -> None:
    """Raises `InputError` where DeepSpeed is asked for, and is not installed.

    Args:
        asked: --deepspeed of the recipe.
    """
    launched = os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"
    if (asked or launched) and find_spec("deepspeed") is None:
        where = f"--deepspeed {asked}" if asked else "accelerate's configuration (distributed_type DEEPSPEED)"
        raise InputError(f"{where}: needs deepspeed, not installed here: pip install deepspeed")


def join_processes_on_cpu(backend: str | None, timeout: float) -> None:
    """Joins the processes of a launcher, each waiting for the others `timeout` seconds at most.

    transformers joins those on a CPU without --ddp_timeout: they would wait for torch's half hour.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or torch.distributed.is_initialized():
        return
    torch.distributed.init_process_group(backend or "gloo", timeout=timedelta(seconds=timeout))
