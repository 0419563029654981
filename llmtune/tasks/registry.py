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

    Of several with one architecture it is that of the config's `problem_type`; without one, as most checkpoints are,
    that of one label.
    """
    serving = [task for task in tasks().values() if "architecture" in vars(task)]
    fitting = {task.problem_type: task for task in serving if architecture.endswith(task.architecture)}
    return fitting.get(problem_type or "single_label_classification", fitting.get(None))
