"""The table of ranges: every number among the arguments has a row, and what is outside is refused before any data."""

import math
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import llmtune
from llmtune import cli
from llmtune.arguments import DataArguments, ModelArguments, TrainingArguments
from llmtune.arguments.parser import parse_arguments
from llmtune.arguments.ranges import MOST, MOST_TOKENS, RANGES, Range, check_number
from llmtune.errors import InputError
from llmtune.tasks.arguments import TaskArguments

ROOT = Path(llmtune.__file__).parent
MODULES = [
    import_module(f"llmtune.tasks.{path.parent.name}.arguments") for path in sorted(ROOT.glob("tasks/*/arguments.py"))
]
TASKS = [
    value
    for module in MODULES
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, TaskArguments) and value.__module__ == module.__name__
]
GROUPS = [DataArguments, ModelArguments, TrainingArguments, *TASKS]
# Flags that are a number to nobody but the recipe itself, which refuses them otherwise.
NOT_TYPED = {"search_trials"}
DATA_AND_MODEL = ["--train_file", "no_such.csv", "--model_type", "bert"]


def numbers(group):
    """Of a dataclass of arguments each field that is a number, and whether it is whole."""
    hints = get_type_hints(group)
    for field in fields(group):
        kinds = {*get_args(hints[field.name]), hints[field.name]}
        if field.init and kinds & {int, float}:
            yield field.name, float not in kinds


NUMBERS = sorted({(*number, group) for group in GROUPS for number in numbers(group)}, key=lambda row: row[0])
FIRST = {name: (whole, group) for name, whole, group in reversed(NUMBERS)}


def outside(name, whole):
    """A value on each side of a range that the flag's own type reads."""
    limits = RANGES[name]
    least = limits.low if limits.above else limits.low - (1 if whole else 0.5)
    most = limits.cap + 1 if limits.high is None else limits.high + (0 if limits.below else 1)
    values = [least, most, *([] if whole else [math.nan, math.inf, -math.inf])]
    values = [value for value in values if not (whole and not math.isfinite(value))]
    values = [int(value) if whole else value for value in values]
    return [value for value in values if value != limits.also and not limits.holds(value)]


CASES = [(name, value) for name, (whole, _) in sorted(FIRST.items()) for value in outside(name, whole)]


def test_every_number_among_the_arguments_has_a_range():
    assert len(FIRST) >= 55
    assert [name for name in FIRST if name not in RANGES] == []
    assert all(len(outside(name, whole)) >= 2 or whole for name, (whole, _) in FIRST.items())


def test_every_number_among_the_flags_of_a_command_has_a_range():
    _, commands = cli.build_parser()
    typed = {action.dest for parser in commands.values() for action in parser._actions if action.type in (int, float)}

    assert typed - RANGES.keys() == set()


def test_every_default_is_in_its_range():
    for group in GROUPS:
        for name, _ in numbers(group):
            default = next(field.default for field in fields(group) if field.name == name)
            assert default is None or RANGES[name].holds(default), (group, name, default)


@pytest.mark.parametrize(("name", "value"), CASES)
def test_a_number_outside_its_range_names_flag_value_and_range(name, value):
    with pytest.raises(InputError) as refused:
        check_number(name, value, 3)

    message = str(refused.value)
    assert message.startswith(f"--{name} {value}: expected "), message
    assert message.endswith("; leave it out for 3"), message
    assert RANGES[name].meaning in message


@pytest.mark.parametrize("name", sorted(FIRST.keys() - NOT_TYPED))
def test_a_recipe_refuses_it_before_it_looks_for_the_data(name):
    whole, group = FIRST[name]
    task = group if issubclass(group, TaskArguments) else TASKS[0]
    value = outside(name, whole)[-1]

    with pytest.raises(InputError, match=f"^--{name} {value}: expected "):
        parse_arguments(
            "spam", task, demo=Path("no_such.yaml"), argv=[*DATA_AND_MODEL, f"--{name}={value}", "--use_peft"]
        )


@pytest.mark.parametrize(
    ("limits", "value", "words"),
    [
        (Range(1), 0, "1 or more"),
        (Range(1), 2**31, f"{MOST} or less"),
        (Range(1), math.nan, "1 or more"),
        (Range(1, cap=MOST_TOKENS, unit="tokens"), MOST_TOKENS + 1, "16777216 or less tokens"),
        (Range(0.0, 1.0, below=True), 1.0, "0 or more and below 1"),
        (Range(0.0, 1.0, above=True, below=True), 0.0, "a number above 0 and below 1"),
        (Range(0.0, 1.0, above=True), 0.0, "a number above 0 and up to 1"),
        (Range(0.0, above=True), 0.0, "a number above 0"),
        (Range(0, 2**32 - 1), -1, "0 to 4294967295"),
        (Range(1, also=-1, meaning="where -1 is all"), -2, "1 or more or -1, where -1 is all"),
        (Range(meaning="either sign"), math.inf, "a finite number, either sign"),
    ],
)
def test_the_words_of_a_range(limits, value, words):
    assert not limits.holds(value)
    assert limits.words(value) == words


@pytest.mark.parametrize(
    ("limits", "value"),
    [(Range(1), 1), (Range(1), MOST), (Range(0.0, 1.0), 1.0), (Range(1, also=-1), -1), (Range(), -1e300 / 1e300)],
)
def test_the_ends_of_a_range_are_taken(limits, value):
    assert limits.holds(value)


def test_each_of_several_numbers_is_looked_at():
    check_number("concurrency", [1, 4])
    with pytest.raises(InputError, match="--concurrency 0: expected 1 or more requests at a time"):
        check_number("concurrency", [4, 0])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["check", "no_such.csv", "--max_length", "0"], "--max_length 0: expected 1 or more tokens; leave it out"),
        (["check", "no_such.csv", "--show", "-1"], "--show -1: expected 0 or more; leave it out"),
        (["report", "no_such.csv", "--seed", "-1"], "--seed -1: expected 0 to 4294967295; leave it out"),
        (["compare", "a.csv", "b.csv", "--seed", str(2**40)], "expected 0 to 4294967295; leave it out"),
        (
            ["report", "no_such.csv", "--naive_mae", "nan"],
            "--naive_mae nan: expected 0 or more, a mean absolute error; leave it out",
        ),
        (
            ["predict", "--model", "no_such", "--text", "a", "--per_device_eval_batch_size", str(2**40)],
            "expected 2147483647 or less; leave it out",
        ),
        (
            ["benchmark", "--models", "x", "--tasks", "y", "--output_dir", "z", "--timeout", "nan"],
            "--timeout nan: expected a number above 0 seconds; leave it out",
        ),
    ],
)
def test_a_command_refuses_it_before_it_looks_for_its_files(argv, message):
    with pytest.raises(InputError) as refused:
        cli.run(argv)

    assert message in str(refused.value)
