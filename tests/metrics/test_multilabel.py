"""Several labels a row, against scikit-learn on random and edge tables."""

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics as sk

from llmtune.metrics import compute_metrics, score_predictions
from llmtune.predictions import make_predictions

EXACT = {"rel": 1e-12, "abs": 1e-12}


def table(reference, prediction, probabilities=None, **settings):
    names = [f"label {i}" for i in range(reference.shape[1])]
    columns = {
        "reference": [[names[i] for i in np.flatnonzero(row)] for row in reference],
        "prediction": [[names[i] for i in np.flatnonzero(row)] for row in prediction],
    }
    if probabilities is not None:
        columns["probabilities"] = probabilities
    return make_predictions("multilabel-classification", columns, label_names=names, settings=settings)


def drawn(seed):
    """A table: labels that are never or always true, rows without one, constant scores, ties, of any shape."""
    draw = np.random.default_rng(seed)
    n, c = int(draw.integers(1, 40)), int(draw.integers(2, 7))
    reference = draw.random((n, c)) < draw.random(c)
    probabilities = draw.random((n, c))
    if seed % 3 == 0:
        probabilities = probabilities.round(1)
    if seed % 5 == 0:
        probabilities[:, 0] = 0.5
    if seed % 7 == 0:
        reference[:, 0] = False
    if seed % 11 == 0:
        reference[:, -1] = True
    if seed % 4 == 0:
        reference[: n // 2] = False
    if seed % 13 == 0:
        probabilities[:] = 0.3
    return reference, probabilities


def of_sklearn(reference, prediction, probabilities):
    expected = {
        "subset_accuracy": sk.accuracy_score(reference, prediction),
        "hamming_loss": sk.hamming_loss(reference, prediction),
        "jaccard_samples": sk.jaccard_score(reference, prediction, average="samples", zero_division=0),
        "lrap": sk.label_ranking_average_precision_score(reference, probabilities),
        "average_precision_macro": sk.average_precision_score(reference, probabilities, average="macro"),
        "roc_auc_macro": sk.roc_auc_score(reference, probabilities, average="macro"),
    }
    functions = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
    for name, function in functions.items():
        for average in ("micro", "macro", "weighted", "samples"):
            expected[f"{name}_{average}"] = function(reference, prediction, average=average, zero_division=0)
        each = function(reference, prediction, average=None, zero_division=0)
        expected |= {f"{name}[label {label}]": value for label, value in enumerate(each)}
    return expected


@pytest.mark.parametrize("block", [0, 1, *(pytest.param(block, marks=pytest.mark.slow) for block in range(2, 20))])
def test_every_metric_is_sklearns_on_random_and_edge_tables(block, monkeypatch):
    monkeypatch.setattr("llmtune.metrics.core.scoring.score_metric", value_alone)
    for seed in range(200 * block, 200 * (block + 1)):
        reference, probabilities = drawn(seed)
        prediction = probabilities >= 0.5

        scores = score_predictions(table(reference, prediction, probabilities))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = of_sklearn(reference, prediction, probabilities)
        assert set(scores) == set(expected)
        for name, value in expected.items():
            if math.isfinite(value):
                assert scores[name].value == pytest.approx(value, **EXACT), (seed, name)
            else:
                assert scores[name].value is None, (seed, name)


def value_alone(metric, sample, *, n):
    """Without intervals, which cost more than all else here."""
    return SimpleNamespace(value=metric.value(metric.aggregate(sample.statistics)))


def test_what_is_undefined_says_so_and_has_no_interval():
    reference = np.zeros((40, 3), dtype=bool)
    reference[:35, 1] = True
    prediction = reference.copy()

    scores = score_predictions(table(reference, prediction, np.where(reference, 0.9, 0.1)))

    assert scores["f1_macro"].value == pytest.approx(1 / 3)
    assert "no rows and predictions of 'label 0': f1 is 0/0 there" in scores["f1_macro"].reason
    assert scores["roc_auc_macro"].value is None
    assert scores["roc_auc_macro"].reason == "0 rows of 'label 0' and 40 without: a rank needs both"
    assert scores["average_precision_macro"].reason.startswith("no row of 'label 0'")
    assert scores["recall[label 1]"].low == pytest.approx(0.901, abs=1e-3)
    assert scores["f1[label 1]"].high == 1
    assert scores["f1[label 1]"].low < 0.96
    nothing = score_predictions(table(np.zeros((40, 2), bool), np.zeros((40, 2), bool)))
    assert nothing["f1_micro"].value == 0
    assert nothing["f1_micro"].reason == "no rows and predictions of any label: f1 is 0/0, set to 0 (zero_division=0)"


def test_the_hub_of_a_trainer_gives_what_a_report_gives_in_batches_too():
    draw = np.random.default_rng(3)
    logits = draw.normal(size=(50, 4)).astype(np.float32)
    labels = (draw.random((50, 4)) < 0.3).astype(np.float32)
    names = [f"label {i}" for i in range(4)]
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = score_predictions(table(labels == 1, probabilities >= 0.5, probabilities))
    padded = np.concatenate([labels, np.full((1, 4), -100, dtype=np.float32)])
    logits = np.concatenate([logits, np.zeros((1, 4), np.float32)])

    whole, parts = (compute_metrics("multilabel-classification", label_names=names) for _ in range(2))
    values = whole(SimpleNamespace(predictions=logits, label_ids=padded))
    for start in range(0, 51, 20):
        rows = slice(start, start + 20)
        batch = SimpleNamespace(predictions=logits[rows], label_ids=padded[rows])
        in_batches = parts(batch, compute_result=start == 40)

    assert values == pytest.approx(in_batches)
    assert values.pop("nonfinite_rows") == 0
    assert values == pytest.approx({name: score.value for name, score in expected.items()})


def test_the_hub_refuses_class_ids_other_numbers_and_unnamed_labels():
    hub = compute_metrics("multilabel-classification", label_names=["a", "b"])
    with pytest.raises(ValueError, match=r"logits of shape \(3, 2\), labels \(3,\); expected \(rows, labels\) of both"):
        hub(SimpleNamespace(predictions=np.zeros((3, 2)), label_ids=np.zeros(3, int)))
    with pytest.raises(ValueError, match="a label is 2; give 0 or 1 for each label of each row"):
        hub(SimpleNamespace(predictions=np.zeros((1, 2)), label_ids=np.array([[0, 2]])))
    with pytest.raises(ValueError, match="the model scores 3 labels, label_names has 2"):
        hub(SimpleNamespace(predictions=np.zeros((1, 3)), label_ids=np.zeros((1, 3))))


def test_tuned_thresholds_are_followed_and_the_result_at_one_half_stands_beside():
    reference = np.array([[True, False], [False, True]] * 40)
    probabilities = np.where(reference, 0.4, 0.1)
    tuned = table(reference, probabilities >= 0.3, probabilities, thresholds=[0.3, 0.3])

    scores = score_predictions(tuned)

    assert (scores["f1_micro"].value, scores["f1_micro@0.5"].value) == (1.0, 0.0)
    assert "thresholds:0.3,0.3" in scores["f1_micro"].signature


def test_a_foreign_metric_gets_indicators():
    reference = np.array([[True, False], [True, True]] * 20)

    scores = score_predictions(table(reference, reference), metrics=[sk.zero_one_loss])

    assert scores["zero_one_loss"].value == 0.0
