"""Which task a trained model's config names: the classes in the modules beside this one, found by their `name`."""

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from llmtune.tasks.task import Task


@cache
def tasks() -> dict[str, type[Task]]:
    """The tasks by name, as `llmtune["task"]` in a model's config says it."""
    found: dict[str, type[Task]] = {}
    for module in pkgutil.walk_packages([str(Path(__file__).parent)], "llmtune.tasks."):
        for member in vars(importlib.import_module(module.name)).values():
            if isinstance(member, type) and issubclass(member, Task) and "name" in vars(member):
                found[member.name] = member
    return found


def task_of_architecture(architecture: str, problem_type: str | None = None) -> type[Task] | None:
    """The task of a checkpoint made elsewhere, by the end of its class's name; None where none serves it.

    Of several that share a head, the one of the config's problem type; without one, as most checkpoints, one label.
    """
    fitting = [
        task for task in tasks().values() if "architecture" in vars(task) and architecture.endswith(task.architecture)
    ]
    wanted = problem_type or "single_label_classification"
    return next((task for task in fitting if getattr(task, "problem_type", wanted) == wanted), None)
