"""The arguments of a recipe, a dataclass a group: what each means stands in its help, and nowhere else."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llmtune.arguments.data import DataArguments
from llmtune.arguments.model import ModelArguments
from llmtune.arguments.text_classification import TextClassificationArguments
from llmtune.arguments.token_classification import TokenClassificationArguments
from llmtune.arguments.training import RUN_MARKER, TrainingArguments

__all__ = [
    "RUN_MARKER",
    "DataArguments",
    "ModelArguments",
    "TextClassificationArguments",
    "TokenClassificationArguments",
    "TrainingArguments",
    "describe_arguments",
]


def describe_arguments(arguments: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """The arguments by group, for run.json."""
    groups = {}
    for group in arguments:
        name = group._argument_group_name
        groups[name] = group.to_dict() if isinstance(group, TrainingArguments) else asdict(group)
    return groups
