"""Over three hundred bad inputs at every entry point: exit code 2 and one message; no traceback, no folder of a run."""

import re
import shutil
import sys
import time
from collections import Counter

import pytest

from llmtune import cli
from tests.bad_input.arguments import ARGUMENTS
from tests.bad_input.cases import BadInput
from tests.bad_input.models import ADAPTERS, MODELS, RUNS, BadModel
from tests.bad_input.rows import ROWS
from tests.bad_input.tables import TABLES
from tests.commands.conftest import lora_run, spam_file, spam_model  # noqa: F401 - fixtures
from tests.runs.test_run_folder import a_run

CASES = [*ROWS, *ARGUMENTS, *TABLES]


def refused(argv, monkeypatch, capsys):
    """The message of the command in this process; anything but exit code 2 with it fails the test."""
    monkeypatch.setattr(sys, "argv", ["llmtune", *argv])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert ended.value.code == 2, told
    assert "Traceback" not in told
    errors = re.split(r"^error: ", told, flags=re.MULTILINE)
    assert len(errors) == 2, told
    return errors[1]


def test_there_are_enough_cases_and_none_is_there_twice():
    assert len(CASES) >= 200
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_input_is_one_message(case: BadInput, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, content in case.files.items():
        (tmp_path / name).write_bytes(content)

    message = refused(case.argv.split(), monkeypatch, capsys)

    assert [text for text in case.says if text not in message] == [], message
    assert len(message) < 2_500, "not the whole input"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(case.files), "nothing is left"


def commands(model, spam_file, out):  # noqa: F811
    """By name, what reads a model."""
    return {
        "predict": ["predict", "--model", str(model), "--text", "see you", "--cpu_threads", "1"],
        "evaluate": ["evaluate", "--model", str(model), "--test_file", str(spam_file), "--output_dir", str(out)],
        "train": [
            "train",
            "spam",
            "--train_file",
            str(spam_file),
            "--model_name_or_path",
            str(model),
            "--max_steps",
            "1",
        ]
        + ["--cpu_threads", "1", "--output_dir", str(out)],
        "check": ["check", str(spam_file), "--model_name_or_path", str(model)],
        "merge": ["merge", str(model), "--output_dir", str(out)],
    }


def refuses(bad: BadModel, model, spam_file, tmp_path, monkeypatch, capsys):  # noqa: F811
    folder = shutil.copytree(model, tmp_path / "model")
    bad.harm(folder)

    for name in bad.commands:
        message = refused(commands(folder, spam_file, tmp_path / "out")[name], monkeypatch, capsys)
        assert str(folder) in message, (name, message)
        assert [text for text in bad.says if text not in message] == [], (name, message)
        assert len(message) < 2_500, "not the whole file"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("bad", MODELS, ids=lambda bad: bad.name)
def test_a_bad_model_is_one_message(bad, spam_model, spam_file, tmp_path, monkeypatch, capsys):  # noqa: F811
    refuses(bad, spam_model, spam_file, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("bad", ADAPTERS, ids=lambda bad: bad.name)
def test_a_bad_adapter_is_one_message(bad, lora_run, spam_file, tmp_path, monkeypatch, capsys):  # noqa: F811
    refuses(bad, lora_run, spam_file, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(("harm", "says"), [case[1:] for case in RUNS], ids=[case[0] for case in RUNS])
def test_a_bad_run_is_one_message(harm, says, tmp_path, monkeypatch, capsys):
    run = a_run(tmp_path / "run")
    harm(run)

    message = refused(["report", str(run)], monkeypatch, capsys)

    assert [text for text in says if text not in message] == [], message
    assert not (run / "report.html").exists()


def test_five_thousand_classes_are_looked_through_in_seconds(tmp_path, monkeypatch, capsys):
    rows = [f"text {number} of word{number % 5000},c{number % 5000}" for number in range(10_000)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows]))
    begun = time.process_time()

    assert cli.run(["check", str(tmp_path / "train.csv")]) == 0

    assert "c0 2 (0.0 %)" in capsys.readouterr().out.replace("\n", " ")
    assert time.process_time() - begun < 60  # each label with each took minutes
