"""Every command, recipe, script and flag that a message, a help text or a page names exists.

Read are all strings of llmtune and of the recipes, docstrings too, the templates, the recipes' configurations and the
pages in Markdown. After `llmtune` a word in small letters is a command: write "a recipe splits it", not "llmtune splits
it".
"""

import ast
import contextlib
import io
import re
import runpy
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from llmtune.cli import build_parser

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.py"))
PAGES = [
    *ROOT.glob("README.md"),
    *ROOT.glob("CONTRIBUTING.md"),
    *ROOT.glob("AGENTS.md"),
    *(ROOT / "llmtune").rglob("*.j2"),
    *(ROOT / "recipes").rglob("*.yaml"),
]

COMMAND = re.compile(r"(?<!from )\bllmtune ([a-z]+)\b")  # but of `from llmtune import Report`
RECIPE = re.compile(r"\brecipes/([\w{}/.-]+\.\w+)")
SCRIPT = re.compile(r"\bscripts/([\w{}]+(?:\.\w+)*)")
FLAG = re.compile(r"(?<![\w-])--[a-zA-Z{][\w{}-]*")
# What is typed after a command, up to the end of the clause: `llmtune report RUN --train_file FILE`.
TYPED = r"[^.,;:)`'\"\n]*(?:\.\w[^.,;:)`'\"\n]*)*"
OF_COMMAND = re.compile(rf"\bllmtune ([a-z]+)\b({TYPED})")
OF_RECIPE = re.compile(rf"\brecipes/(\w+\.py)\b({TYPED})")

# The flags of other programs that we name, by program.
FOREIGN = {
    "accelerate launch": {
        "--cpu",
        "--mixed_precision",
        "--multi_gpu",
        "--num_processes",
        "--config_file",
        "--machine_rank",
        "--main_process_ip",
        "--num_machines",
        "--dynamo_backend",
        "--gradient_accumulation_steps",
        "--use_megatron_lm",
        "--use_parallelism_config",
    },
    "sky jobs launch": {"--env"},
    "torchrun": {"--nproc_per_node"},
    "scripts/test": {"--slow", "--transformers"},
    "scripts/audit": {"--vulnerability-service"},
    "[--flag value …]": {"--flag"},  # the usage of a recipe
}


class Text(NamedTuple):
    """A string that somebody reads; what an f-string puts in is `{}`."""

    where: str
    text: str


