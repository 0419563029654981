"""The hub as a Trainer calls it: padding, tuples, ragged batches, streaming, one and two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from llmtune.metrics import compute_metrics, score_predictions
from llmtune.predictions import make_predictions

SCRIPT = Path(__file__).with_name("two_processes.py")
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def run(hub, predictions, labels, compute_result=True):
    return hub(SimpleNamespace(predictions=predictions, label_ids=labels), compute_result=compute_result)


def classified(n=50, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    return torch.tensor(logits, dtype=torch.float32), torch.tensor(labels)


def test_the_hub_gives_what_the_report_gives():
    logits, labels = classified()
    hub = compute_metrics("classification", label_names=["ham", "spam"])

    found = run(hub, hub.preprocess_logits_for_metrics(logits, labels).numpy(), labels.numpy())

    names = np.array(["ham", "spam"])
    columns = {
        "reference": names[labels].tolist(),
        "prediction": names[logits.argmax(1)].tolist(),
        "probabilities": logits.double().softmax(1).numpy(),
    }
    report = score_predictions(make_predictions("classification", columns, label_names=["ham", "spam"]))
    for name, score in report.items():
        assert found[name] == pytest.approx(score.value, rel=1e-5), name
        assert type(found[name]) is float
    assert found["nonfinite_rows"] == 0
    assert hub.confusion_matrix.sum() == 50
    assert hub.confusion_matrix.dtype == np.int64


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(2, 4), st.integers(1, 41), st.integers(0, 99))
def test_streaming_by_any_batch_size_changes_nothing(n, classes, batch_size, seed):
    logits, labels = classified(n, classes, seed)
    hub = compute_metrics("classification")
    whole = run(hub, logits.numpy(), labels.numpy())

    for i in range(0, n, batch_size):
        reduced = hub.preprocess_logits_for_metrics(logits[i : i + batch_size], None)
        streamed = run(hub, reduced, labels[i : i + batch_size], compute_result=i + batch_size >= n)

    assert streamed == pytest.approx(whole, rel=1e-4, abs=1e-6)


def test_one_evaluation_leaves_nothing_to_the_next():
    logits, labels = classified()
    hub = compute_metrics("classification")
    first = run(hub, logits.numpy(), labels.numpy())

    run(hub, -logits[:10], labels[:10], compute_result=False)
    hub.reset()

    assert run(hub, logits.numpy(), labels.numpy()) == first


def test_it_works_in_any_trainers_shapes():
    logits, labels = classified(12, 3)
    hub = compute_metrics("classification")
    expected = run(hub, logits.numpy(), labels.numpy())
    ragged = np.empty(12, dtype=object)
    ragged[:] = list(logits.numpy())

    for predictions, wanted in (
        ((logits.numpy(), "hidden states"), labels.numpy()),
        ([logits[:5].numpy(), logits[5:].numpy()], [labels[:5].numpy(), labels[5:].numpy()]),  # not concatenated
        ([(logits[:5], 0), (logits[5:], 0)], [labels[:5], labels[5:]]),
        (ragged, labels.numpy()),
        (np.concatenate([logits, logits[:2]]), np.append(labels, [-100, -100])),  # padded rows
        (logits.numpy(), labels.numpy()[:, None]),
    ):
        assert run(hub, predictions, wanted) == pytest.approx(expected, rel=1e-6)
    assert run(hub, logits.bfloat16(), labels)["accuracy"] == pytest.approx(expected["accuracy"])


def test_the_threshold_moves_the_labels_not_the_probabilities():
    logits, labels = classified()
    low = run(compute_metrics("classification", label_names=["a", "b"], threshold=0.1), logits, labels)
    half = run(compute_metrics("classification", label_names=["a", "b"]), logits, labels)

    assert low["recall"] > half["recall"]
    assert low["roc_auc"] == half["roc_auc"]


def test_rows_that_are_not_finite_are_counted_and_labels_still_scored():
    logits, labels = classified(10)
    logits[3, 1] = torch.nan
    hub = compute_metrics("classification")

    found = run(hub, hub.preprocess_logits_for_metrics(logits, None), labels)

    assert found["nonfinite_rows"] == 1
    assert "accuracy" in found
    assert "log_loss" not in found
    assert "roc_auc" not in found


def test_tags_count_where_labels_do():
    labels = torch.tensor([[-100, 1, 2, 0, -100], [-100, 3, 0, -100, -100]])
    ids = torch.tensor([[4, 1, 2, 0, 1], [2, 3, 3, 3, 3]])
    logits = torch.nn.functional.one_hot(ids, 5).float()
    hub = compute_metrics("token-classification", label_names=TAGS)

    found = run(hub, hub.preprocess_logits_for_metrics(logits, labels), labels)

    # PER right, LOC right, one LOC too many: 2 of 3 predicted.
    assert found["entity_precision"] == pytest.approx(2 / 3)
    assert found["entity_recall"] == 1.0
    assert found["token_accuracy"] == pytest.approx(4 / 5)
    assert found["entity_f1[PER]"] == 1.0
    assert found == run(hub, logits.numpy(), labels.numpy())  # without preprocess_logits_for_metrics too


def test_tags_of_a_batch_without_entities_still_count_every_type():
    hub = compute_metrics("token-classification", label_names=TAGS)
    run(hub, torch.tensor([[0, 0]]), torch.tensor([[0, 0]]), compute_result=False)

    found = run(hub, torch.tensor([[1]]), torch.tensor([[1]]))

    assert found["entity_f1[PER]"] == found["entity_f1"] == 1.0
    assert found["entity_f1[LOC]"] == 0.0


def test_a_word_without_finite_scores_is_counted_and_outside():
    logits = torch.nn.functional.one_hot(torch.tensor([[1, 1]]), 5).float()
    logits[0, 1] = torch.nan
    hub = compute_metrics("token-classification", label_names=TAGS)

    found = run(hub, hub.preprocess_logits_for_metrics(logits, None), torch.tensor([[1, 0]]))

    assert found["nonfinite_rows"] == 1
    assert found["entity_f1"] == 1.0


WORDS = ["<pad>", "the", "dog", "bit", "man", "a", "cat", "."]


def decode(rows):
    return [" ".join(WORDS[i] for i in row if i) for row in rows]


def test_generated_ids_are_decoded_without_their_padding():
    ids = np.array([[1, 2, 3, 1, 4, 7, -100], [5, 6, 0, 0, 0, 0, -100]])
    labels = np.array([[1, 2, 3, 1, 4, 7], [1, 6, -100, -100, -100, -100]])
    hub = compute_metrics("text-generation", tokenizer=decode, metrics=["exact_match"])

    found = run(hub, (ids, "scores"), labels)

    report = score_predictions(
        make_predictions(
            "text-generation", {"prediction": decode([ids[0][:6], [5, 6]]), "reference": decode([labels[0], [1, 6]])}
        ),
        metrics=["exact_match"],
    )
    assert found["bleu"] == pytest.approx(report["bleu"].value)
    assert found["rougeL"] == pytest.approx(report["rougeL"].value)
    assert found["exact_match"] == 100.0  # the and a are SQuAD's articles
    assert run(hub, torch.tensor(ids), torch.tensor(labels)) == found


def test_a_tokenizer_of_transformers_decodes():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>")
    hub = compute_metrics("text-generation", tokenizer=tokenizer)

    assert run(hub, np.array([[1, 2, 3, 4, 0]]), np.array([[1, 2, 3, 4, -100]]))["chrf"] == pytest.approx(100)


def test_numbers_add_up_over_batches():
    rng = np.random.default_rng(0)
    y = 100 + rng.normal(size=30)
    p = y + rng.normal(size=30)
    hub = compute_metrics("regression")
    run(hub, p[:10, None], y[:10], compute_result=False)

    streamed = run(hub, p[10:, None], y[10:])

    report = score_predictions(make_predictions("regression", {"reference": y, "prediction": p}))
    for name in ("mse", "mae", "rmse", "r2"):
        assert streamed[name] == pytest.approx(report[name].value, rel=1e-9)


def macro(predictions, references):
    return {"sklearn_macro": f1_score(references, predictions, average="macro"), "note": "not a number"}


def test_ours_those_of_evaluate_and_functions_are_mixed():
    from llmtune.metrics.evaluate_modules.f1 import F1

    path = str(Path(__file__).parents[2] / "llmtune/metrics/evaluate_modules/accuracy.py")
    logits, labels = classified(40)
    hub = compute_metrics("classification", metrics=["f2_macro", F1(average="macro"), macro, path])

    run(hub, logits[:15], labels[:15], compute_result=False)
    found = run(hub, logits[15:], labels[15:])

    assert found["sklearn_macro"] == pytest.approx(found["f1_macro"], rel=1e-12)
    assert found["f1.f1"] == pytest.approx(found["f1_macro"])
    assert found["f1"] != found["f1.f1"], "ours is never replaced"
    assert found["f2_macro"] > 0
    assert "note" not in found


def test_one_new_file_is_a_new_metric(tmp_path, monkeypatch):
    import llmtune.metrics

    (tmp_path / "error_rate.py").write_text(
        "from dataclasses import replace\n"
        "from llmtune.metrics import accuracy\n"
        "KINDS = ('classification',)\n"
        "def score(matrices):\n    return 1 - accuracy.score(matrices)\n"
        "def metrics(setting):\n"
        "    return [replace(accuracy.metrics(setting)[0], name='error_rate', score=score, higher_is_better=False)]\n"
    )
    monkeypatch.setattr(llmtune.metrics, "__path__", [*llmtune.metrics.__path__, str(tmp_path)])
    monkeypatch.setattr("llmtune.metrics.core.registry.METRICS", tmp_path)
    logits, labels = classified(40)

    found = run(compute_metrics("classification", metrics=["error_rate"]), logits, labels)

    assert found["error_rate"] == pytest.approx(1 - found["accuracy"])


@pytest.mark.parametrize(
    ("kind", "given", "predictions", "labels", "message"),
    [
        (
            "classification",
            {"label_names": ["a"]},
            np.zeros((2, 3)),
            [0, 1],
            "classification: the model scores 3 classes, label_names has 1",
        ),
        (
            "classification",
            {},
            np.zeros((2, 4, 3)),
            [0, 1],
            r"expected \(rows, classes\) and one label a row. For tags",
        ),
        ("token-classification", {"label_names": TAGS}, [[0, 0]], [[0]], r"labels \(1, 1\); give one tag a label"),
        ("token-classification", {}, [[0]], [[0]], "label_names is empty; give the tags by id"),
        ("token-classification", {"label_names": TAGS}, [[9]], [[0]], "tag id 9 has no name; label_names names 5 tags"),
        ("text-generation", {"tokenizer": decode}, np.zeros((1, 2, 8)), [[0]], "predict_with_generate=True"),
        ("text-generation", {}, [[1]], [[1]], "text-generation: generated ids need a tokenizer; give compute_metrics"),
        (
            "regression",
            {},
            np.zeros((2, 3)),
            np.zeros(2),
            r"predictions of shape \(2, 3\), labels \(2, 1\); give as many of each",
        ),
    ],
)
def test_wrong_shapes_are_told_with_what_to_do(kind, given, predictions, labels, message):
    with pytest.raises(ValueError, match=message):
        run(compute_metrics(kind, **given), np.asarray(predictions), np.asarray(labels))


def test_wrong_settings_are_told():
    with pytest.raises(ValueError, match="kind 'ner' is not one of classification, multilabel"):
        compute_metrics("ner")
    with pytest.raises(ValueError, match=r"positive label 'x' is not one of the label names \['a', 'b'\]"):
        compute_metrics("classification", label_names=["a", "b"], positive_label="x")
    with pytest.raises(ValueError, match="logits of shape .* are no generated ids"):
        compute_metrics("text-generation", tokenizer=decode).preprocess_logits_for_metrics(torch.zeros(1, 2, 8), None)


def evaluated(tmp_path, processes):
    out = tmp_path / f"{processes}.json"
    launch = [sys.executable]
    if processes > 1:
        # Not the console script: it may not be on the PATH of who runs the tests.
        # Not `--cpu --num_processes 2`: accelerate 1.15 then starts one process, without a word.
        launch += ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--mixed_precision", "no"]
        launch += ["--num_processes", str(processes), "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [*launch, str(SCRIPT), str(out)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, env=environment)
    found = json.loads(out.read_text())
    assert found.pop("world") == processes
    return found


def test_process_count_batch_size_and_repeated_rows_change_nothing(tmp_path):
    one = evaluated(tmp_path, 1)
    two = evaluated(tmp_path, 2)  # of 11 rows the sampler repeats one to fill the last batch

    assert sum(map(sum, two["whole"]["classification"]["matrix"])) == 11
    for found in (one["streaming"], two["whole"], two["streaming"]):
        for kind, metrics in one["whole"].items():
            assert found[kind].pop("matrix") == metrics["matrix"]
            rest = {name: value for name, value in metrics.items() if name != "matrix"}
            assert found[kind] == pytest.approx(rest, rel=1e-5, abs=1e-7), kind
