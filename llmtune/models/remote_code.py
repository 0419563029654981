"""Python code that comes with a checkpoint: `auto_map` in its config.json or tokenizer_config.json names it."""

from pickle import UnpicklingError
from typing import Any

from llmtune.errors import InputError


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


def classes_run(*loaded: Any) -> str | None:
    """The classes, of a config, a tokenizer and a model, whose code came with the checkpoint; None where none did."""
    names = [type(each).__name__ for each in loaded if type(each).__module__.startswith("transformers_modules")]
    return ", ".join(names) or None
