"""`llmtune train RECIPE …`: a recipe by its name, in a clone or installed, as `accelerate launch` would run it."""

import ast
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import llmtune
from llmtune.errors import InputError
from llmtune.imports import collection_paused


def train(*, recipe: str, flags: Sequence[str] = (), print_recipe: bool = False, output_format: str = "text") -> None:
    """Runs the recipe with these flags, or writes its source to stdout.

    One process runs here. Where `accelerate launch` would do otherwise (several GPUs, a saved configuration) it does.

    Raises:
        InputError: no recipe of this name.
    """
    path = find_recipe(recipe)
    if print_recipe or "--print_recipe" in flags:
        sys.stdout.write(path.read_text(encoding="utf-8"))
        return
    if output_format != "text":  # given before the recipe's name
        flags = [*flags, "--format", output_format]
    with collection_paused():  # the recipe goes on with it once it has imported what it needs
        if _needs_launcher():
            os.execv(sys.executable, [sys.executable, "-m", "llmtune.commands.launch", str(path), *flags])
        sys.argv = [str(path), *flags]
        runpy.run_path(str(path), run_name="__main__")


def recipes_folder() -> Path:
    """Where the recipes lie: within the installed package, beside it in a clone."""
    package = Path(llmtune.__file__).parent
    return next(folder for folder in (package / "recipes", package.parent / "recipes") if folder.is_dir())


def recipe_titles() -> dict[str, str]:
    """The recipes by name, each with the first line of its story."""
    paths = sorted(recipes_folder().glob("*.py"))
    stories = {path.stem: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in paths}
    return {name: (story or name).splitlines()[0] for name, story in stories.items()}


def find_recipe(name: str) -> Path:
    """The file of a recipe; `spam`, `spam.py` and `recipes/spam.py` name the same.

    Raises:
        InputError: no recipe of this name.
    """
    path = recipes_folder() / f"{Path(name).name.removesuffix('.py')}.py"
    if not path.exists():
        raise InputError(f"llmtune train {name}: no such recipe; name one of {', '.join(recipe_titles())}")
    return path


def _needs_launcher() -> bool:
    """Whether `accelerate launch` would start this otherwise than one process with default settings."""
    if "LOCAL_RANK" in os.environ:  # started by a launcher
        return False
    import torch
    from accelerate.commands.config.config_args import default_config_file

    return torch.cuda.device_count() > 1 or Path(default_config_file).exists()
