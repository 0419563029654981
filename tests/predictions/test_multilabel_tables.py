"""Tables of several labels a row: written and read in each format, and what is refused."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from llmtune import Report
from llmtune.diagnosis.calibration import calibration
from llmtune.diagnosis.context import Context, diagnose
from llmtune.diagnosis.label_noise import label_noise
from llmtune.diagnosis.numerics import numerics
from llmtune.diagnosis.threshold import threshold
from llmtune.errors import InputError
from llmtune.predictions import make_predictions, read_predictions, write_predictions

KIND = "multilabel-classification"
ROWS = [(["toxic", "insult"], ["insult"]), ([], []), (["threat"], ["toxic", "threat"])]


def written(tmp_path, ending, rows=ROWS):
    path = tmp_path / f"table{ending}"
    if ending == ".jsonl":
        lines = [json.dumps({"reference": a, "prediction": b}) for a, b in rows]
        path.write_text("\n".join(lines))
    elif ending == ".parquet":
        pd.DataFrame(rows, columns=["reference", "prediction"]).to_parquet(path)
    else:
        frame = pd.DataFrame([[json.dumps(cell) for cell in row] for row in rows], columns=["reference", "prediction"])
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_lists_of_labels_are_read_in_every_format_empty_ones_too(tmp_path, ending):
    table = read_predictions(written(tmp_path, ending), kind=KIND)

    assert table.label_names == ("insult", "threat", "toxic")
    assert table.label_sets("reference").tolist() == [[True, False, True], [False] * 3, [False, True, False]]
    assert table.column("prediction") == [["insult"], [], ["threat", "toxic"]], "in the order of the labels"
    again = read_predictions(write_predictions(table, tmp_path / "ours.parquet"))
    assert again.table.equals(table.table)
    assert again.label_names == table.label_names


def test_ids_are_labels_and_nothing_but_empty_sets_is_a_column_too(tmp_path):
    ids = read_predictions(written(tmp_path, ".jsonl", [([0, 2], [2]), ([1], [])]), kind="multilabel")
    assert ids.label_names == ("0", "1", "2")
    table = make_predictions(KIND, {"reference": [[], []], "prediction": [[], []]}, label_names=["a", "b"])
    assert not table.label_sets("reference").any()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ('toxic;insult,"[]"', r"row 0: reference 'toxic;insult' is no list of labels; write a JSON list"),
        ('"[0.5, null]","[]"', r"row 0: reference \[0.5, None\] is no list of labels; write a list, such as"),
        ('"[""Toxic""]","[""toxic""]"', "predicted label is not in the references, but spelled otherwise there"),
        ('"[""a""]","[""b""]"', "no prediction is a label of the references"),
    ],
)
def test_a_cell_that_is_no_set_or_spelled_otherwise_is_refused(tmp_path, cells, message):
    path = tmp_path / "table.csv"
    path.write_text(f"reference,prediction\n{cells}\n")
    with pytest.raises(InputError, match=message):
        read_predictions(path, kind=KIND)


def test_null_is_no_set_and_unknown_labels_are_named(tmp_path):
    with pytest.raises(InputError, match=r"row 1: prediction is empty \(null\); write a list"):
        read_predictions(written(tmp_path, ".jsonl", [(["a"], ["a"]), (["b"], None)]), kind=KIND)
    with pytest.raises(InputError, match=r"row 1: reference 'toxik' is not one of the labels .*did you mean 'toxic'"):
        make_predictions(KIND, {"reference": [[], ["toxik"]], "prediction": [[], []]}, label_names=["toxic", "b"])


def test_probabilities_come_from_columns_of_labels_each_by_itself(tmp_path):
    path = tmp_path / "table.jsonl"
    row = {"reference": ["a"], "prediction": ["a", "b"], "probability[a]": 0.9, "probability[b]": 0.8}
    path.write_text(json.dumps(row))
    assert read_predictions(path, kind=KIND).probabilities().tolist() == [[0.9, 0.8]]
    del row["probability[b]"]
    path.write_text(json.dumps(row))
    assert not read_predictions(path, kind=KIND).has("probabilities"), "1 - P(a) is not P(b)"


def drawn(n=400, seed=0):
    draw = np.random.default_rng(seed)
    probabilities = draw.beta(0.4, 0.8, (n, 3))
    return probabilities, draw.random((n, 3)) < probabilities


def table_of(probabilities, truth, at=0.5, **facts):
    names = ["insult", "threat", "toxic"]
    columns = {
        "reference": [[names[i] for i in np.flatnonzero(row)] for row in truth],
        "prediction": [[names[i] for i in np.flatnonzero(row)] for row in probabilities >= at],
        "probabilities": probabilities,
    }
    return make_predictions(KIND, columns, label_names=names, **facts)


def test_probabilities_in_another_order_than_the_labels_are_refused():
    probabilities, truth = drawn()
    table = table_of(probabilities, truth).table.select(["reference", "prediction"])
    turned = table.append_column("probabilities", pa.array((1 - probabilities).tolist()))
    with pytest.raises(InputError, match="mostly have a lower probability of it than the others"):
        Report.from_table({name: turned.column(name).to_pylist() for name in turned.column_names}, kind=KIND)


def test_arrays_of_0_and_1_are_judged_as_lists_are():
    probabilities, truth = drawn()
    predicted = probabilities >= 0.5
    names = ["insult", "threat", "toxic"]

    report = Report.from_predictions(truth, predicted, probabilities, kind=KIND, labels=names)

    assert report.main_metric == "f1_micro"
    assert report.scores["f1_micro"].low < report.scores["f1_micro"].value < report.scores["f1_micro"].high
    assert report.label_matrices[0].found == (truth & predicted)[:, 0].sum()
    together = dict(report.cooccurrences)["In the references"].counts
    assert together[0, 1] == (truth[:, 0] & truth[:, 1]).sum()
    page = report._repr_html_()
    assert "Nearest to a threshold" in page
    assert "Calibration" in page
    with pytest.raises(InputError, match=r"an array of shape \(400, 3\), expected a column for each of the 2 labels"):
        Report.from_predictions(truth, predicted, kind=KIND, labels=names[:2])


def test_every_check_reads_such_a_table():
    probabilities, truth = drawn(1500)
    verdict = diagnose(Context(table_of(probabilities, truth)))
    status = {check.check: check.status for check in verdict.checks}
    assert status["numerics"] == status["evidence"] == "pass"
    assert status["calibration"] == status["label_noise"] == "pass"
    (evidence,) = (check for check in verdict.checks if check.check == "evidence")
    assert evidence.numbers["counts"]["of 'toxic'"] == truth[:, 2].sum()


def test_wrong_labels_overconfidence_broken_numbers_and_bad_thresholds_are_found():
    probabilities, truth = drawn(1500)
    flipped = truth.copy()
    flipped[:150, 0] = ~(probabilities[:150, 0] >= 0.5)
    noisy = label_noise(table_of(probabilities, flipped))
    assert noisy.status == "fail"
    assert noisy.numbers["shortlist"][0]["label"] in ("insult", "not insult")
    sure = np.clip((probabilities - 0.5) * 4 + 0.5, 0.001, 0.999)
    assert calibration(table_of(sure, truth)).status == "fail"
    broken = probabilities.copy()
    broken[0, 0] = 1.5
    assert "1 rows with a probability outside 0 to 1" in numerics(table_of(broken, truth)).finding
    worse = threshold(table_of(probabilities, truth, at=0.95, threshold=0.95))
    assert worse.status == "fail"
    assert worse.finding.startswith("The tuned threshold is significantly worse on test: micro F1 on test")
    assert (
        "a threshold is for two classes, or for several labels a row"
        in threshold(make_predictions("regression", {"reference": [1.0], "prediction": [1.0]})).finding
    )


@pytest.mark.parametrize("layout", ["lists", "separator", "columns"])
def test_the_rows_of_train_give_the_simple_models_and_the_copies(layout):
    words = {"insult": "fool", "threat": "beware", "toxic": "yuck"}
    sets = [[name for place, name in enumerate(words) if row >> place & 1] for row in range(8)] * 12
    texts = [" ".join([*(words[label] for label in labels), f"row {row}"]) for row, labels in enumerate(sets)]
    columns = {"text": texts[:48], "reference": sets[:48], "prediction": [["toxic"]] * 48}
    flags = {"separator": {"label_column": "topics", "label_separator": ";"}, "columns": {"label_columns": [*words]}}
    labels = {
        "lists": {"labels": sets[40:]},
        "separator": {"topics": [";".join(labels) for labels in sets[40:]]},
        "columns": {name: [int(name in labels) for labels in sets[40:]] for name in words},
    }[layout]

    report = Report.from_table(columns, kind=KIND, train={"text": texts[40:], **labels}, **flags.get(layout, {}))

    assert set(report.baselines) == {"majority set", "TF-IDF + logistic regression"}
    assert report.baselines["majority set"]["subset_accuracy"].value == 6 / 48
    assert report.baselines["TF-IDF + logistic regression"]["f1_micro"].value > 0.9
    (leakage,) = (check for check in report.verdict.checks if check.check == "leakage")
    assert leakage.numbers["copies"]["test/train"]["equal"] == 8
    assert leakage.numbers["copies"]["test/train"]["other_label"] == 0
