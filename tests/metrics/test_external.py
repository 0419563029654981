"""Metrics of others: beside ours and never in their place, for every kind, each with an interval where it can."""

import warnings
from functools import partial

import numpy as np
import pytest
import sklearn.metrics
import torch

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA, PASS
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.targets import targets
from llmtune.metrics import compute_metrics, score_predictions
from llmtune.metrics.core.scoring import metric_values
from llmtune.predictions import make_predictions

MODULE = """
import datasets
import evaluate

class Made(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(description="", citation="", features={features})

    def _compute(self, predictions, references):
        {body}
"""
IDS = 'datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")})'
TEXTS = 'datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")})'


def module(folder, body, features=IDS, name="my_metric"):
    path = folder / f"{name}.py"
    path.write_text(MODULE.format(features=features, body=body))
    return str(path)


def classified(n=200, right=0.9, names=("ham", "spam"), **options):
    rng = np.random.default_rng(3)
    reference = rng.integers(0, len(names), n)
    prediction = np.where(rng.random(n) < right, reference, (reference + 1) % len(names))
    columns = {"reference": [names[i] for i in reference], "prediction": [names[i] for i in prediction]}
    return make_predictions("classification", columns, label_names=names, **options), reference, prediction


def written():
    texts = [f"a text about {word}" for word in ("sea", "land", "sky", "fire") * 10]
    return {"reference": texts, "prediction": [*texts[:30], *["another one"] * 10]}


def test_a_key_of_ours_is_never_replaced(tmp_path):
    table, reference, prediction = classified(24, positive_label="ham")
    path = module(tmp_path, 'return {"f1": 0.123, "accuracy": 0.5, "own": 0.25}')

    plain, scores = score_predictions(table), score_predictions(table, metrics=[path])

    assert {name: score for name, score in scores.items() if name in plain} == plain
    assert plain["f1"].value == pytest.approx(sklearn.metrics.f1_score(reference, prediction, pos_label=0))
    assert {name: scores[name].value for name in scores.keys() - plain.keys()} == {
        "my_metric.f1": 0.123, "my_metric.accuracy": 0.5, "own": 0.25,
    }  # fmt: skip
    assert scores["own"].signature.startswith("evaluate:my_metric|ids:ham=0,spam=1|")


