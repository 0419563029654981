"""Against sklearn, which defines these numbers, and the published vectors (notes/evaluation.md, section 3)."""

import math
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk
from torchmetrics.functional import classification as tm

from llmtune.metrics import confusion_matrix, metrics_to_json, score_predictions
from llmtune.metrics.ece import null_distribution
from llmtune.predictions import Predictions, make_predictions

EXACT = {"rel": 1e-12, "abs": 1e-12}


def table(reference, prediction, labels, probabilities=None, **settings):
    names = np.array(labels)
    columns = {"reference": pa.array(names[reference].tolist(), pa.string())}
    columns["prediction"] = pa.array(names[prediction].tolist(), pa.string())
    if probabilities is not None:
        columns["probabilities"] = np.asarray(probabilities)
    return make_predictions("classification", columns, label_names=labels, **settings)


def values(*args, metrics=(), **settings):
    return {name: score.value for name, score in score_predictions(table(*args, **settings), metrics=metrics).items()}


def counted(tp, fn, fp, tn):
    reference = np.repeat([1, 1, 0, 0], [tp, fn, fp, tn])
    prediction = np.repeat([1, 0, 1, 0], [tp, fn, fp, tn])
    return table(reference, prediction, ["ham", "spam"])


@st.composite
def labelled_rows(draw, most_classes=5):
    classes = draw(st.integers(2, most_classes))
    n = draw(st.integers(1, 60))
    ids = hnp.arrays(np.int64, n, elements=st.integers(0, classes - 1))
    return draw(ids), draw(ids), classes


@pytest.mark.parametrize(
    ("counts", "accuracy", "precision", "recall", "f1"),
    [
        ((2, 2, 0, 6), 0.80, 1.00, 0.50, 0.67),  # 10 messages
        ((3, 1, 1, 5), 0.80, 0.75, 0.75, 0.75),  # the same after tuning
        ((70, 30, 20, 80), 0.75, 0.78, 0.70, 0.74),
        ((3, 19, 1, 977), 0.98, 0.75, 0.136, 0.231),  # accuracy paradox
    ],
)
def test_the_worked_examples_of_the_field(counts, accuracy, precision, recall, f1):
    scores = score_predictions(counted(*counts))

    found = [scores[name].value for name in ("accuracy", "precision", "recall", "f1")]
    assert found == pytest.approx([accuracy, precision, recall, f1], abs=5e-3)


def test_the_accuracy_paradox_shows_in_mcc_and_the_wide_recall():
    scores = score_predictions(counted(3, 19, 1, 977))

    assert scores["mcc"].value == pytest.approx(0.315, abs=5e-4)
    assert scores["balanced_accuracy"].value == pytest.approx(0.568, abs=5e-4)
    assert (scores["recall"].low, scores["recall"].high) == pytest.approx((0.047, 0.333), abs=5e-4)
    assert scores["f1"].low is None
    assert scores["f1"].reason == "22 rows of 'spam': an interval needs 30"


@settings(max_examples=200, deadline=None)
@given(labelled_rows())
def test_every_score_of_the_matrix_is_sklearns(rows):
    reference, prediction, classes = rows
    labels = list(range(classes))

    found = values(reference, prediction, [str(label) for label in labels], metrics=["f_beta"])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": sk.accuracy_score(reference, prediction),
            "mcc": sk.matthews_corrcoef(reference, prediction),
        }
        expected["balanced_accuracy"] = sk.balanced_accuracy_score(reference, prediction)
        for beta, name in ((0.5, "f0.5"), (1, "f1"), (2, "f2")):
            for average in ("macro", "micro", "weighted"):
                expected[f"{name}_{average}"] = sk.fbeta_score(
                    reference, prediction, beta=beta, labels=labels, average=average, zero_division=0
                )
            each = sk.fbeta_score(reference, prediction, beta=beta, labels=labels, average=None, zero_division=0)
            expected |= {f"{name}[{label}]": each[label] for label in labels}
        for name, function in (("precision", sk.precision_score), ("recall", sk.recall_score)):
            for average in ("macro", "micro", "weighted"):
                expected[f"{name}_{average}"] = function(
                    reference, prediction, labels=labels, average=average, zero_division=0
                )
            if classes == 2:
                expected[name] = function(reference, prediction, zero_division=0)
        kappa = sk.cohen_kappa_score(reference, prediction, labels=labels)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, **EXACT), name
    if math.isfinite(kappa):
        assert found["cohen_kappa"] == pytest.approx(kappa, **EXACT)
    else:
        assert found["cohen_kappa"] is None


