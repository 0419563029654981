"""Which task a trained model's config names: the classes in the folders below, found by their `name`."""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType

from llmtune.tasks import question_answering, text_classification, text_generation, token_classification
from llmtune.tasks.task import Task

# A new problem type is its folder and its name here; a variant of one is a file in its folder.
FOLDERS = (text_classification, token_classification, question_answering, text_generation)


@cache
def tasks() -> dict[str, type[Task]]:
    """The tasks by name, as `llmtune["task"]` in a model's config says it."""
    return {task.name: task for folder in FOLDERS for task in _tasks_in(folder)}


def _tasks_in(folder: ModuleType) -> Iterator[type[Task]]:
    for found in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}."):
        for member in vars(importlib.import_module(found.name)).values():
            if isinstance(member, type) and issubclass(member, Task) and "name" in vars(member):
                yield member


def task_of_architecture(architecture: str) -> type[Task] | None:
    """The task of a checkpoint made elsewhere, by the end of its class's name; None where none serves it."""
    endings = {task.architecture: task for task in tasks().values() if task.architecture}
    return next((task for ending, task in endings.items() if architecture.endswith(ending)), None)