def strings(path: Path, root: Path = ROOT) -> Iterator[Text]:
    """All strings of a Python file, an f-string as one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            constants = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield Text(f"{path.relative_to(root)}:{node.lineno}", "".join(map(str, constants)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield Text(f"{path.relative_to(root)}:{node.lineno}", node.value)


@cache
def texts() -> list[Text]:
    sources = [*sorted((ROOT / "llmtune").rglob("*.py")), *RECIPES]
    # The custom properties of a style are written like flags.
    pages = [Text(str(path.relative_to(ROOT)), re.sub(r'style="[^"]*"', "", path.read_text("utf-8"))) for path in PAGES]
    return [*(text for path in sources for text in strings(path)), *pages]


@cache
def command_flags() -> dict[str, set[str]]:
    """The flags of each command of `llmtune`."""
    parser, commands = build_parser()
    return {"": set(parser.flags()), **{name: set(command.flags()) for name, command in commands.items()}}


OF_A_SEARCH = ("--search_trial", "--search_summary")  # what --search tells the runs that it starts; nobody types them


@cache
def recipe_flags(recipe: str) -> set[str]:
    """The flags that `recipes/NAME.py --help_all` lists."""
    output, before = io.StringIO(), sys.argv
    sys.argv = [recipe, "--help_all"]
    try:
        with contextlib.redirect_stdout(output), pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(ROOT / "recipes" / recipe), run_name="__main__")
    finally:
        sys.argv = before
    assert not stopped.value.code
    listed = re.findall(r"^\s+(--\w+)", output.getvalue(), flags=re.MULTILINE)
    return {
        "--help_all",
        *OF_A_SEARCH,
        *listed,
        *("--" + name[2:].replace("_", "-") for name in listed),
    }  # argparse takes both spellings


@cache
def files(folder: str) -> set[str]:
    return {str(path.relative_to(ROOT / folder)) for path in (ROOT / folder).rglob("*")}


def script_flags(name: str) -> set[str]:
    """The flags that a script of ours adds to its parser."""
    path = ROOT / "scripts" / name
    return set(re.findall(r'"(--[a-z_-]+)"', path.read_text(encoding="utf-8"))) if path.suffix == ".py" else set()


def known_flags() -> set[str]:
    by_recipe = [recipe_flags(recipe.name) for recipe in RECIPES]
    return set().union(*command_flags().values(), *by_recipe)


def exists(name: str, known: set[str]) -> bool:
    """Whether a name is known; one with `{}`, or NAME in a page, where a known one has those constant parts."""
    name = name.replace("NAME", "{}")
    if "{}" not in name:
        return name in known
    pattern = re.compile(re.escape(name).replace(re.escape("{}"), r"\w+"))
    return any(pattern.fullmatch(other) for other in known)


def unknown_names(texts: list[Text]) -> list[str]:
    """Each thing named that doesn't exist, with the place of the text."""
    wrong = []
    commands, flags = command_flags(), known_flags()
    for where, text in texts:
        foreign = set().union(*(names for program, names in FOREIGN.items() if program in text))
        foreign |= {flag for name in SCRIPT.findall(text) for flag in script_flags(name)}
        for name in COMMAND.findall(text):
            if name not in commands:
                wrong.append(f"{where}: no command: llmtune {name}")
        for folder, names in (("recipes", RECIPE.findall(text)), ("scripts", SCRIPT.findall(text))):
            wrong += [f"{where}: no file: {folder}/{name}" for name in names if not exists(name, files(folder))]
        for flag in FLAG.findall(text):
            if not exists(flag, flags | foreign):
                wrong.append(f"{where}: no flag: {flag}")
        for name, typed in OF_COMMAND.findall(text):
            trained = f"{typed.split()[0]}.py" if name == "train" and typed.split() else ""
            of_any = flags | foreign if name == "train" else set()
            of_recipe = recipe_flags(trained) if (ROOT / "recipes" / trained).is_file() else of_any
            for flag in FLAG.findall(typed):
                if name in commands and not exists(flag, commands[name] | of_recipe):
                    wrong.append(f"{where}: llmtune {name} has no flag {flag}")
        for name, typed in OF_RECIPE.findall(text):
            for flag in FLAG.findall(typed):
                if (ROOT / "recipes" / name).exists() and not exists(flag, recipe_flags(name) | foreign):
                    wrong.append(f"{where}: recipes/{name} has no flag {flag}")
    return wrong


def test_every_command_flag_recipe_and_script_that_is_named_exists():
    assert unknown_names(texts()) == []


def test_the_commands_name_flags_of_commands():
    # `llmtune evaluate` that says "give --learning_rate" would send its user to a flag of the recipes.
    flags = set().union(*command_flags().values())
    of_commands = [text for text in texts() if text.where.startswith(("llmtune/commands/", "llmtune/cli.py"))]

    assert of_commands
    assert [
        f"{where}: {flag}"
        for where, text in of_commands
        for flag in FLAG.findall(text)
        if not exists(flag, flags) and "recipe" not in text
    ] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("evaluate a task too (llmtune audition)", ["no command: llmtune audition"]),
        ("from llmtune import Report", []),
        ("see `recipes/spma.py`", ["no file: recipes/spma.py"]),
        ("bash scripts/tset", ["no file: scripts/tset"]),
        ("give --trian_file FILE", ["no flag: --trian_file"]),
        ("--{}_fiel {}: expected a file", ["no flag: --{}_fiel"]),
        ("run llmtune merge RUN --train_file F", ["llmtune merge has no flag --train_file"]),
        ("accelerate launch recipes/spam.py --source_column en", ["recipes/spam.py has no flag --source_column"]),
        ("llmtune train spam --train_file F --source_column en", ["llmtune train has no flag --source_column"]),
        ("torchrun --num_processes 2", ["no flag: --num_processes"]),
        ("accelerate launch --num_processes 2 recipes/ner.py --tokens_column words", []),
        ("--{}_file {}: give it, as for llmtune report RUN --train_file data.csv; --max_length is of recipes", []),
    ],
)
def test_what_does_not_exist_is_seen(text, expected):
    assert [line.removeprefix("here: ") for line in unknown_names([Text("here", text)])] == expected


def test_the_texts_of_f_strings_and_of_pages_are_read():
    wheres = {text.where.partition(":")[0] for text in texts()}

    assert any("{}" in text.text for text in texts())
    assert {"README.md", "llmtune/cli.py", "recipes/spam.py", "llmtune/report/templates/page.html.j2"} <= wheres
