"""`llmtune train`: the recipes by name, from the clone and from the wheel, as accelerate launch runs them."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from llmtune import cli
from llmtune.commands import train as command
from llmtune.errors import InputError

ROOT = Path(__file__).parents[2]
TINY = "hidden_size=16,num_attention_heads=2,intermediate_size=32,num_hidden_layers=1"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The wheel, built and unpacked as pip would."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; it comes with the extra 'test'")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=200)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(*command, folder, site=ROOT):
    away = {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env={**os.environ, **away}, capture_output=True, text=True, timeout=300)


@pytest.fixture
def messages(tmp_path):
    rows = [f"{'win cash' if i % 3 == 0 else 'see you'} {i},{'spam' if i % 3 == 0 else 'ham'}" for i in range(60)]
    (tmp_path / "messages.csv").write_text("\n".join(["text,label", *rows]))
    return tmp_path


def test_the_installed_package_trains_as_accelerate_launch_does_in_the_clone(site, messages):
    flags = ["--train_file", "messages.csv", "--model_type", "bert", "--config_overrides", TINY, "--max_steps", "3"]
    flags += ["--format", "json"]

    installed = run(
        sys.executable, "-m", "llmtune", "train", "spam", *flags, "--output_dir", "a", folder=messages, site=site
    )
    launcher = [str(Path(sys.executable).with_name("accelerate")), "launch"]
    launched = run(*launcher, str(ROOT / "recipes" / "spam.py"), *flags, "--output_dir", "b", folder=messages)

    assert installed.returncode == launched.returncode == 0, installed.stderr[-2000:] + launched.stderr[-2000:]
    a, b = (json.loads((messages / name / "metrics.json").read_text()) for name in "ab")
    assert a == b
    weights = [(messages / name / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    documents = [json.loads(done.stdout) for done in (installed, launched)]
    assert {**documents[0], "run": "b"} == documents[1]
    assert "Test: " in installed.stderr


def test_the_installed_package_writes_out_its_recipes_and_holds_their_demos(site, tmp_path):
    printed = run(sys.executable, "-m", "llmtune", "train", "--print_recipe", "spam", folder=tmp_path, site=site)

    assert printed.stdout == (ROOT / "recipes" / "spam.py").read_text()
    for path in (ROOT / "recipes").rglob("*.*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert (site / "llmtune" / path.relative_to(ROOT)).read_bytes() == path.read_bytes()
    assert not (site / "tests").exists()


@pytest.mark.parametrize(
    "flags", [["--print_recipe", "ner"], ["ner", "--print_recipe"], ["recipes/ner.py", "--print_recipe"]]
)
def test_a_recipe_is_written_out_to_be_edited(flags, capsys):
    cli.run(["train", *flags])

    assert capsys.readouterr().out == (ROOT / "recipes" / "ner.py").read_text()


def test_a_recipe_edited_elsewhere_says_that_its_demo_is_not_there(tmp_path):
    (tmp_path / "mine.py").write_text((ROOT / "recipes" / "spam.py").read_text())

    done = run(sys.executable, "mine.py", folder=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith("error: neither data nor a model was named, and the demo does not lie at ")
    assert "add --train_file FILE and --model_name_or_path ID_OR_FOLDER" in done.stderr


def test_help_of_a_recipe_names_both_ways_to_run_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["llmtune"])

    with pytest.raises(SystemExit) as ended:
        cli.run(["train", "spam", "--help"])

    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "accelerate launch recipes/spam.py [--config" in printed
    assert "llmtune train spam [--config" in printed
    assert "--text_column" in printed


def test_an_unknown_recipe_is_named_with_those_there_are():
    with pytest.raises(InputError, match="llmtune train spma: no such recipe; name one of .*ner, pii, .*spam, "):
        cli.run(["train", "spma"])


def test_python_m_llmtune_is_the_command(tmp_path):
    done = run(sys.executable, "-m", "llmtune", "--version", folder=tmp_path)

    assert done.stdout.startswith("llmtune 0")


@pytest.mark.parametrize(("gpus", "saved", "launcher"), [(1, False, False), (2, False, True), (0, True, True)])
def test_where_accelerate_launch_would_do_otherwise_it_is_called(gpus, saved, launcher, tmp_path, monkeypatch):
    import accelerate.commands.config.config_args as config
    import torch

    class Replaced(Exception):
        """The process image is another."""

    def execv(program, arguments):
        raise Replaced(arguments)

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(config, "default_config_file", str(tmp_path if saved else tmp_path / "none"))
    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(command.runpy, "run_path", lambda path, run_name: None)
    monkeypatch.setattr(sys, "argv", ["llmtune"])

    if not launcher:
        command.train(recipe="spam", flags=["--seed", "1"])
        assert sys.argv == [str(ROOT / "recipes" / "spam.py"), "--seed", "1"]
        return
    with pytest.raises(Replaced) as called:
        command.train(recipe="spam", flags=["--seed", "1"])
    arguments = called.value.args[0]
    assert arguments[1:] == ["-m", "llmtune.commands.launch", str(ROOT / "recipes" / "spam.py"), "--seed", "1"]
