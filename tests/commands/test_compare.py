import json
import re

import pytest

from llmtune import cli
from llmtune.errors import InputError
from llmtune.predictions import make_predictions, write_predictions

REFERENCE = ["spam"] * 100 + ["ham"] * 100
WORSE = ["spam"] * 60 + ["ham"] * 140  # 40 spam missed
NEARLY = ["spam"] * 99 + ["ham"] * 101


def table(path, prediction, **more):
    texts = [f"message {i} about nothing" for i in range(200)]
    made = make_predictions(
        "classification",
        {"reference": REFERENCE, "prediction": prediction},
        carried={"text": texts},
        label_names=["ham", "spam"],
        **more,
    )
    write_predictions(made, path)
    return str(path)


@pytest.fixture
def files(tmp_path):
    made = {"right": REFERENCE, "worse": WORSE, "nearly": NEARLY}
    return {name: table(tmp_path / f"{name}.parquet", prediction) for name, prediction in made.items()}


@pytest.mark.parametrize(
    ("a", "b", "flags", "code"),
    [
        ("right", "worse", ["--fail-if-worse"], 1),
        ("right", "worse", ["--fail_if_worse", "--metric", "accuracy"], 1),
        ("right", "worse", [], 0),  # the gate was not asked for
        ("right", "nearly", ["--fail-if-worse"], 0),  # one row: not surely
        ("worse", "right", ["--fail-if-worse"], 0),
        ("right", "right", ["--fail-if-worse"], 0),
    ],
)
def test_the_gate_fails_only_where_b_is_surely_worse(a, b, flags, code, files):
    assert cli.run(["compare", files[a], files[b], *flags]) == code


def test_what_is_printed_names_the_rows(files, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")

    cli.run(["compare", files["right"], files["worse"], "--show", "2"])

    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "Comparison on 200 rows of the split test" in lines
    assert "B is significantly worse than A on f1 of spam: -0.250, 95 % CI [-0.333, -0.182]" in lines
    right = "only A is right on 40, only B on 0; p = 1.819e-12"  # 2 / 2**40
    assert f"McNemar's exact test of accuracy: {right}" in lines
    assert "of 200 rows B is better on 0, worse on 40, alike on 160" in lines
    assert "B loses, 2 of 40" in lines
    assert "id 60: reference spam, A spam, B ham, text message 60 about nothing" in lines
    assert "id 62: reference spam, A spam, B ham, text message 62 about nothing" not in lines
    assert "B wins" not in "".join(lines)


@pytest.mark.parametrize("columns", [60, 140])
def test_it_fits_the_terminal(columns, files, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))

    cli.run(["compare", files["right"], files["worse"]])

    printed = capsys.readouterr().out.splitlines()
    assert max(map(len, printed)) <= columns
    assert any(line.startswith("balanced_accuracy ") for line in printed)


def test_verdicts_other_than_worse(files, capsys):
    cli.run(["compare", files["worse"], files["right"]])
    cli.run(["compare", files["right"], files["nearly"]])
    cli.run(["compare", files["right"], files["right"]])

    printed = " ".join(capsys.readouterr().out.split())
    assert "B is significantly better than A on f1 of spam: +0.250, 95 % CI [" in printed
    assert re.search(
        r"No significant difference on f1 of spam: -0\.005, 95 % CI \[-0\.0\d\d, \+0\.000\]; "
        r"minimum detectable difference",
        printed,
    )
    assert "A and B give the same answer on every one of the 200 rows" in printed
    assert "every resample scores 0: the rows give no interval" in printed


@pytest.mark.parametrize(
    ("a", "b", "word"), [(["spam"] * 15, ["ham"] * 15, "worse"), (["ham"] * 15, ["spam"] * 15, "better")]
)
def test_where_rows_are_too_few_for_an_interval_mcnemar_decides_both_ways(a, b, word, tmp_path, capsys):
    for name, prediction in (("a", a), ("b", b)):
        rows = {"reference": ["spam"] * 15 + ["ham"] * 60, "prediction": prediction + ["ham"] * 60}
        made = make_predictions("classification", rows, label_names=["ham", "spam"])
        write_predictions(made, tmp_path / f"{name}.parquet")

    cli.run(["compare", str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")])

    printed = " ".join(capsys.readouterr().out.split())
    finding = f"B is significantly {word} than A on accuracy (McNemar's exact test)"  # p = 2 / 2**15
    assert f"{finding}; on f1 of spam the rows give no interval" in printed


def test_runs_are_compared_on_test_and_the_json_is_whole(tmp_path):
    for name, prediction in (("a", REFERENCE), ("b", WORSE)):
        for split in ("test", "validation"):
            table(tmp_path / name / "predictions" / f"{split}.parquet", prediction, split=split)

    runs = [str(tmp_path / name) for name in "ab"]
    cli.run(["compare", *runs, "--output_dir", str(tmp_path / "d")])

    found = json.loads((tmp_path / "d" / "comparison.json").read_text())
    assert (found["a"], found["b"], found["split"], found["rows"]) == (*runs, "test", 200)
    assert found["mcnemar"]["only_a"] == 40
    assert found["main"] == found["differences"][0]["metric"] == "f1"
    assert found["significantly_worse"] is True
    assert found["losses"] == list(range(60, 100))


def test_other_splits_are_refused(files, tmp_path):
    other = table(tmp_path / "validation.parquet", WORSE, split="validation")

    with pytest.raises(
        InputError, match=r"right\.parquet is of split 'test', .*validation\.parquet of split 'validation'"
    ):
        cli.run(["compare", files["right"], other])


def test_foreign_tables_are_compared(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("reference,prediction\nham,ham\nspam,spam\n")

    arguments = ["compare", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "--kind", "classification"]

    assert cli.run([*arguments, "--fail-if-worse"]) == 0


def test_a_metric_that_refuses_the_rows_is_one_message(files):
    with pytest.raises(InputError, match="bleu is a metric of text-generation, and this is classification; fitting"):
        cli.run(["compare", files["right"], files["worse"], "--metric", "bleu"])


def test_numbers_of_the_rows_are_rounded_as_in_the_report(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    reference = [number / 3 for number in range(40)]
    for name, error in (("a", 1 / 7), ("b", 2 / 7)):
        rows = {"reference": reference, "prediction": [number + error for number in reference]}
        write_predictions(make_predictions("regression", rows), tmp_path / f"{name}.parquet")

    cli.run(["compare", str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"), "--show", "40"])

    printed = capsys.readouterr().out
    assert "id 1: reference 0.333333, A 0.47619, B 0.619048" in printed
    assert not re.search(r"\d\.\d{9}", printed)


def test_of_a_single_row_no_plural_is_said(tmp_path, capsys):
    for name in ("a", "b"):
        write_predictions(
            make_predictions("regression", {"reference": [1.0], "prediction": [1.5]}), tmp_path / f"{name}.parquet"
        )

    cli.run(["compare", str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")])
    cli.run(["report", str(tmp_path / "a.parquet"), "--output_dir", str(tmp_path / "out")])

    printed = capsys.readouterr().out
    assert "Comparison on 1 row of the split test" in printed
    assert "Test: 1 row\n" in printed
    assert "1 row of the split" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
