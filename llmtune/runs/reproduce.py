"""The command that trains a run again, as card and page print it: from run.json alone."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from llmtune.runs.redact import public


def reproduce_command(run: Mapping[str, Any]) -> str | None:
    """A line for a shell, in the folder of the files that it names; None of a run that kept no flags.

    Args:
        run: the content of run.json.

    >>> flags = {"train_file": "/home/ada/my rows.csv", "seed": 3, "metrics": ["f2", "mcc"], "bf16": False}
    >>> reproduce_command({"reproduction": {"recipe": "spam", "processes": 1, "flags": flags}})
    "llmtune train spam --train_file 'my rows.csv' --seed 3 --metrics f2 mcc --bf16 False"
    """
    kept = run.get("reproduction")
    if not kept:
        return None
    recipe, processes = kept["recipe"], kept["processes"]
    start = f"llmtune train {recipe}"
    if processes > 1:
        start = f"accelerate launch --multi_gpu --num_processes {processes} recipes/{recipe}.py"
    parts = start.split()
    for name, value in public(kept["flags"]).items():
        parts += _flag(name, value)
    return shlex.join(parts)


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, list):
        return [f"--{name}", *map(str, value)] if value else []
    text = json.dumps(value) if isinstance(value, dict) else str(value)
    # What begins with a dash would be read as a flag.
    return [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]
