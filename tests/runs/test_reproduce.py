"""The command that a card and a page print trains the same again, whatever stands in its values."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from llmtune.arguments.config_file import given_values, reproduction
from llmtune.runs.folder import RunFolder
from llmtune.runs.reproduce import reproduce_command

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.py"))
SIZES = "hidden_size=16,num_attention_heads=2,intermediate_size=32"
TOKEN = "hf_verySecretToken123"
TEXT, LABEL = "the 'text' of $HOME; \"all\"", "--label"


class Parsed(Exception):  # noqa: N818 - it is no error
    """The arguments of a recipe that goes no further."""


def recipe_module(path):
    specification = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def parsed(module, argv):
    """What the recipe makes of a command line, before it reads any data."""

    def stop(*args, **kwargs):
        raise Parsed(module.parse(*args, **kwargs))

    module.parse = getattr(module, "parse", module.parse_arguments)
    module.parse_arguments = stop
    with pytest.raises(Parsed) as arguments:
        module.main(argv)
    return arguments.value.args[0]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_command_of_every_recipe_asks_for_what_was_asked_for(path, tmp_path, monkeypatch):
    module, demo = recipe_module(path), path.parent / "demo" / path.stem
    asked = parsed(
        module,
        [
            "--output_dir",
            str(tmp_path / "run"),
            "--seed",
            "7",
            "--lr_scheduler_kwargs",
            '{"num_cycles": 2}',
            "--lr_scheduler_type",
            "cosine",
        ],
    )

    kept = reproduction(asked, recipe=path.stem, precision="fp32", processes=1)
    run = json.loads(json.dumps({"reproduction": kept}))
    program, train, recipe, *flags = shlex.split(reproduce_command(run))
    monkeypatch.chdir(demo)
    again = parsed(module, flags)

    assert (program, train, recipe) == ("llmtune", "train", path.stem)
    assert given_values(again) == {**given_values(asked), "precision": "fp32"}
    assert again.training.seed == 7
    assert not set(flags) & {"--output_dir", "--hub_token"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of texts and labels with awkward names."""
    folder = tmp_path_factory.mktemp("spam")
    rows = [
        {TEXT: f"{'win' if i % 3 else 'lunch'} {i % 7}", LABEL: "a 'spam'" if i % 3 else "$ham"} for i in range(120)
    ]
    (folder / "my rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    flags = ["--train_file", str(folder / "my rows.jsonl"), "--text_column", TEXT, f"--label_column={LABEL}"]
    flags += ["--positive_label", "a 'spam'", "--model_type", "bert", "--config_overrides", SIZES, "--max_steps", "6"]
    flags += ["--cpu_threads", "1", "--targets", "recall[a 'spam']>=0.1", "--metrics", "mcc", "brier"]
    flags += ["--report_to", "tensorboard", "--output_dir", str(folder / "first")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", TOKEN)
        return recipe_module(RECIPES[0].with_name("spam.py")).main(flags)


def printed_commands(run):
    card = re.search(r"```bash\n(.*)\n```", (run / "README.md").read_text())[1]
    page = re.search(r"<pre tabindex=\"0\">(llmtune train .*?)</pre>", (run / "report.html").read_text(), re.DOTALL)[1]
    for sign, entity in (("'", "&#39;"), ('"', "&#34;"), (">", "&gt;"), ("&", "&amp;")):
        page = page.replace(entity, sign)
    return card, page


def test_the_command_that_card_and_page_print_trains_the_same_model_again(run, monkeypatch):
    card, page = printed_commands(run)
    assert card == page == reproduce_command(RunFolder(run).settings)
    assert str(run.parent) not in card
    monkeypatch.chdir(run.parent)

    argv = shlex.split(card)
    recipe_module(RECIPES[0].with_name("spam.py")).main([*argv[3:], "--output_dir", "second"])

    second = run.parent / "second"
    assert json.loads((second / "metrics.json").read_text()) == json.loads((run / "metrics.json").read_text())
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (run, second))
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in ours), "same seed, same weights"


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_command_of_every_recipe_gives_the_same_numbers_and_weights(path, demo_run, tmp_path, monkeypatch):
    run = demo_run(path.stem)
    monkeypatch.chdir(path.parent / "demo" / path.stem)

    flags = shlex.split(reproduce_command(RunFolder(run).settings))[3:]
    recipe_module(path).main([*flags, "--output_dir", str(tmp_path / "again")])

    for name in ("metrics.json", "verdict.json"):
        assert json.loads((tmp_path / "again" / name).read_text()) == json.loads((run / name).read_text())
    for file in run.glob("*.safetensors"):
        first, again = load_file(file), load_file(tmp_path / "again" / file.name)
        assert all((first[name] == again[name]).all() for name in first)


def test_the_config_that_the_page_prints_asks_for_the_same(run, tmp_path, monkeypatch):
    text = re.search(r"config\.yaml</summary><pre tabindex=\"0\">(.*?)</pre>", (run / "report.html").read_text(), re.S)[
        1
    ]
    for sign, entity in (("'", "&#39;"), ('"', "&#34;"), (">", "&gt;"), ("&", "&amp;")):
        text = text.replace(entity, sign)
    kept = RunFolder(run).settings["reproduction"]["flags"]

    assert yaml.safe_load(text) == {**kept, "train_file": "my rows.jsonl"}
    (tmp_path / "config.yaml").write_text(text)
    monkeypatch.chdir(run.parent)
    arguments = parsed(recipe_module(RECIPES[0].with_name("spam.py")), ["--config", str(tmp_path / "config.yaml")])
    assert given_values(arguments)["text_column"] == TEXT


def test_no_file_of_a_run_holds_the_token_that_it_was_given(run):
    files = [path for path in run.rglob("*") if path.is_file()]

    assert {"run.json", "config.yaml", "README.md", "report.html", "trainer_state.json"} <= {p.name for p in files}
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


def test_several_processes_are_started_as_they_were():
    kept = {"recipe": "ner", "processes": 2, "flags": {"seed": 1}}

    command = reproduce_command({"reproduction": kept})

    assert command == "accelerate launch --multi_gpu --num_processes 2 recipes/ner.py --seed 1"
    assert reproduce_command({}) is None
