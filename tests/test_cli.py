"""The command line: fast, late imports, one message for wrong input, the same arguments as the commands take."""

import inspect
import subprocess
import sys
import time

import pytest

from llmtune import cli
from llmtune.commands.check import check
from llmtune.commands.compare import compare
from llmtune.commands.evaluate import evaluate
from llmtune.commands.export import export
from llmtune.commands.merge import merge
from llmtune.commands.predict import predict
from llmtune.commands.report import report
from llmtune.errors import InputError
from llmtune.report.judgement import JudgementOptions


def test_help_answers_within_300_ms():
    times = []
    for _ in range(5):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "llmtune.cli", "--help"], capture_output=True, text=True)
        times.append(time.perf_counter() - start)

    assert min(times) < 0.3  # the least: other programs may hold the cores
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("check", "evaluate", "predict", "merge", "report", "compare"))


@pytest.mark.parametrize("arguments", [["--help"], ["evaluate", "--help"], ["compare", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    program = (
        "import sys; from llmtune import cli\n"
        f"try: cli.run({arguments})\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'torch', 'numpy', 'transformers', 'datasets', 'pyarrow', 'pandas', 'scipy', 'rich', 'yaml'}\n"
        "print(code, sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout.splitlines()[-1] == "0 []"


def test_a_wrong_input_is_one_message_and_exit_code_2(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "llmtune.cli", "report", str(tmp_path / "no.csv"), "--kind", "classification"],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {tmp_path / 'no.csv'}: no such file")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [check, evaluate, predict, merge, export, report, compare])
def test_the_flags_are_the_commands_arguments_with_the_same_defaults(command):
    _, parsers = cli.build_parser()
    actions = {a.dest: a for a in parsers[command.__name__]._actions if a.dest != "help"}
    parameters = dict(inspect.signature(command).parameters)
    if parameters.pop("asked", None):
        # `report` takes the fields of JudgementOptions, but for `train`, which may be rows in memory.
        parameters |= inspect.signature(JudgementOptions).parameters
        parameters.pop("train")

    assert set(actions) == set(parameters)
    for name, parameter in parameters.items():
        required = parameter.default is inspect.Parameter.empty
        assert actions[name].required == required
        if not required:
            assert actions[name].default == (list(parameter.default) if parameter.default == () else parameter.default)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "llmtune: the following arguments are required: COMMAND; see llmtune --help"),
        (["evalute"], "llmtune: argument COMMAND: invalid choice: 'evalute'"),
        (
            ["merge", "run"],
            "llmtune merge: the following arguments are required: --output_dir; see llmtune merge --help",
        ),
        (["compare", "a", "b", "--fail-if-wrose"], "unknown argument '--fail-if-wrose'; did you mean --fail-if-worse?"),
        (["compare", "a", "b", "--zzz"], "llmtune compare: unknown argument '--zzz'; see llmtune compare --help"),
        (["report", "a", "--seed", "x"], "llmtune report: argument --seed: invalid int value: 'x'"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(InputError) as raised:
        cli.run(arguments)

    assert message in str(raised.value)
