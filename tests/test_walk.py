"""The walk is the import order: a module imports only what stands to its left."""

import ast
from pathlib import Path

import pytest

import llmtune

ROOT = Path(llmtune.__file__).parent
# fmt: off
ORDER = (
    "errors", "progress", "evidence", "arguments", "predictions", "text", "stats", "baselines", "metrics",
    "comparison", "thresholds", "data", "diagnosis", "runs", "hub", "terminal", "report", "models", "tasks", "training",
    "inference", "finish", "preflight", "commands", "cli",
)
# fmt: on
PLACE = {name: place for place, name in enumerate(ORDER)}


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """The modules of llmtune that a file imports, wherever in it, as dotted names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it points"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("llmtune.")}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_stands_to_its_left(path):
    part = part_of(path)
    assert part in PLACE, f"{part} has no place in the walk"

    for name in imported(path):
        other = name.split(".")[1]
        if other in ("__version__", part):  # leaves of one package share its helper modules
            continue
        assert other in PLACE, f"imports {name}, which has no place in the walk"
        assert PLACE[other] < PLACE[part], f"imports {name}, which stands to its right"


def test_the_package_itself_imports_nothing():
    tree = ast.parse((ROOT / "__init__.py").read_text())

    assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def test_recipes_are_under_80_lines_and_import_no_other_recipe():
    recipes = sorted((ROOT.parent / "recipes").glob("*.py"))

    assert recipes
    for recipe in recipes:
        assert len(recipe.read_text().splitlines()) < 85, recipe.name
        assert "import recipes" not in recipe.read_text()
