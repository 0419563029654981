"""All recipes have the same body: they may differ in the task's class, its words, and the lines named here."""

import ast
import re
from pathlib import Path

import pytest

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.py"))
MOST_LINES_OF_MAIN = 45
# Lines in which a recipe may differ, once the class of its task and of its arguments are named alike.
MAY_DIFFER = {
    "task": re.compile(r"from llmtune\.tasks\.\S+ import \w+(, \w+)?"),
    "demo": re.compile(r'DEMO = Path\(__file__\)\.parent / "demo" / "\w+" / "demo\.yaml"'),
    "comment": re.compile(r"    # (Data|Model|Training|Evaluation)\. .*"),
}


def body(recipe: Path) -> list[str]:
    """The lines of a recipe as all share them: no docstring, one name for each class, no line that may differ."""
    source = recipe.read_text(encoding="utf-8")
    tree = ast.parse(source)
    main = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    arguments = next(node for node in ast.walk(main) if isinstance(node, ast.Call))
    assert ast.unparse(arguments.func) == "parse_arguments"
    name, flags = (ast.unparse(argument) for argument in arguments.args)
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in arguments.keywords}
    assert name == repr(recipe.stem)
    assert keywords.pop("recipe_defaults", "").count(":") <= 1, "a recipe has its own default of one flag at most"
    assert keywords == {"demo": "DEMO", "description": "__doc__", "argv": "argv"}
    lines = source.splitlines()
    lines[arguments.lineno - 1 : arguments.end_lineno] = ["    args = parse_arguments(…)"]
    lines = lines[ast.get_docstring(tree, clean=False).count("\n") + 1 :]
    task = re.search(r"task = (\w+)\.from_arguments", source)[1]
    shared = [line for line in lines if not any(may.fullmatch(line) for may in MAY_DIFFER.values())]
    return [re.sub(rf"\b({task}|{flags})\b", "Task", line) for line in shared]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_has_the_body_of_all_recipes(recipe):
    assert body(recipe) == body(RECIPES[0])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_the_story_of_a_recipe_fits_on_a_screen(recipe):
    (main,) = (node for node in ast.parse(recipe.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef))

    assert main.name == "main"
    assert main.end_lineno - main.lineno + 1 < MOST_LINES_OF_MAIN


def test_no_recipe_imports_another():
    assert len(RECIPES) >= 7
    for recipe in RECIPES:
        assert not re.search(r"^\s*(from|import) recipes\b", recipe.read_text(encoding="utf-8"), flags=re.MULTILINE)
