"""The walk is the import order: a module imports only what stands to its left."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import llmtune

ROOT = Path(llmtune.__file__).parent
# fmt: off
ORDER = (
    "closed_pipe", "disk", "imports", "errors", "whole_files", "progress", "evidence", "arguments", "text",
    "predictions", "jackknife", "stats", "baselines", "metrics", "comparison", "thresholds", "data", "diagnosis",
    "runs", "hub", "terminal", "report", "models", "tasks", "training", "inference", "trained_models", "finish",
    "preflight", "search", "benchmark", "commands", "cli", "__main__",
)
# fmt: on
PLACE = {name: place for place, name in enumerate(ORDER)}


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path: Path, *, deferred: bool = True) -> set[str]:
    """The modules of llmtune that a file imports, as dotted names; `deferred` counts those inside functions too."""
    names: set[str] = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8")), deferred=deferred):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it points"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("llmtune.")}


def statements(node: ast.AST, *, deferred: bool) -> Iterator[ast.AST]:
    """All nodes below `node`; without `deferred` only what runs while the module is being imported."""
    for child in ast.iter_child_nodes(node):
        if not deferred and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if not deferred and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from statements(child, deferred=deferred)


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(root: Path, *, deferred: bool) -> dict[str, set[str]]:
    """Each module and the modules that it imports. `import a.b.c` runs a, a.b and a.b.c, in this order.

    The packages that a module lies in are running already when it is imported: they are an edge only where the module
    names them itself, as in `import llmtune.metrics` or `from llmtune.metrics import load`.
    """
    paths = {module_name(path, root): path for path in root.rglob("*.py")}

    def edges(name: str) -> set[str]:
        targets = {nearest_module(target, paths) for target in imported(paths[name], deferred=deferred)}
        packages = {package for target in targets for package in packages_of(target)}
        return targets | (packages - {name, *packages_of(name)})

    return {name: edges(name) for name in paths}


def nearest_module(name: str, paths: Mapping[str, Path]) -> str:
    """`llmtune.errors.InputError` → `llmtune.errors`."""
    while name not in paths:
        name = name.rpartition(".")[0]
    return name


def packages_of(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that can reach each other; a module that imports itself is a group of one."""
    reached = {name: reachable(graph, name) for name in graph}
    groups = {tuple(sorted(other for other in reached[name] if name in reached[other])) for name in graph}
    return [list(group) for group in sorted(groups) if group]


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += graph[name]
    return reached


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
    """`Report` and `compare` are imported when they are asked for."""
    tree = ast.parse((ROOT / "__init__.py").read_text())

    imports = [node for node in statements(tree, deferred=False) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["from typing import TYPE_CHECKING, Any"]


def test_no_modules_import_each_other_in_a_circle():
    # Such a circle works by luck: whichever module is imported first decides whether a name exists yet.
    assert cycles(import_graph(ROOT, deferred=False)) == []


def test_imports_inside_functions_close_no_circle_either():
    # They may stand, for speed; but two modules that need each other are one module.
    assert cycles(import_graph(ROOT, deferred=True)) == []


def test_metrics_core_never_imports_the_package_around_it():
    """`metrics/__init__` imports core: a module of core that says `import llmtune.metrics` starts a circle."""
    core = sorted((ROOT / "metrics" / "core").glob("*.py"))
    graph = import_graph(ROOT, deferred=True)

    assert core
    assert [module_name(path, ROOT) for path in core if "llmtune.metrics" in graph[module_name(path, ROOT)]] == []


@pytest.mark.parametrize(
    ("files", "deferred", "expected"),
    [
        ({"a": "from llmtune.b import f", "b": "import llmtune.a"}, False, [["llmtune.a", "llmtune.b"]]),
        ({"a": "from llmtune.b import f", "b": "def f():\n    import llmtune.a"}, False, []),
        ({"a": "from llmtune.b import f", "b": "def f():\n    import llmtune.a"}, True, [["llmtune.a", "llmtune.b"]]),
        # the circle through a package's own __init__, that a look at folders alone doesn't see
        ({"p/__init__": "from llmtune.p.a import f", "p/a": "import llmtune.p"}, False, [["llmtune.p", "llmtune.p.a"]]),
        ({"p/__init__": "from llmtune.p.a import f", "p/a": "import llmtune.q", "q": ""}, False, []),
        ({"p/__init__": "import llmtune.q", "p/a": "", "q": "import llmtune.p.a"}, False, [["llmtune.p", "llmtune.q"]]),
        ({"a": "class A:\n    import llmtune.a"}, False, [["llmtune.a"]]),
    ],
)
def test_the_search_for_circles_sees_them(files, deferred, expected, tmp_path):
    root = tmp_path / "llmtune"
    for name, source in {"__init__": "", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.py").write_text(source)

    assert cycles(import_graph(root, deferred=deferred)) == expected


def test_every_folder_of_modules_is_a_package():
    # setuptools ships only folders with an __init__.py: without one, an installed llmtune lacks the folder.
    folders = {path.parent for path in modules()}

    assert [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()] == []
