"""The arguments of a recipe, a dataclass a group: what each means stands in its help, and nowhere else."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llmtune.arguments.data import DataArguments
from llmtune.arguments.model import ModelArguments

if TYPE_CHECKING:
    from llmtune.arguments.run_folder import RUN_MARKER
    from llmtune.arguments.training import TrainingArguments

__all__ = [
    "RUN_MARKER",
    "DataArguments",
    "ModelArguments",
    "TrainingArguments",
    "describe_arguments",
]


def __getattr__(name: str) -> Any:
    """What has the Trainer behind it: three seconds of imports that `llmtune check` does without."""
    if name in ("RUN_MARKER", "TrainingArguments"):
        from llmtune.arguments import training

        return getattr(training, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def describe_arguments(arguments: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """The arguments by group, for run.json."""
    from llmtune.arguments.training import TrainingArguments

    groups = {}
    for group in arguments:
        name = group._argument_group_name
        groups[name] = group.to_dict() if isinstance(group, TrainingArguments) else asdict(group)
    return groups
