"""A user's own loss, metric, module and collator: the one-line changes of the README, made to recipes/spam.py."""

import json
import random
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Your own loss, metric, model, collator")[2].partition("\n## ")[0]
CHANGES = re.findall(r"```diff\n-(.*)\n\+(.*)\n```", SECTION)
(DEFINITIONS,) = re.findall(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)
TINY = "hidden_size=16,num_attention_heads=2,intermediate_size=32,num_hidden_layers=1"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The recipe with the n-th change of the README, on 900 rows; its run.json, metrics.json and report."""
    folder = tmp_path_factory.mktemp("own")
    draw = random.Random(0)
    words = {"spam": ["win", "free", "cash"], "ham": ["see", "you", "lunch"]}
    rows = [
        (label, " ".join(draw.choices(words[label], k=draw.randint(2, 9)))) for label in ("ham", "spam", "ham") * 300
    ]
    lines = ["label,text", *(f"{label},{text} {number}" for number, (label, text) in enumerate(rows))]
    (folder / "train.csv").write_text("\n".join(lines))
    source = (ROOT / "recipes" / "spam.py").read_text(encoding="utf-8")

    def of_change(number: int | None):
        changed = source
        if number is not None:
            old, new = CHANGES[number]
            assert source.count(f"\n{old}\n") == 1, old
            changed = source.replace(f"\n{old}\n", f"\n{new}\n").replace("\nDEMO =", f"\n{DEFINITIONS}\n\nDEMO =")
        (folder / "own.py").write_text(changed)
        output = folder / f"run-{number}"
        flags = ["--train_file", str(folder / "train.csv"), "--output_dir", str(output), "--config_overrides", TINY]
        flags += [
            "--padding_free",
            "False",
            "--model_type",
            "bert",
            "--max_steps",
            "3",
            "--logging_steps",
            "1",
            "--cpu_threads",
            "1",
        ]
        assert runpy.run_path(str(folder / "own.py"))["main"]([*flags, "--precision", "fp32"]) == output
        return *(json.loads((output / f"{name}.json").read_text()) for name in ("run", "metrics")), output

    return of_change


@pytest.fixture(scope="module")
def plain(run):
    return run(None)[0]


def test_the_readme_shows_four_changes():
    assert len(CHANGES) == 4


def test_a_loss_of_ones_own_is_trained_on(run, plain):
    losses = [[log["loss"] for log in facts["training"]["losses"]] for facts in (run(0)[0], plain)]

    assert len(losses[0]) == len(losses[1]) == 3
    assert all(own != ours for own, ours in zip(*losses, strict=True))


def test_a_metric_of_ones_own_stands_beside_ours_with_an_interval(run):
    facts, metrics, output = run(1)

    score = metrics["test"]["spam_in_inbox"]
    assert 0 <= score["low"] <= score["value"] <= score["high"] <= 1
    assert "spam_in_inbox" in (output / "report.html").read_text()
    assert "eval_spam_in_inbox" in facts["training"]["evaluations"][-1]


def test_a_module_of_ones_own_is_trained_saved_and_named(run):
    facts, metrics, output = run(2)

    assert facts["model"]["name"] == "WordAverage"
    assert facts["model"]["parameters"] == facts["model"]["trainable_parameters"]
    assert metrics["test"]["f1"]["n"] == 90
    assert (output / "model.safetensors").exists()


def test_a_collator_of_ones_own_makes_the_batches(run, plain):
    facts = run(3)[0]

    assert facts["training"]["padded_tokens"] % 8 == 0
    assert facts["training"]["padded_tokens"] > plain["training"]["padded_tokens"]