@settings(max_examples=150, deadline=None)
@given(labelled_rows(), st.integers(0, 2**32 - 1), st.booleans())
def test_every_score_of_probabilities_is_sklearns(rows, seed, coarse):
    reference, prediction, classes = rows
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(classes), len(reference))
    if coarse:  # ties
        probabilities[:, 0] = np.round(probabilities[:, 0], 1)
        probabilities[:, 1:] *= ((1 - probabilities[:, 0]) / probabilities[:, 1:].sum(axis=1))[:, None]
    labels = list(range(classes))

    found = values(reference, prediction, [str(label) for label in labels], probabilities)

    assert found["log_loss"] == pytest.approx(sk.log_loss(reference, probabilities, labels=labels), rel=1e-9)
    brier = sk.brier_score_loss(reference, probabilities, labels=labels)
    assert found["brier"] == pytest.approx(brier, **EXACT)
    if classes == 2:
        positives = int(reference.sum())
        if 0 < positives < len(reference):
            assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(reference, probabilities[:, 1]), **EXACT)
        else:
            assert found["roc_auc"] is None
        if positives:
            expected = sk.average_precision_score(reference, probabilities[:, 1])
            assert found["average_precision"] == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize("classes", [2, 4])
def test_ece_is_torchmetrics(classes):
    import torch

    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(classes), 2000)
    reference = (rng.random(2000)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    probabilities[:3], reference[:3] = np.eye(classes)[[0, 1, 1]], 1  # exactly 0 and 1
    p, y = torch.tensor(probabilities), torch.tensor(reference)

    found = values(reference, reference, [str(label) for label in range(classes)], probabilities)

    if classes == 2:
        expected = tm.binary_calibration_error(p[:, 1], y, n_bins=15)
    else:
        expected = tm.multiclass_calibration_error(p, y, classes, n_bins=15)
    assert found["ece"] == pytest.approx(float(expected), rel=1e-5)


def test_a_calibrated_model_shows_the_null_value_of_ece():
    rng = np.random.default_rng(0)
    p = rng.random(1000)
    probabilities = np.stack([1 - p, p], axis=1)
    reference = (rng.random(1000) < p).astype(int)

    scores = values(reference, reference, ["a", "b"], probabilities)
    null = null_distribution({"reference": reference, "probabilities": probabilities}, 1)

    assert 0.02 < null.mean() < 0.05  # chance alone, of 1,000 rows
    assert scores["ece_null"] == pytest.approx(null.mean(), rel=0.1)
    assert null.min() < scores["ece"] < np.quantile(null, 0.995)


def test_published_vectors():
    y, p = [0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1]
    found = values(y, p, ["a", "b", "c"])
    assert [found[f"f1[{name}]"] for name in "abc"] == pytest.approx([0.8, 0, 0])
    assert (found["f1_macro"], found["f1_micro"], found["f1_weighted"]) == pytest.approx((0.8 / 3, 1 / 3, 0.8 / 3))
    # A class that is named counts in macro, one that is only predicted does not hide: .8333 with labels 0 and 1 alone.
    assert values([0, 0, 1], [0, 2, 1], ["a", "b", "c"])["f1_macro"] == pytest.approx(0.5556, abs=1e-4)
    assert values([1, 1, 1, 0], [1, 0, 1, 1], ["a", "b"])["mcc"] == pytest.approx(-1 / 3)
    assert values([0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1], ["a", "b"])["balanced_accuracy"] == pytest.approx(0.625)

    p = np.array([0.1, 0.4, 0.35, 0.8])
    found = values([0, 0, 1, 1], [0, 0, 0, 1], ["a", "b"], np.stack([1 - p, p], axis=1))
    assert (found["average_precision"], found["roc_auc"]) == pytest.approx((0.8333, 0.75), abs=1e-4)
    p = np.array([0.1, 0.9, 0.8, 0.3])
    found = values([0, 1, 1, 0], [0, 1, 1, 0], ["a", "b"], np.stack([1 - p, p], axis=1))
    assert (found["brier"], found["log_loss"]) == pytest.approx((0.0375, 0.1976), abs=1e-4)
    found = values([0, 1, 2], [0, 1, 2], ["a", "b", "c"], [[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]])
    assert found["brier"] == pytest.approx(0.12)


def test_the_positive_label_may_be_the_first():
    scores = score_predictions(table([0, 0, 1, 1], [0, 1, 1, 1], ["spam", "ham"], positive_label="spam"))

    assert scores["recall"].value == 0.5
    assert "positive:spam" in scores["recall"].signature


def test_another_threshold_shows_the_result_at_one_half_too():
    p = np.linspace(0.01, 0.99, 200)
    reference = (p > 0.3).astype(int)
    stored = table(reference, (p >= 0.3).astype(int), ["ham", "spam"], np.stack([1 - p, p], axis=1), threshold=0.3)

    scores = score_predictions(stored)

    assert scores["recall"].value == pytest.approx(1.0)
    assert scores["recall@0.5"].value == pytest.approx(sk.recall_score(reference, p >= 0.5))
    assert "threshold:0.3" in scores["f1"].signature
    assert "threshold:0.5" in scores["f1@0.5"].signature
    assert "f1@0.5" not in score_predictions(table(reference, reference, ["ham", "spam"]))


def test_probabilities_that_are_not_finite_are_counted_and_labels_still_scored():
    probabilities = np.full((40, 2), 0.5)
    probabilities[3, 0] = np.nan

    scores = score_predictions(table([0, 1] * 20, [0, 1] * 20, ["a", "b"], probabilities, threshold=0.4))

    assert scores["accuracy"].value == 1.0
    for name in ("log_loss", "roc_auc", "ece", "f1@0.5"):
        assert scores[name].value is None
        assert scores[name].reason == "1 of 40 rows have no finite probabilities"


def test_without_probabilities_their_metrics_are_absent():
    assert "roc_auc" not in score_predictions(table([0, 1], [0, 1], ["a", "b"]))


def test_undefined_scores_keep_sklearns_value_and_say_why():
    never_spam = score_predictions(table([0, 1] * 50, [0] * 100, ["ham", "spam"]))

    assert never_spam["precision"].value == 0.0
    assert never_spam["precision"].low is None
    assert (
        never_spam["precision"].reason == "no predictions of 'spam': precision is 0/0 there, set to 0 (zero_division=0)"
    )
    assert never_spam["mcc"].reason.startswith("every prediction is the same class")
    assert never_spam["f1"].value == 0.0


def test_a_perfect_f1_still_has_an_interval():
    score = score_predictions(counted(40, 0, 0, 60))["f1"]

    assert score.high == 1.0
    assert 0.9 < score.low < 1.0  # Wilson of 40 of 40, as F1


def test_no_rows_are_no_crash():
    text, lists = pa.array([], pa.string()), pa.array([], pa.list_(pa.float64()))
    rows = pa.table({"reference": text, "prediction": text, "probabilities": lists})
    empty = score_predictions(Predictions("classification", rows, label_names=("a", "b")))

    assert {score.reason is None for score in empty.values()} == {False}
    assert {score.low for score in empty.values()} == {None}


def test_json_holds_plain_numbers_and_the_signature():
    found = metrics_to_json(score_predictions(counted(70, 30, 20, 80), seed=7))

    assert set(found["f1"]) == {"value", "low", "high", "n", "signature"}
    assert type(found["f1"]["value"]) is type(found["f1"]["low"]) is float
    assert found["f1"]["low"] < found["f1"]["value"] < found["f1"]["high"]
    assert "seed:7" in found["f1"]["signature"]
    assert found["f1"]["n"] == 200


@settings(max_examples=50, deadline=None)
@given(labelled_rows(), st.randoms())
def test_the_order_of_rows_changes_nothing(rows, random):
    reference, prediction, classes = rows
    order = list(range(len(reference)))
    random.shuffle(order)
    labels = [str(label) for label in range(classes)]
    probabilities = np.random.default_rng(0).dirichlet(np.ones(classes), len(reference))

    given_order = score_predictions(table(reference, prediction, labels, probabilities))
    other = score_predictions(table(reference[order], prediction[order], labels, probabilities[order]))

    for name, score in given_order.items():
        assert other[name].value == (None if score.value is None else pytest.approx(score.value, rel=1e-12)), name
    assert other["f1_macro"] == given_order["f1_macro"]


def test_an_id_outside_the_classes_is_named_with_its_row():
    with pytest.raises(ValueError, match="id 2 is not one of the 2 classes 0 to 1; name all labels in label_names"):
        confusion_matrix([0, 1], [0, 2], 2)
    with pytest.raises(ValueError, match="3 references but 2 predictions; give one of each a row"):
        confusion_matrix([0, 1, 1], [0, 1], 2)
    with pytest.raises(ValueError, match="give whole numbers 0 to 1"):
        confusion_matrix(np.array([0.0, 1.0]), [0, 1], 2)


def test_an_unknown_metric_names_those_we_have():
    with pytest.raises(ValueError, match="none of ours .*accuracy.*Check the name"):
        score_predictions(counted(1, 1, 1, 1), metrics=["acuracy"])


def test_a_metric_whose_package_is_missing_names_it(tmp_path):
    (tmp_path / "needy.py").write_text("import no_such_package\nimport evaluate\n")

    with pytest.raises(ValueError, match=r"needy.*no_such_package.*; install what it requires, or leave it out"):
        score_predictions(counted(1, 1, 1, 1), metrics=[str(tmp_path / "needy.py")])


def test_a_class_that_was_never_found_may_still_be_found_sometimes():
    # 355 true negatives, 5 false alarms, 40 missed, none found: the recall may be up to 8.8 %.
    scores = score_predictions(counted(0, 40, 5, 355))

    for name, score in (
        ("f1_macro", sk.f1_score),
        ("mcc", sk.matthews_corrcoef),
        ("cohen_kappa", sk.cohen_kappa_score),
    ):
        reference, prediction = [1] * 40 + [0] * 360, [1] * 3 + [0] * 37 + [1] * 5 + [0] * 355  # recall 7.5 %
        options = {"average": "macro"} if name == "f1_macro" else {}
        assert scores[name].high > score(reference, prediction, **options), name


def test_what_is_always_right_has_an_interval_that_narrows_with_its_rows():
    few, many = score_predictions(counted(40, 0, 0, 60)), score_predictions(counted(400, 0, 0, 600))

    for name in ("f1_macro", "mcc", "cohen_kappa"):
        assert few[name].value == few[name].high == many[name].high == 1.0
        assert 0.8 < few[name].low < many[name].low < 1.0


@pytest.mark.parametrize("recall", [0.03, 0.1])
def test_the_interval_of_a_rarely_found_class_covers(recall):
    rng = np.random.default_rng(5)
    shares = np.array([[355, 5], [40 * (1 - recall), 40 * recall]]) / 400
    true = macro_f1(shares)
    covered = 0
    for _ in range(100):
        (tn, fp), (fn, tp) = rng.multinomial(400, shares.ravel()).reshape(2, 2)
        score = score_predictions(counted(tp, fn, fp, tn))["f1_macro"]
        covered += score.low is None or score.low <= true <= score.high

    assert covered >= 88


def macro_f1(matrix):
    return np.mean([2 * matrix[k, k] / (matrix[k].sum() + matrix[:, k].sum()) for k in (0, 1)])