def test_two_modules_of_one_name_and_key_stand_side_by_side(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = [module(tmp_path / name, f'return {{"f1": {value}}}') for name, value in (("a", 0.1), ("b", 0.2))]

    scores = score_predictions(classified(24)[0], metrics=paths)

    assert (scores["my_metric.f1"].value, scores["my_metric.2.f1"].value) == (0.1, 0.2)


def returns_many(predictions, references):
    return {
        "array": np.zeros((2, 3)), "list": [0.1, 0.2], "tensor": torch.zeros(4), "text": "good", "flag": True,
        "nothing": None, "nan": float("nan"), "scalar": np.float32(0.5), "of_torch": torch.tensor(0.25),
        "zero_dim": np.array(0.75), "by_type": {"PER": {"precision": 1.0}},
    }  # fmt: skip


def test_what_is_no_number_is_named_as_left_out():
    scores = score_predictions(classified()[0], metrics=[returns_many])

    assert {key: scores[key].value for key in ("scalar", "of_torch", "zero_dim", "by_type.PER.precision")} == {
        "scalar": 0.5, "of_torch": 0.25, "zero_dim": 0.75, "by_type.PER.precision": 1.0,
    }  # fmt: skip
    assert {key: scores[key].reason for key in ("array", "list", "tensor", "text", "flag", "nothing", "nan")} == {
        "array": "ndarray of shape (2, 3) is left out: only numbers are reported",
        "list": "list of 2 is left out: only numbers are reported",
        "tensor": "Tensor of shape (4,) is left out: only numbers are reported",
        "text": "'good' is left out: only numbers are reported",
        "flag": "True is left out: only numbers are reported",
        "nothing": "None is left out: only numbers are reported",
        "nan": "the metric returned nan",
    }


@pytest.mark.parametrize("body", ['raise RuntimeError("no such model\\nmore")', "return 1 / 0", "return [1, 2]"])
def test_a_metric_that_fails_costs_its_own_line(tmp_path, body):
    table, *_ = classified(24)

    scores = score_predictions(table, metrics=[module(tmp_path, body), returns_many])

    assert scores["my_metric"].value is None
    assert scores["my_metric"].reason.startswith("my_metric failed: ")
    assert "\n" not in scores["my_metric"].reason
    assert scores["accuracy"] == score_predictions(table)["accuracy"]
    assert scores["scalar"].value == 0.5


def test_a_function_has_the_interval_of_a_bootstrap_over_rows():
    table, reference, prediction = classified(1000)

    scores = score_predictions(table, metrics=[sklearn.metrics.matthews_corrcoef])

    score = scores["matthews_corrcoef"]
    assert score.value == pytest.approx(sklearn.metrics.matthews_corrcoef(reference, prediction))
    assert (score.low, score.high) == pytest.approx((scores["mcc"].low, scores["mcc"].high), abs=0.012)
    assert score.signature == "function:matthews_corrcoef|ids:ham=0,spam=1|ci:95|bootstrap:200|seed:0"
    assert scores == score_predictions(table, metrics=[sklearn.metrics.matthews_corrcoef])


@pytest.mark.parametrize("name", ["precision_score", "recall_score"])
def test_functions_that_take_the_references_first_get_them_first(name):
    table, reference, prediction = classified(300)
    function = getattr(sklearn.metrics, name)

    scores = score_predictions(table, metrics=[function, partial(function, pos_label=0)])

    assert scores[name].value == pytest.approx(function(reference, prediction))
    assert scores[f"{name}.2"].value == pytest.approx(function(reference, prediction, pos_label=0))


def homogeneity(labels, preds):
    return sklearn.metrics.homogeneity_score(labels, preds)


def homogeneity_of(truth, y_pred):
    return sklearn.metrics.homogeneity_score(truth, y_pred)


@pytest.mark.parametrize("function", [sklearn.metrics.homogeneity_score, homogeneity, homogeneity_of])
def test_parameters_that_name_the_references_get_them_wherever_they_stand(function):
    table, reference, prediction = classified(300, right=0.8)
    expected = sklearn.metrics.homogeneity_score(reference, prediction)
    assert expected != pytest.approx(sklearn.metrics.homogeneity_score(prediction, reference), abs=1e-5)

    scores = score_predictions(table, metrics=[function])

    assert scores[function.__name__].value == pytest.approx(expected)


def test_a_metric_of_scores_is_not_given_labels():
    scores = score_predictions(classified()[0], metrics=[sklearn.metrics.roc_auc_score])

    assert scores["roc_auc_score"].value is None
    assert "its parameter 'y_score' takes scores, and it would be given the predictions" in (
        scores["roc_auc_score"].reason
    )


def test_a_lambda_is_refused_because_it_has_no_name():
    with pytest.raises(ValueError, match="a metric is a lambda, which has no name for its number; write it as a def"):
        score_predictions(classified()[0], metrics=[lambda predictions, references: 1.0])


def agreement(predictions, references):
    return float(np.mean([a == b for a, b in zip(predictions, references, strict=True)]))


def constant(predictions, references):
    return 0.99


@pytest.mark.parametrize(
    ("metric", "n", "demand", "status"),
    [
        (agreement, 1000, "agreement>=0.75", PASS),
        (agreement, 1000, "agreement>=0.95", FAIL),
        (agreement, 1000, "agreement>=0.9", NOT_ENOUGH_DATA),
        (agreement, 40, "agreement>=0.75", NOT_ENOUGH_DATA),  # some 20 rows of a class
        (constant, 1000, "constant>=0.5", NOT_ENOUGH_DATA),
        (constant, 1000, "constant<=0.5", NOT_ENOUGH_DATA),
    ],
)
def test_a_target_on_a_metric_of_others_needs_an_interval(metric, n, demand, status):
    table, *_ = classified(n)
    scores = score_predictions(table, metrics=[metric])

    assert targets(table, read_targets(demand), scores).status == status


def test_a_target_that_no_number_of_rows_decides_asks_for_another_metric():
    def half(predictions, references):
        return {"constant": 0.99, "half": float("nan")}

    table, *_ = classified(1000)
    scores = score_predictions(table, metrics=[half])

    check = targets(table, read_targets("constant>=0.5,half>=0.5"), scores)

    assert "constant is 0.990 without an interval (every resample scores 0.99: the rows give no interval)" in (
        check.finding
    )
    assert "half is undefined (the metric returned nan); target 0.5 or more" in check.finding
    assert check.remedy == (
        "set a target on a metric with an interval in the place of constant; "
        "set a target on a metric with an interval in the place of half"
    )


def test_a_metric_that_fails_on_resamples_has_no_interval_and_meets_no_target():
    calls = []

    def once(predictions, references):
        calls.append(1)
        if len(calls) > 1:
            raise ValueError("only one class")
        return 0.99

    table, *_ = classified()
    scores = score_predictions(table, metrics=[once])

    assert scores["once"].value == 0.99
    assert scores["once"].reason == "it fails on rows drawn again (ValueError: only one class)"
    assert targets(table, read_targets("once>=0.5"), scores).status == NOT_ENOUGH_DATA


TAGGED = {"reference": [["B-PER", "O"]] * 30 + [["O", "B-LOC"]] * 10, "prediction": [["B-PER", "O"]] * 40}
ANSWERED = {
    "reference": [["Paris", "in Paris"]] * 30 + [[]] * 5 + [["Lyon"]] * 5,
    "prediction": ["Paris"] * 30 + [""] * 5 + ["Nice"] * 5,
}
NUMBERS = {"reference": np.arange(40.0), "prediction": np.arange(40.0) + np.tile([0.5, -1.0], 20)}
CURVES = {"reference": np.ones((40, 3)), "prediction": np.ones((40, 3)) * 2}


@pytest.mark.parametrize(
    ("kind", "columns", "metric", "expected"),
    [
        ("token-classification", TAGGED, agreement, 0.75),
        ("text-generation", written(), agreement, 0.75),
        ("text-generation", {**written(), "reference": [[text] for text in written()["reference"]]}, agreement, 0.75),
        ("regression", NUMBERS, sklearn.metrics.mean_absolute_error, 0.75),
        ("regression", CURVES, sklearn.metrics.mean_absolute_error, 1.0),
    ],
)
def test_every_kind_takes_functions(kind, columns, metric, expected):
    scores = score_predictions(make_predictions(kind, columns), metrics=[metric])

    assert scores[metric.__name__].value == pytest.approx(expected)


def test_answers_reach_a_function_as_lists():
    def right(predictions, references):
        return sum(text in row if row else not text for text, row in zip(predictions, references, strict=True)) / 40

    scores = score_predictions(make_predictions("question-answering", ANSWERED), metrics=[right])

    assert scores["right"].value == 35 / 40
    assert scores["right"].value * 100 == scores["exact_match"].value


def test_a_module_of_squads_layout_gets_it(tmp_path):
    features = """datasets.Features({
        "predictions": {"id": datasets.Value("string"), "prediction_text": datasets.Value("string")},
        "references": {"id": datasets.Value("string"), "answers": datasets.features.Sequence(
            {"text": datasets.Value("string"), "answer_start": datasets.Value("int32")})}})"""
    body = 'return {"hits": sum(p["prediction_text"] in r["answers"]["text"] for p, r in zip(predictions, references))}'

    scores = score_predictions(
        make_predictions("question-answering", {name: rows[:24] for name, rows in ANSWERED.items()}),
        metrics=[module(tmp_path, body, features)],
    )

    assert scores["hits"].value == 24


@pytest.mark.parametrize(
    ("features", "references", "value"),
    [
        (TEXTS, ["a", "b"], 1.0),
        (TEXTS.replace('"references": datasets.Value("string")',
                       '"references": datasets.Sequence(datasets.Value("string"))'), ["a", "b"], 1.0),
        (TEXTS.replace('"references": datasets.Value("string")',
                       '"references": datasets.Sequence(datasets.Value("string"))'), [["a", "x"], ["y", "b"]], 1.0),
        (TEXTS, [["a", "x"], ["y", "b"]], None),
    ],
)  # fmt: skip
def test_texts_with_one_reference_or_several_reach_a_module_as_it_takes_them(tmp_path, features, references, value):
    body = 'return {"hit": sum(p in (r if isinstance(r, list) else [r]) for p, r in zip(predictions, references)) / 2}'
    table = make_predictions("text-generation", {"reference": references, "prediction": ["a", "b"]})

    scores = score_predictions(table, metrics=[module(tmp_path, body, features)])

    if value is None:
        assert scores["my_metric"].reason == (
            "my_metric failed: ValueError: it takes one reference a row, and row 0 has 2"
        )
    else:
        assert scores["hit"].value == value


def test_a_module_that_takes_texts_gets_the_names_of_classes(tmp_path):
    body = 'return {"spam_called": sum(p == "spam" for p in predictions)}'
    table, _, prediction = classified(24)

    scores = score_predictions(table, metrics=[module(tmp_path, body, TEXTS)])

    assert scores["spam_called"].value == prediction.sum()


def test_a_table_without_references_says_so():
    table = make_predictions("language-modeling", {"nll": [1.0, 2.0], "tokens": [3, 4]})

    scores = score_predictions(table, metrics=[agreement])

    assert scores["agreement"].reason == (
        "agreement failed: ValueError: a language-modeling table has no predictions and references to give it; its "
        "columns are ['nll', 'tokens']"
    )


def test_in_a_trainer_ours_stay_and_a_failing_metric_is_said_once():
    from transformers import EvalPrediction

    def f1(predictions, references):
        return {"f1": 0.1, "own": 0.2}

    def broken(predictions, references):
        raise KeyError("weights")

    rng = np.random.default_rng(0)
    batch = EvalPrediction(rng.normal(size=(20, 2)), rng.integers(0, 2, 20))
    plain, hub = compute_metrics("classification")(batch), compute_metrics("classification", metrics=[f1, broken])

    with pytest.warns(UserWarning, match="metric broken failed and is left out: KeyError: 'weights'"):
        values = hub(batch)

    assert values == {**plain, "f1.f1": 0.1, "own": 0.2}
    assert hub(batch) == values


def test_in_a_trainer_no_foreign_key_is_the_loss_and_what_is_left_out_is_named_once():
    from transformers import EvalPrediction

    def mine(predictions, references):
        return {"loss": 0.5, "eval_loss": 0.6, "nonfinite_rows": 7, "own": 0.2, "matrix": np.eye(2)}

    rng = np.random.default_rng(0)
    batch = EvalPrediction(rng.normal(size=(20, 2)), rng.integers(0, 2, 20))
    plain, hub = compute_metrics("classification")(batch), compute_metrics("classification", metrics=[mine])

    with pytest.warns(UserWarning, match="metric mine: matrix: ndarray of shape \\(2, 2\\) is left out"):
        values = hub(batch)

    assert values == {**plain, "mine.loss": 0.5, "mine.eval_loss": 0.6, "mine.nonfinite_rows": 7.0, "own": 0.2}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert hub(batch) == values


def test_in_a_trainer_a_metric_that_the_kind_has_no_columns_for_costs_its_own_line():
    from transformers import EvalPrediction

    rng = np.random.default_rng(0)
    batch = EvalPrediction(rng.normal(size=(4, 5, 7)), rng.integers(0, 7, (4, 5)))

    with pytest.warns(UserWarning, match="metric agreement failed and is left out: ValueError: a language-modeling"):
        values = compute_metrics("language-modeling", metrics=[agreement])(batch)

    assert values == compute_metrics("language-modeling")(batch)


def test_in_training_no_foreign_key_is_a_metric_that_only_the_report_has(tmp_path):
    path = module(tmp_path, 'return {"mcc": 0.1, "loss": 0.2}')

    values = metric_values(classified()[0], ["f1"], metrics=[path])

    assert set(values) == {"f1", "my_metric.mcc", "my_metric.loss"}


def test_in_a_trainer_a_module_of_texts_gets_the_ids_of_classes_without_names(tmp_path):
    from transformers import EvalPrediction

    logits = np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 1.0]])
    hub = compute_metrics(
        "classification", metrics=[module(tmp_path, 'return {"ones": predictions.count("1")}', TEXTS)]
    )

    assert hub(EvalPrediction(logits, np.array([0, 1, 0])))["ones"] == 2
