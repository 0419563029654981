"""Optimizer, learning rate schedule and the arguments that are JSON, tried on one number before any data is read.

torch and transformers read what stands in them when training begins: after the data, the model and its weights.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import Trainer
from transformers.optimization import get_scheduler
from transformers.training_args import OptimizerNames

from llmtune.errors import InputError, truncated_repr

EXAMPLES = {
    "lr_scheduler_kwargs": '{"num_cycles": 2}',
    "activation_checkpointing_kwargs": '{"use_reentrant": false}',
    "gradient_checkpointing_kwargs": '{"use_reentrant": false}',
}
# What torch and transformers raise for a value that an optimizer or a schedule can't take.
UNFIT = (ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError, RuntimeError)
TRIED_STEPS, WARMUP = 10, 2


def read_mappings(training: Any) -> None:
    """Refuses text in the place of a JSON object; transformers reads it again.

    Raises:
        InputError: it is not one, or there is no file of that name.
    """
    for name in transformers.TrainingArguments._VALID_DICT_FIELDS:
        text = getattr(training, name)
        if not isinstance(text, str):
            continue
        if name not in EXAMPLES and not text.lstrip().startswith("{"):
            if not Path(text).is_file():
                raise InputError(f"--{name} {text}: no such file; expected a JSON object, or a file that holds one")
            continue
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            example = EXAMPLES.get(name, '{"key": 1}')
            raise InputError(
                f"--{name} {truncated_repr(text)}: not JSON ({error}), expected an object; write it as '{example}'"
            ) from error
        if not isinstance(value, dict):
            raise InputError(f"--{name} {text}: found a JSON {type(value).__name__}, expected an object with keys")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def check_optimization(training: Any) -> None:
    """Takes some steps of one number with the optimizer and the schedule that were asked for.

    Raises:
        InputError: --optim_args or --lr_scheduler_kwargs hold what they can't take.
    """
    _check_optimizer(training)
    _check_schedule(training)


def _check_optimizer(training: Any) -> None:
    optim = OptimizerNames(training.optim).value
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.ones_like(weight)
    try:
        kind, options = Trainer.get_optimizer_cls_and_kwargs(training)
    except UNFIT as error:  # some need the model, and say so
        if training.optim_args:
            raise _unfit_optimizer(training, optim, error) from error
        return
    if not kind.__module__.startswith(("torch.", "transformers.")):
        return  # of a package of its own, which may ask for a GPU
    try:
        kind([weight], **options).step()
    except UNFIT as error:
        raise _unfit_optimizer(training, optim, error) from error


def _unfit_optimizer(training: Any, optim: str, error: Exception) -> InputError:
    flag = f"--optim_args {training.optim_args}" if training.optim_args else f"--optim {optim}"
    return InputError(
        f"{flag}: {optim} does not take it ({error}); expected key=value,… of that optimizer's own arguments, or "
        "nothing"
    )


def _check_schedule(training: Any) -> None:
    """That the schedule is a finite learning rate at each step."""
    name = training.lr_scheduler_type.value
    options = dict(training.lr_scheduler_kwargs or {})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=training.learning_rate)
    rates = []
    if options and name in ("constant", "constant_with_warmup"):  # which would leave them out without a word
        raise _unfit_schedule(training, name, f"{name} takes none")
    try:
        schedule = get_scheduler(name, optimizer, WARMUP, TRIED_STEPS, options)
        for _ in range(TRIED_STEPS):
            optimizer.step()
            schedule.step(*[1.0] * (name in ("reduce_lr_on_plateau", "greedy")))
            rates.append(float(optimizer.param_groups[0]["lr"]))
    except UNFIT as error:
        raise _unfit_schedule(training, name, f"{name} does not take it ({error})") from error
    if not all(map(math.isfinite, rates)):
        raise _unfit_schedule(training, name, f"the learning rate becomes {rates[-1]}, expected a finite number")


def _unfit_schedule(training: Any, name: str, what: str) -> InputError:
    options = json.dumps(training.lr_scheduler_kwargs or {})
    return InputError(
        f"--lr_scheduler_kwargs {options}: {what}; give the keys of --lr_scheduler_type {name}, or another type"
    )
