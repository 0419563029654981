"""Tables made elsewhere whose cells hold several labels in one text, or whose classes have an order."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from llmtune import cli
from llmtune.errors import InputError
from llmtune.report.report import Report
from llmtune.runs.tables import open_table

REFERENCE = ["toxic; insult", "toxic", "", "insult"] * 12
PREDICTION = ["toxic", "toxic;insult", "", "insult"] * 12
SETS = "multilabel-classification"
STARS = [1, 2, 3, 4, 5] * 12
GUESSED = [1, 2, 2, 5, 5] * 12


def written(path, reference, prediction, **more):
    columns = {"reference": reference, "prediction": prediction, **more}
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.table(columns), path)
    else:
        rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
        path.write_text("\n".join([",".join(columns), *rows]) + "\n")
    return str(path)


def reported(capsys, *arguments):
    cli.run(["report", *arguments, "--format", "json"])
    return json.loads(capsys.readouterr().out)[0]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_texts_of_several_labels_are_read_by_their_separator(ending, tmp_path, capsys):
    path = written(tmp_path / f"sets{ending}", REFERENCE, PREDICTION)

    metrics = reported(capsys, path, "--kind", SETS, "--label_separator", ";")["metrics"]

    sets = [[{part.strip() for part in cell.split(";")} - {""} for cell in cells] for cells in (REFERENCE, PREDICTION)]
    binarizer = MultiLabelBinarizer().fit(sets[0])
    truth, predicted = map(binarizer.transform, sets)
    assert metrics["f1_micro"]["value"] == pytest.approx(f1_score(truth, predicted, average="micro"))
    assert metrics["f1_macro"]["value"] == pytest.approx(f1_score(truth, predicted, average="macro"))


def test_tables_of_several_labels_in_a_text_are_compared_and_opened_in_python(tmp_path, capsys):
    paths = [
        written(tmp_path / f"{name}.csv", REFERENCE, cells) for name, cells in (("a", PREDICTION), ("b", REFERENCE))
    ]

    cli.run(["compare", *paths, "--kind", SETS, "--label_separator", ";"])
    report = Report.from_predictions(REFERENCE, PREDICTION, kind=SETS, label_separator=";")

    assert "B is significantly better than A on f1_micro" in " ".join(capsys.readouterr().out.split())
    assert report.scores == Report.from_table(paths[0], kind=SETS, label_separator=";").scores


def test_without_its_separator_the_message_names_the_flag(tmp_path):
    path = written(tmp_path / "sets.csv", REFERENCE, PREDICTION)

    with pytest.raises(InputError, match="cells such as toxic;insult need --label_separator ';'"):
        cli.run(["report", path, "--kind", SETS])
    with pytest.raises(InputError, match="--label_separator '': expected what stands between two labels"):
        cli.run(["report", path, "--kind", SETS, "--label_separator", ""])


def test_classes_in_an_order_are_judged_by_weighted_kappa_and_steps(tmp_path, capsys):
    path = written(tmp_path / "stars.csv", STARS, GUESSED)

    metrics = reported(capsys, path, "--kind", "classification", "--ordinal")["metrics"]

    assert metrics["qwk"]["value"] == pytest.approx(cohen_kappa_score(STARS, GUESSED, weights="quadratic"))
    assert metrics["mae_steps"]["value"] == pytest.approx(np.abs(np.subtract(STARS, GUESSED)).mean())
    assert "decision:given" in metrics["qwk"]["signature"]
    assert "qwk" not in reported(capsys, path, "--kind", "classification")["metrics"]


def test_of_names_that_are_no_numbers_the_order_is_asked_for(tmp_path, capsys):
    names = np.array(["bad", "so so", "good"])
    reference, prediction = names[[0, 1, 2] * 20].tolist(), names[[1, 1, 2] * 20].tolist()
    path = written(tmp_path / "words.csv", reference, prediction)
    flags = [path, "--kind", "classification", "--ordinal"]

    with pytest.raises(InputError, match="bad, good, so so of .* are no numbers, whose order is known; name them from"):
        cli.run(["report", *flags])
    metrics = reported(capsys, *flags, "--labels", "bad,so so,good")["metrics"]

    assert metrics["mae_steps"]["value"] == pytest.approx(1 / 3)
    assert metrics["within_one_step"]["value"] == 1.0  # in the order of the alphabet it would be 2/3


@pytest.mark.parametrize(
    ("kind", "reference", "finding"),
    [
        ("classification", ["ham", "spam"] * 20, "is of the labels ham, spam, expected three or more classes"),
        ("regression", [0.5, 1.5] * 20, "is of a regression table, expected three or more classes; leave it out"),
    ],
)
def test_an_order_of_anything_else_is_refused(kind, reference, finding, tmp_path):
    path = written(tmp_path / "table.csv", reference, reference)

    with pytest.raises(InputError, match=finding):
        cli.run(["report", path, "--kind", kind, "--ordinal"])
    with pytest.raises(InputError, match="is a run, and its model knows whether classes have an order"):
        cli.run(["report", str(tmp_path), "--ordinal"])


def test_the_decision_of_ordered_classes_is_told_by_their_probabilities(tmp_path):
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    median = (shares.cumsum(axis=1) < 0.5).sum(axis=1)
    for name, ids in (("median", median), ("argmax", shares.argmax(axis=1)), ("given", np.arange(60) % 3)):
        columns = {f"probability[{label}]": shares[:, label] for label in range(3)}
        path = tmp_path / f"{name}.csv"
        written(path, (np.arange(60) % 3).tolist(), ids.tolist(), **columns)

        table = open_table(path, kind="classification", labels=["0", "1", "2"], ordinal=True)

        assert table.settings["decided_by"] == name


def test_a_decimal_comma_in_a_table_of_numbers_is_named(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text('reference,prediction\n1.5,"1,4"\n')

    with pytest.raises(InputError, match="row 0: prediction '1,4' has a decimal comma; write it as a point, as in 4.5"):
        cli.run(["report", str(path), "--kind", "regression"])
