"""One public name, one meaning: the names that once had two, each defined once in the package."""

import ast
import re
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import llmtune

ROOT = Path(llmtune.__file__).parent

# fmt: off
NAMES = {
    "Trainer", "TrainingArguments", "Examples", "Rows", "Task", "TextClassification", "TokenClassification",
    "TextGeneration", "QuestionAnswering", "FAMILIES", "HEADLINES", "INPUTS", "MAIN", "TASKS", "examples_of", "f_beta",
    "merge", "metrics_of", "parse_tag", "per_example_loss", "percent", "read_rows", "split_words", "words_of",
}
# fmt: on


def public_names(path: Path) -> set[str]:
    """The functions, classes and constants that a module defines."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            flat = [name for target in targets for name in getattr(target, "elts", [target])]
            names |= {name.id for name in flat if isinstance(name, ast.Name)}
    return {name for name in names if not name.startswith("_")}


@cache
def definitions() -> dict[str, set[str]]:
    """By public name the modules that define it."""
    homes = defaultdict(set)
    for path in ROOT.rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for name in public_names(path):
            homes[name].add(module)
    return dict(homes)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_has_one_meaning(name):
    homes = definitions().get(name, set())

    assert len(homes) <= 1, homes


# The names that a module has by its role: of a metric, a model family, a task's folder, and the commands' own.
ROLES = re.compile(r"metrics\.(?!core\.)|models\.|tasks\.\w+\.|cli$|commands\.")


def test_no_function_or_class_has_a_namesake():
    """A second meaning of a name that is not among those above, by what each module defines."""
    homes = defaultdict(set)
    for path in ROOT.rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].add(module)
    by_role = {name: {module for module in modules if not ROLES.match(module)} for name, modules in homes.items()}

    assert {name: modules for name, modules in by_role.items() if len(modules) > 1} == {}


# Words of which British and American English spell the stem in two ways.
BRITISH = re.compile(
    r"\w*(normalis|tokenis|summaris|memoris|optimis(?!t|m)|maximis|minimis|generalis|recognis|labell(?!edby)|colour|modelling"
    r"|behaviour|favour|neighbour|analyse|spelt|learnt)\w*",
    re.IGNORECASE,
)


def test_names_messages_and_comments_are_spelled_as_in_america():
    pages = [ROOT.parent / "README.md", ROOT.parent / "CONTRIBUTING.md"]
    sources = [path for folder in (ROOT, ROOT.parent / "recipes") for path in folder.rglob("*") if path.is_file()]
    read = [*pages, *(path for path in sources if path.suffix in (".py", ".j2", ".yaml"))]
    british = {match[0] for path in read for match in BRITISH.finditer(path.read_text(encoding="utf-8"))}

    assert BRITISH.search("relabelling of colours")
    assert british == set()


def test_no_module_bears_the_name_of_one_of_the_standard_library():
    modules = {path.stem for path in ROOT.glob("*.py")} | {path.name for path in ROOT.iterdir() if path.is_dir()}

    assert modules & sys.stdlib_module_names == set()
