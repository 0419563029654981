"""Code that comes with a checkpoint: Python that `auto_map` names, kernels for its attention, pickles."""

import sys
from pickle import UnpicklingError
from typing import Any

from transformers import PretrainedConfig

from llmtune.errors import InputError

MODULES = "transformers_modules"  # where transformers puts Python files of checkpoints


def not_loadable(where: str, expected: str, error: Exception) -> InputError:
    """What is said of a checkpoint that transformers refuses: its reason, or that it brings code, and what to do."""
    if "trust_remote_code=True" in str(error):
        return InputError(
            f"{where}: comes with Python code of its own (auto_map), which was not run; read that code, then give "
            "--trust_remote_code, or name a checkpoint whose type transformers has"
        )
    if isinstance(error, UnpicklingError):  # torch's own text advises to run it
        return InputError(
            f"{where}: its pickle holds more than tensors, and could run anything; expected tensors alone: take a "
            "checkpoint with safetensors weights"
        )
    return InputError(f"{where}: {expected}: {error}")


def refuse_kernel(where: str, config: PretrainedConfig) -> None:
    """Raises `InputError` where a config, or one within it, names compiled code of the Hub for its attention."""
    kernel = str(config._attn_implementation)
    if "/" in kernel:
        raise InputError(
            f"{where}: its config.json asks for the attention of {kernel!r}, compiled code of a Hub repository, which "
            "was not loaded; delete attn_implementation from config.json, or train with --attn_implementation"
        )
    for part in vars(config).values():
        if isinstance(part, PretrainedConfig):
            refuse_kernel(where, part)


def classes_run(*loaded: Any) -> str | None:
    """The classes, of a config, a tokenizer and a model, whose code came with the checkpoint; None where none did.

    A function that writes, of a checkpoint's custom_generate/generate.py, is named too.
    """
    names = [type(each).__name__ for each in loaded if type(each).__module__.startswith(MODULES)]
    for each in loaded:
        writes = getattr(vars(each).get("generate"), "func", None) if hasattr(each, "__dict__") else None
        if writes is not None and writes.__module__.startswith(MODULES):
            names.append(f"{writes.__name__} of custom_generate")
    return ", ".join(names) or None


def say_code_run(name: str, *loaded: Any) -> None:
    """A line on stderr where a config, a tokenizer or a model ran code that came with it."""
    if names := classes_run(*loaded):
        print(f"{name}: ran code that came with it (--trust_remote_code): {names}", file=sys.stderr)
