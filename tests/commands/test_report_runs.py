"""Folds and seeds as one result."""

import json

import numpy as np
import pytest

from llmtune import cli
from llmtune.errors import InputError
from llmtune.predictions import make_predictions, write_predictions


def make_run(folder, accuracy, *, fold=None, rows=60, seed=0, names=("ham", "spam"), baseline=None, losses=()):
    """A run's test table; the rows follow from the fold, the answers from the seed."""
    reference = np.random.default_rng(int(fold[0]) if fold else 99).integers(0, 2, rows)
    right = np.random.default_rng(seed).permutation(rows) < round(accuracy * rows)

    def table(right):
        said = np.where(right, reference, 1 - reference)
        columns = {"reference": [names[i] for i in reference], "prediction": [names[i] for i in said]}
        return make_predictions("classification", columns, label_names=names)

    write_predictions(table(right), folder / "predictions" / "test.parquet")
    if baseline is not None:
        poor = np.random.default_rng(5).permutation(rows) < round(baseline * rows)
        write_predictions(table(poor), folder / "predictions" / "baselines" / "tfidf.parquet")
    evaluations = [
        {"step": step, "curves": {"step": step, "train": {"loss": 1 / (step + 1)}, "validation": {"loss": loss}}}
        for step, loss in enumerate(losses)
    ]
    said = {"arguments": {"data": {"fold": fold}, "task": {}}, "training": {"evaluations": evaluations}}
    (folder / "run.json").write_text(json.dumps(said))
    return str(folder)


def test_folds_are_one_table_with_mean_and_spread(tmp_path, capsys):
    runs = [
        make_run(tmp_path / f"r{i}", accuracy, fold=f"{i}/3", seed=i, baseline=0.6)
        for i, accuracy in ((1, 0.9), (2, 0.8), (3, 1.0))
    ]

    cli.run(["report", *runs, "--output_dir", str(tmp_path / "all")])

    printed = capsys.readouterr().out
    assert "one table of 3 folds, 180 rows, each tested once" in printed
    mean = next(line for line in printed.splitlines() if line.startswith("mean"))
    deviation = next(line for line in printed.splitlines() if line.startswith("std"))
    assert mean.split()[1] == "0.900"
    assert deviation.split()[1] == "0.100"
    scores = json.loads((tmp_path / "all" / "metrics.json").read_text())
    assert scores["test"]["accuracy"]["value"] == pytest.approx(0.9)
    assert scores["test"]["accuracy"]["n"] == 180
    verdict = json.loads((tmp_path / "all" / "verdict.json").read_text())
    checks = {check["check"]: check for check in verdict["checks"]}
    assert verdict["verdict"] == "no_target"
    assert checks["baseline"]["status"] == "pass"
    assert not (tmp_path / "r1" / "metrics.json").exists()


def test_seeds_of_one_test_split_are_no_new_rows(tmp_path, capsys):
    runs = [make_run(tmp_path / f"s{i}", accuracy, seed=i) for i, accuracy in ((1, 0.7), (2, 0.95), (3, 0.8))]

    cli.run(["report", *runs, "--output_dir", str(tmp_path / "all")])

    assert "3 runs tested the same rows" in capsys.readouterr().out
    scores = json.loads((tmp_path / "all" / "metrics.json").read_text())
    assert scores["test"]["accuracy"]["n"] == 60
    assert scores["test"]["accuracy"]["value"] == pytest.approx(0.8)


def test_a_missing_fold_is_said(tmp_path, capsys):
    cli.run(["report", make_run(tmp_path / "a", 0.9, fold="1/3"), make_run(tmp_path / "b", 0.9, fold="2/3")])

    assert "only 2 of 3 folds are here" in capsys.readouterr().out


def test_runs_that_do_not_fit_are_refused(tmp_path):
    one = make_run(tmp_path / "one", 0.9, fold="1/3")
    pairs = [
        (make_run(tmp_path / "alone", 0.9), [], "tested fold 1/3, .*alone a test split of its own"),
        (make_run(tmp_path / "five", 0.9, fold="2/5"), [], "give runs of the same K folds"),
        (make_run(tmp_path / "labels", 0.9, fold="2/3", names=("a", "b")), [], "differ in kind or labels"),
        (make_run(tmp_path / "rows", 0.9, fold="1/3", rows=50), [], "tested different rows of fold 1/3"),
        (one, [], "a run is named twice"),
        (
            make_run(tmp_path / "two", 0.9, fold="2/3"),
            ["--train_file", "t.csv"],
            "are of one run, and these are several",
        ),
    ]

    for other, flags, message in pairs:
        with pytest.raises(InputError, match=message):
            cli.run(["report", one, other, *flags])


def test_each_fold_is_judged_by_its_own_curves(tmp_path):
    losses = {1: [0.5, 0.3, 0.4, 0.6], 2: [0.5, 0.3, 0.5, 0.6], 3: [0.5, 0.3, 0.3, 0.3]}
    runs = [make_run(tmp_path / f"r{i}", 0.9, fold=f"{i}/3", seed=i, losses=losses[i]) for i in losses]

    cli.run(["report", *runs, "--output_dir", str(tmp_path / "all")])

    checks = json.loads((tmp_path / "all" / "verdict.json").read_text())["checks"]
    found = next(check for check in checks if check["check"] == "overfitting")
    assert found["status"] == "fail"
    assert "2 of 3 runs memorized their training set" in found["finding"]
    assert {name: of["status"] for name, of in found["numbers"]["runs"].items()} == {
        "r1": "fail",
        "r2": "fail",
        "r3": "pass",
    }
