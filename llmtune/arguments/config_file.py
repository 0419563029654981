"""What a run was given, to train the same again: config.yaml for `--config`, and the flags that run.json keeps."""

from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from llmtune import __version__

# Where a run is written, and what must stand in no file.
LEFT_OUT = ("output_dir", "overwrite", "resume_from_checkpoint", "hub_token", "push_to_hub_token", "logging_dir")
# Of the flags those that publish, show or search: they change no number.
NOT_TRAINING = ("hub_", "push_to_hub", "report_to", "run_name", "search", "verbose", "format")
PATHS = ("train_file", "validation_file", "test_file", "dataset_name", "model_name_or_path")


def config_text(arguments: Sequence[Any], *, precision: str, processes: int) -> str:
    """The YAML: every argument that has no default, the learning rate, epochs, batch and seed in any case.

    Args:
        arguments: the dataclasses of `Arguments`; of the training arguments what was given, before it was settled.
        precision: what `auto` became on this machine.
        processes: how many trained together.
    """
    head = (
        f"# Arguments of a run of llmtune {__version__}: give this file to --config to train the same again.\n"
        f"# There it computed in {precision}, with {processes} process{'es' if processes > 1 else ''}.\n"
    )
    return head + yaml.safe_dump(given_values(arguments), sort_keys=False, allow_unicode=True)


def given_values(arguments: Sequence[Any]) -> dict[str, Any]:
    """Plain values by name of what `config_text` writes."""
    values: dict[str, Any] = {}
    for group in arguments:
        given = getattr(group, "given_values", None) or {one.name: getattr(group, one.name) for one in fields(group)}
        defaults = {one.name: one.default_factory() if callable(one.default_factory) else one.default
                    for one in fields(group)}  # fmt: skip
        values |= {
            name: _plain(name, value)
            for name, value in given.items()
            if name not in LEFT_OUT and value is not None and (value != defaults[name] or name in ALWAYS)
        }
    return values


def reproduction(arguments: Sequence[Any], *, recipe: str, precision: str, processes: int) -> dict[str, Any]:
    """What run.json keeps to train the same again: the recipe, how many processes, and its flags, precision and all."""
    flags = {name: value for name, value in given_values(arguments).items() if not name.startswith(NOT_TRAINING)}
    if "bf16" not in flags and "fp16" not in flags:
        flags["precision"] = precision
    return {"recipe": recipe, "processes": processes, "flags": flags}


ALWAYS = (
    *("learning_rate", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps", "seed"),
    *("lr_scheduler_type", "weight_decay", "max_length"),
)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if name in PATHS and Path(value).exists():
        return str(Path(value).resolve())  # the next run may start elsewhere
    return list(value) if isinstance(value, tuple) else value
