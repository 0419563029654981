"""MASE of a table made elsewhere, from --naive_mae or the training series."""

import json

import numpy as np
import pytest

from llmtune import Report, cli
from llmtune.errors import InputError

SERIES = [112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118]  # the first year of AirPassengers
TRUE, FORECAST = [115, 126, 141, 135], [118, 118, 130, 140]


@pytest.fixture
def table(tmp_path):
    rows = [f"{reference},{prediction}" for reference, prediction in zip(TRUE * 10, FORECAST * 10, strict=True)]
    (tmp_path / "f.csv").write_text("\n".join(["reference,prediction", *rows]))
    (tmp_path / "train.csv").write_text("\n".join(["month,passengers", *(f"{i},{y}" for i, y in enumerate(SERIES))]))
    return tmp_path


def report(folder, *flags):
    cli.run(["report", str(folder / "f.csv"), "--kind", "regression", "--output_dir", str(folder / "r"), *flags])
    return json.loads((folder / "r" / "metrics.json").read_text())["test"]


def expected():
    """Hyndman and Koehler (2006), equation for q_t, in plain words."""
    naive = sum(abs(later - earlier) for earlier, later in zip(SERIES, SERIES[1:], strict=False)) / (len(SERIES) - 1)
    return np.mean([abs(y - f) for y, f in zip(TRUE, FORECAST, strict=True)]) / naive


def test_the_training_series_gives_mase(table):
    flags = ["--train_file", str(table / "train.csv"), "--label_column", "passengers"]

    assert report(table, *flags)["mase"]["value"] == pytest.approx(expected())


def test_the_naive_error_itself_gives_mase_and_a_target_may_ask_for_it(table):
    naive = np.abs(np.diff(SERIES)).mean()

    scores = report(table, "--naive_mae", repr(float(naive)), "--targets", "mase<=1")

    assert scores["mase"]["value"] == pytest.approx(expected())


def test_in_memory_too():
    judged = Report.from_predictions(TRUE * 10, FORECAST * 10, kind="regression", naive_mae=10.0)

    assert judged.scores["mase"].value == pytest.approx(6.75 / 10)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--naive_mae", "-1"], "--naive_mae -1.0: expected 0 or more, a mean absolute error"),
        (["--train_file", "TRAIN"], "no column 'reference'; found month, passengers; name the series by --label_col"),
        (
            ["--train_file", "ODD", "--label_column", "y"],
            "row 2 (line 3): column 'y' holds 'n/a', expected a number of the training series; mend it, or",
        ),
        (
            ["--train_file", "ONE", "--label_column", "y"],
            "1 values in column 'y', expected 2 or more, all finite",
        ),
    ],
)
def test_a_series_that_can_not_be_read_is_named(table, flags, message):
    (table / "odd.csv").write_text("x,y\n1,2\n2,n/a\n3,4\n")
    (table / "one.csv").write_text("x,y\n1,2\n")
    paths = {"TRAIN": table / "train.csv", "ODD": table / "odd.csv", "ONE": table / "one.csv"}

    with pytest.raises(InputError) as refused:
        report(table, *(str(paths.get(flag, flag)) for flag in flags))

    assert message in str(refused.value)


def test_classes_have_no_naive_error(table):
    (table / "c.csv").write_text("reference,prediction\na,a\nb,b\n")

    with pytest.raises(InputError, match="--naive_mae 1: a classification table has no MASE; leave it out"):
        cli.run(["report", str(table / "c.csv"), "--kind", "classification", "--naive_mae", "1"])
