"""The classes for `evaluate`: constructed directly, and loaded by path, both without network."""

import importlib
from pathlib import Path

import evaluate
import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from seqeval.metrics import f1_score as seqeval_f1
from sklearn import metrics as sk

import llmtune.metrics.evaluate_modules
from llmtune.metrics.evaluate_modules.bleu import Bleu
from llmtune.metrics.evaluate_modules.entity_f1 import EntityF1
from llmtune.metrics.evaluate_modules.f1 import F1
from llmtune.metrics.evaluate_modules.precision import Precision
from llmtune.metrics.evaluate_modules.rouge import Rouge

FOLDER = Path(llmtune.metrics.evaluate_modules.__file__).parent
TAGS = [["B-PER", "I-PER", "O"], ["O", "B-LOC"]]
EXAMPLES = {  # name: class, predictions, references, key, value
    "accuracy": ("Accuracy", [0, 1, 1, 1], [0, 1, 0, 1], "accuracy", 0.75),
    "precision": ("Precision", [0, 1, 1, 1], [0, 1, 0, 1], "precision", 2 / 3),
    "recall": ("Recall", [0, 1, 0, 1], [1, 1, 0, 1], "recall", 2 / 3),
    "f1": ("F1", [0, 1, 1, 1], [0, 1, 0, 1], "f1", 0.8),
    "entity_f1": ("EntityF1", TAGS, [["B-PER", "I-PER", "O"], ["O", "B-PER"]], "entity_f1", 0.5),
    "bleu": ("Bleu", ["the dog bit the man ."], [["the dog bit the man ."]], "bleu", 100.0),
    "rouge": ("Rouge", ["testing"], ["testing one two"], "rouge1", 0.5),
    "perplexity": ("Perplexity", [3.0, 4.0], [2, 5], "perplexity", np.e),
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path))


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_metric_is_constructed_directly(name):
    class_name, predictions, references, key, value = EXAMPLES[name]
    metric = vars(importlib.import_module(f"llmtune.metrics.evaluate_modules.{name}"))[class_name]()

    assert isinstance(metric, evaluate.Metric)
    assert metric.compute(predictions=predictions, references=references)[key] == pytest.approx(value)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_metric_is_loaded_by_path(name):
    _, predictions, references, key, value = EXAMPLES[name]

    metric = evaluate.load(str(FOLDER / f"{name}.py"))

    for prediction, reference in zip(predictions, references, strict=True):
        metric.add(prediction=prediction, reference=reference)
    assert metric.compute()[key] == pytest.approx(value)


def test_every_file_for_evaluate_is_tested():
    assert {path.stem for path in FOLDER.glob("*.py")} - {"__init__"} == set(EXAMPLES)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
def test_averages_are_sklearns(average):
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 4, 200), rng.integers(0, 4, 200)

    assert F1(average=average).compute(predictions=p, references=y)["f1"] == pytest.approx(
        sk.f1_score(y, p, average=average)
    )
    assert F1().compute(predictions=p, references=y, average=average)["f1"] == pytest.approx(
        sk.f1_score(y, p, average=average)
    )


def test_labels_that_never_occur_count_when_named():
    assert F1(average="macro").compute(predictions=[0, 1], references=[0, 1])["f1"] == 1.0
    assert F1(average="macro", labels=[0, 1, 2, 3]).compute(predictions=[0, 1], references=[0, 1])["f1"] == 0.5


def test_they_combine():
    combined = evaluate.combine([F1(), Precision()])

    found = combined.compute(predictions=[0, 1, 1, 1], references=[0, 1, 0, 1])

    assert found == pytest.approx({"f1": 0.8, "precision": 2 / 3})


def test_probabilities_are_not_cut_to_classes():
    with pytest.raises(ValueError, match="row 0: prediction 0.9 is no class id; give whole numbers"):
        F1().compute(predictions=[0.9, 0.2], references=[1, 0])


def test_binary_of_three_classes_is_refused():
    with pytest.raises(
        ValueError, match=r"is about one of two classes, found \[0, 1, 2\] and pos_label=1; use average='macro'"
    ):
        F1().compute(predictions=[0, 1, 2], references=[0, 1, 1])
    with pytest.raises(ValueError, match="average 'mean' is not one of binary, macro, micro, weighted, or None"):
        F1(average="mean").compute(predictions=[0], references=[0])
    with pytest.raises(ValueError, match=r"class id 2 occurs but is not one of labels=\[0, 1\]"):
        F1(average="macro", labels=[0, 1]).compute(predictions=[0, 2], references=[0, 1])


def test_lenient_entities_are_seqevals():
    broken = [["I-PER", "I-PER", "O"], ["O", "B-LOC"]]

    lenient = EntityF1(scheme="lenient").compute(predictions=broken, references=TAGS)
    strict = EntityF1().compute(predictions=broken, references=TAGS)

    assert lenient["entity_f1"] == seqeval_f1(TAGS, broken)
    assert strict["entity_f1"] == pytest.approx(2 / 3)
    assert strict["LOC"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}


def test_bleu_keeps_its_signature_and_unequal_references():
    found = Bleu().compute(predictions=["a b c d e", "x"], references=[["a b c d e", "b"], ["x"]])

    assert found["signature"].startswith("nrefs:var|case:mixed|eff:no|tok:13a")
    with pytest.raises(ValueError, match="13a"):
        Bleu(language="zh", tokenize="13a")


@pytest.mark.parametrize("text", ["नमस्ते दुनिया 2024", "今天天气很好", "สวัสดีชาวโลก", "مرحبا بالعالم", "Привет, мир 5"])
def test_rouge_refuses_a_script_that_it_would_score_0_and_reads_it_when_told(text):
    texts = {"predictions": [text, "a test"], "references": [text, "a test"]}

    with pytest.raises(
        ValueError, match="rouge: 1 of 2 references are not in letters that rouge_score reads .*unicode=T"
    ):
        Rouge().compute(**texts)
    assert Rouge(unicode=True).compute(**texts)["rouge1"] == 1.0
    with pytest.raises(ValueError, match="use_stemmer is a stemmer of English; with unicode=True leave it out"):
        Rouge(use_stemmer=True, unicode=True)


def test_rouge_of_latin_letters_with_marks_is_that_of_rouge_score():
    texts = {"predictions": ["l'été à la mer", "größer", ""], "references": ["un été à Málaga", "größer als", ""]}
    scorer = RougeScorer(["rouge1"])
    expected = [scorer.score(b, a)["rouge1"].fmeasure for a, b in zip(*texts.values(), strict=True)]

    assert Rouge().compute(**texts)["rouge1"] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("name", ["accuracy", "f1", "precision", "recall"])
def test_padding_does_not_count(name):
    module = importlib.import_module(f"llmtune.metrics.evaluate_modules.{name}")
    metric = getattr(module, {"accuracy": "Accuracy", "f1": "F1", "precision": "Precision", "recall": "Recall"}[name])()
    predictions, references = [1, 0, 1, 1, 0], [1, 1, 0, -100, -100]

    padded = metric.compute(predictions=predictions, references=references)

    assert padded == metric.compute(predictions=predictions[:3], references=references[:3])
