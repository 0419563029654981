"""`--search`: what is tried, what is chosen, and what is said of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtune.arguments import TrainingArguments
from llmtune.arguments.search import TrialFinished, parse_space, pop_search
from llmtune.errors import InputError
from llmtune.search import Trial, best_trial, optimism, summary, with_search


class Proposal:
    """Says what an Optuna trial would be asked."""

    def suggest_int(self, name, low, high, log):
        return ("int", low, high, log)

    def suggest_float(self, name, low, high, log):
        return ("float", low, high, log)

    def suggest_categorical(self, name, options):
        return options


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("learning_rate=1e-5..1e-4", {"learning_rate": ("float", 1e-5, 1e-4, True)}),
        ("weight_decay=0..0.1", {"weight_decay": ("float", 0.0, 0.1, False)}),
        ("num_train_epochs=2..5", {"num_train_epochs": ("int", 2, 5, False)}),
        ("--lora-r=8|16, loss=focal", {"lora_r": ["8", "16"], "loss": ["focal"]}),
    ],
)
def test_a_space_is_ranges_and_choices(text, expected):
    assert {name: choose(Proposal(), name) for name, choose in parse_space(text).items()} == expected


@pytest.mark.parametrize("text", ["", "learning_rate", "lr=", "lr=a..b", "lr=2..1", "lr=1..2..3", "a b=1|2"])
def test_a_space_that_cannot_be_read_is_refused(text):
    with pytest.raises(InputError, match=r"expected flag=low\.\.high or flag=a\|b, as in"):
        parse_space(text)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--search", "a=1|2,a=3"], "a is there twice; give each flag once"),
        (["--search", "a=1|2", "--search_trials", "0"], "--search_trials 0: expected 1 or more"),
        (["--search_trials", "3"], "--search_trials: there is nothing to try; add --search"),
        (["--search"], "expected one argument; --help lists the flags"),
    ],
)
def test_what_cannot_be_searched_is_refused(argv, message):
    with pytest.raises(InputError) as refused:
        pop_search(argv)
    assert message in str(refused.value)


def test_a_search_in_a_file_is_refused():
    with pytest.raises(InputError, match="search 'a=1': found in a file; give --search on the command line"):
        TrainingArguments(search="a=1")


def recipe(score, ran):
    """A main that scores by its flags."""

    @with_search
    def main(argv=None):
        flags = dict(zip(argv[::2], argv[1::2], strict=False))
        ran.append(argv)
        if "--search_trial" in argv:
            raise TrialFinished("f1", score(float(flags["--learning_rate"])), 0.02, True)
        return Path(flags.get("--output_dir", "runs/x"))

    return main


def test_the_best_of_the_trials_becomes_the_run():
    ran = []
    main = recipe(lambda rate: 1 - abs(np.log10(rate) + 4), ran)

    folder = main(
        ["--output_dir", "mine", "--seed", "3", "--search", "learning_rate=1e-6..1e-2", "--search_trials", "8"]
    )

    rates = [float(argv[argv.index("--learning_rate") + 1]) for argv in ran]
    assert len(ran) == 9
    assert all(1e-6 <= rate <= 1e-2 for rate in rates)
    assert rates[-1] == min(rates[:-1], key=lambda rate: abs(np.log10(rate) + 4))
    assert folder == Path("mine")
    assert all("mine" not in argv for argv in ran[:-1])  # a trial leaves nothing where the run goes
    said = ran[-1][ran[-1].index("--search_summary") + 1]
    assert said.startswith("8 trials of learning_rate=1e-6..1e-2; trial ")
    assert "no trial read the test split" in said


def test_the_same_seed_tries_the_same():
    first, second = [], []
    for ran in (first, second):
        recipe(lambda rate: rate, ran)(["--search", "learning_rate=1e-6..1e-2,lora_r=8|16", "--search_trials", "4"])

    proposals = [[argv[argv.index("--learning_rate") :][:4] for argv in ran] for ran in (first, second)]
    assert proposals[0] == proposals[1]


def test_lower_is_better_for_a_loss_and_the_first_of_equals_is_taken():
    def trials(values, higher):
        return [Trial({"a": 1}, TrialFinished("x", value, None, higher)) for value in values]

    assert best_trial(trials([0.3, 0.1, 0.1, 0.2], False)) == 1
    assert best_trial(trials([0.3, 0.1, 0.3], True)) == 0
    assert "by up to" not in summary("a=1|2", trials([0.3, 0.1], True), 0)


@given(count=st.integers(2, 200))
def test_the_optimism_is_the_expected_maximum_of_normal_values(count):
    drawn = np.random.default_rng(0).normal(size=(4000, count)).max(axis=1).mean()

    assert optimism(count, 2.0) == pytest.approx(2 * drawn, rel=0.05, abs=0.08)
    assert optimism(1, 2.0) == 0.0


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("llmtune.search.find_spec", lambda name: None)

    with pytest.raises(InputError, match=r"needs optuna, not installed here: pip install 'llmtune\[search\]'"):
        recipe(lambda rate: rate, [])(["--search", "learning_rate=1..2"])


def test_a_recipe_searches_on_validation_and_reports_it(tmp_path, capsys):
    from recipes.spam import main

    path = tmp_path / "a.csv"
    words = {"spam": "win free cash", "ham": "see you lunch"}
    path.write_text("text,label\n" + "".join(f"{words[k]} {i},{k}\n" for i in range(60) for k in words))
    tiny = "hidden_size=16,num_attention_heads=2,intermediate_size=32,num_hidden_layers=1"
    flags = ["--train_file", str(path), "--model_type", "bert", "--config_overrides", tiny, "--cpu_threads", "1"]
    flags += ["--num_train_epochs", "1", "--output_dir", str(tmp_path / "run")]

    folder = main([*flags, "--search", "learning_rate=1e-6|1e-2", "--search_trials", "3"])

    run = json.loads((folder / "run.json").read_text())
    assert run["search"].startswith("3 trials of learning_rate=1e-6|1e-2; trial ")
    assert run["arguments"]["training"]["learning_rate"] == 1e-2
    assert "3 trials of learning_rate" in (folder / "report.html").read_text()
    assert "- 3 trials of learning" in (folder / "README.md").read_text()
    assert capsys.readouterr().err.count("on validation") == 3
