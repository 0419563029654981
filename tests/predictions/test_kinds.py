"""One record a kind, and one deciding metric of a table, whoever asks."""

import copy
import json
import pickle
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import llmtune
from llmtune import cli
from llmtune.comparison.differences import compare_predictions
from llmtune.comparison.paired import judge_pair
from llmtune.comparison.score_drop import score_drop
from llmtune.diagnosis.headline import headline
from llmtune.diagnosis.length import length
from llmtune.errors import InputError
from llmtune.metrics import available_metrics, score_predictions
from llmtune.metrics.core.adapters import ADAPTERS
from llmtune.metrics.core.columns import READERS
from llmtune.predictions import make_predictions, read_predictions, write_predictions
from llmtune.predictions.kinds import (
    CLASSIFICATION,
    DECIDING_METRIC,
    KINDS,
    TEXT_GENERATION,
    deciding_metric,
    kind_named,
)
from llmtune.report import aggregate
from llmtune.report.probabilities import calibration_bins
from llmtune.report.slices import score_slices
from llmtune.training import tensorboard

ROOT = Path(llmtune.__file__).parent
WORDS = [
    "rain",
    "fell",
    "on",
    "the",
    "town",
    "all",
    "night",
    "and",
    "the",
    "river",
    "rose",
    "over",
    "its",
    "banks",
    "by",
    "early",
    "morning",
    "light",
]


def summary(seed: int, **settings) -> object:
    """Sixty texts of 17 words with a reference of 3, and an answer that shares words with it."""
    draw = np.random.default_rng(seed)
    references = [" ".join(WORDS[i % 12 : i % 12 + 3]) for i in range(60)]
    answers = [" ".join([*reference.split()[: draw.integers(1, 4)], "fog"]) for reference in references]
    columns = {"source": [" ".join(WORDS)] * 60, "reference": references, "prediction": answers}
    return make_predictions("text-generation", columns, settings=settings)


def answer_of_all(a, b) -> set[str]:
    """The metric by which each of the places decides."""
    run = aggregate.TestResult("a", None, a, score_predictions(a))
    return {
        compare_predictions(a, b).main.metric,
        judge_pair(b, a, "--base").metric,
        score_drop(a, range(30)).metric,
        aggregate.main_metric([run]),
        deciding_metric(a, available_metrics(a)),
    }


@pytest.mark.parametrize(
    ("settings", "metric"), [({}, "rougeL"), ({DECIDING_METRIC: "bleu"}, "bleu"), ({DECIDING_METRIC: "chrf"}, "chrf")]
)
def test_a_summary_is_decided_by_one_metric_everywhere(settings, metric):
    assert answer_of_all(summary(1, **settings), summary(2, **settings)) == {metric}


# f2 is no metric of every report: a run has it by --metrics f_beta.
@pytest.mark.parametrize(
    ("settings", "metric"), [({}, "f1"), ({DECIDING_METRIC: "mcc"}, "mcc"), ({DECIDING_METRIC: "f2"}, "f2")]
)
def test_classes_are_decided_by_one_metric_and_beside_baselines_never_by_one_side(settings, metric):
    reference = np.array(["ham", "spam"] * 100)
    tables = [
        make_predictions(
            "classification",
            {
                "reference": reference,
                "prediction": np.where(draw.random(200) < 0.9, reference, "ham"),
            },
            label_names=["ham", "spam"],
            settings=settings,
        )
        for draw in map(np.random.default_rng, (1, 2))
    ]

    assert answer_of_all(*tables) == {metric}
    beside = judge_pair(*tables, "majority", is_baseline=True).metric
    assert beside == (metric if metric == "mcc" else "f1_macro")
    assert headline(tables[0], score_predictions(tables[0])).startswith(
        {"f1": "F1 of spam", "mcc": "MCC"}.get(metric, "F2")
    )


def test_a_metric_that_the_table_lacks_leaves_the_decision_to_its_kind():
    table = summary(1, **{DECIDING_METRIC: "loss"})

    assert deciding_metric(table, available_metrics(table)) == "rougeL"
    assert deciding_metric(table, {}) is None


def test_two_runs_that_were_steered_by_different_metrics_are_told_so():
    notes = compare_predictions(
        summary(1, **{DECIDING_METRIC: "bleu"}), summary(2, **{DECIDING_METRIC: "rougeL"})
    ).notes

    assert notes == (
        "A's run was steered by bleu, B's by rougeL: bleu decides here; --metric rougeL asks for the other",
    )


def test_a_metric_that_a_table_cannot_give_is_said_to_have_steered_its_run():
    own, loss = (summary(seed, **{DECIDING_METRIC: name}) for seed, name in ((1, "own_function"), (2, "loss")))

    assert compare_predictions(own, summary(2, **{DECIDING_METRIC: "bleu"})).notes == (
        "A's run was steered by own_function, which its predictions alone do not give: rougeL decides here",
        "B's run was steered by bleu: rougeL decides here; --metric bleu asks for the other",
    )
    assert compare_predictions(summary(1), loss).notes == (
        "B's run was steered by loss, which its predictions alone do not give: rougeL decides here",
    )
    assert compare_predictions(own, loss, metric="bleu").notes == ()


def test_a_metric_that_only_the_run_of_b_has_can_be_asked_for():
    a, b = (
        make_predictions(
            "classification",
            {"reference": ["ham", "spam"] * 50, "prediction": ["ham", "spam", "ham", "ham"] * 25},
            label_names=["ham", "spam"],
            settings=settings,
        )
        for settings in ({}, {DECIDING_METRIC: "f2"})
    )

    assert compare_predictions(a, b).notes == (
        "B's run was steered by f2: f1 decides here; --metric f2 asks for the other",
    )
    assert compare_predictions(a, b, metric="f2").main.metric == "f2"


def test_the_deciding_metric_travels_with_the_table(tmp_path):
    path = write_predictions(summary(1, **{DECIDING_METRIC: "chrf"}), tmp_path / "test.parquet")

    assert read_predictions(path).settings[DECIDING_METRIC] == "chrf"
    assert read_predictions(path).kind is TEXT_GENERATION


def test_a_kind_is_its_name_and_every_kind_has_a_reader_and_an_adapter():
    assert json.dumps({"kind": CLASSIFICATION}) == '{"kind": "classification"}'
    assert f"{CLASSIFICATION} {CLASSIFICATION!r}" == "classification 'classification'"
    assert copy.deepcopy(CLASSIFICATION) is CLASSIFICATION
    assert pickle.loads(pickle.dumps(CLASSIFICATION)) is CLASSIFICATION
    assert set(KINDS) == set(READERS) == set(ADAPTERS)
    with pytest.raises(InputError, match="predictions: unknown kind 'tables'; expected one of classification, "):
        kind_named("tables")


def test_a_comparison_is_written_with_the_name_of_its_kind():
    assert json.loads(json.dumps(compare_predictions(summary(1), summary(2)).to_json()))["kind"] == "text-generation"


def test_no_table_of_predictions_is_asked_which_kind_it_is():
    """Neither by the name of a kind nor by its record."""
    names = "|".join(f'"{name}"|{name.upper().replace("-", "_")}' for name in KINDS)
    asks = re.compile(rf"\bkind\s*(==|!=|in|not in|is|is not)\s*\(?\s*({names})(?!\w)")
    pages = [*(path for path in ROOT.rglob("*.py") if path.name != "kinds.py"), ROOT.parent / "CONTRIBUTING.md"]
    found = [str(path) for path in pages if asks.search(path.read_text(encoding="utf-8"))]

    assert all(map(asks.search, ('if test.kind != "classification":', "kind == REGRESSION else")))
    assert not found, "give the Kind a fact, or keep a dict of functions keyed by Kind"


def test_no_table_is_keyed_by_the_names_of_kinds():
    """A record beside the name is a reader that registers; a name alone would be a fact away from home.

    But for the examples of `llmtune report --help`, which must come without numpy: they are of every kind.
    """
    keyed = re.compile('^ +"(' + "|".join(KINDS) + ')": ', re.MULTILINE)

    assert [path.name for path in ROOT.rglob("*.py") if keyed.search(path.read_text(encoding="utf-8"))] == ["cli.py"]
    assert cli.EXAMPLES.keys() == KINDS.keys()


@pytest.mark.parametrize("most", [30, 12])  # 12: a third of the texts are cut at one length
def test_the_page_shows_the_length_groups_that_the_check_judged(most):
    draw = np.random.default_rng(0)
    lengths = np.minimum(draw.integers(4, 21, 600), most)
    reference = draw.choice(["ham", "spam"], 600)
    right = draw.random(600) < 0.9
    prediction = np.where(right, reference, np.where(reference == "ham", "spam", "ham"))
    table = make_predictions(
        "classification",
        {"reference": reference, "prediction": prediction},
        carried={"length": lengths.tolist()},
        label_names=["ham", "spam"],
    )
    of_check = {name for part in length(table).numbers["quintiles"] for name in part["groups"]}
    (on_page,) = score_slices(table, [])

    assert {name for name, _, _ in on_page.rows} == of_check
    assert sum(rows for _, rows, _ in on_page.rows) == 600


def test_the_longest_texts_are_judged_where_many_are_cut_at_one_length():
    lengths = [10] * 200 + [20] * 200 + [64] * 200
    reference = ["ham", "spam"] * 300
    prediction = [*reference[:400], *["ham"] * 200]
    table = make_predictions(
        "classification",
        {"reference": reference, "prediction": prediction},
        carried={"length": lengths},
        label_names=["ham", "spam"],
    )

    assert length(table).status == "fail"
    assert "64 to 64 tokens" in length(table).finding


@pytest.mark.parametrize("positive", ["ham", "spam"])
def test_tensorboard_and_page_draw_one_calibration(monkeypatch, positive):
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(300, 2)) * 2
    labels = (draw.random(300) < 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))).astype(int)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = np.array(["ham", "spam"])
    table = make_predictions(
        "classification",
        {"reference": names[labels], "prediction": names[shares.argmax(axis=1)], "probabilities": shares},
        label_names=names.tolist(),
        positive_label=positive,
    )
    drawn = []
    writer = type("Writer", (), {"add_figure": lambda self, name, figure, step: None})()
    monkeypatch.setattr(tensorboard, "writer_in", lambda callbacks: writer)
    monkeypatch.setattr(tensorboard, "logits_of", lambda output, several: (logits, labels))
    monkeypatch.setattr(tensorboard, "calibration_figure", drawn.extend)
    tensorboard.show_evaluation([], None, None, names.tolist(), 1, positive_id=names.tolist().index(positive))

    assert len(drawn) > 10
    assert np.array(drawn) == pytest.approx(np.array(calibration_bins(table)))


def test_tensorboard_and_page_draw_one_calibration_of_several_labels_a_row(monkeypatch):
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(200, 3)) * 2
    shares = 1 / (1 + np.exp(-logits))
    truth = draw.random((200, 3)) < shares
    names = np.array(["a", "b", "c"])
    columns = {"reference": [names[row].tolist() for row in truth], "prediction": [["a"]] * 200}
    table = make_predictions(
        "multilabel-classification", {**columns, "probabilities": shares}, label_names=names.tolist()
    )
    output = SimpleNamespace(predictions=logits, label_ids=truth.astype(np.float32))
    bins, figures = [], []
    writer = SimpleNamespace(add_figure=lambda name, figure, step: figures.append(name))
    monkeypatch.setattr(tensorboard, "writer_in", lambda callbacks: writer)
    monkeypatch.setattr(tensorboard, "calibration_figure", bins.extend)

    tensorboard.show_evaluation([], None, output, names.tolist(), 1, several=True)

    assert figures == ["eval/precision_recall", "eval/calibration"]
    assert np.array(bins) == pytest.approx(np.array(calibration_bins(table)))


def test_base_and_compare_agree_that_labels_in_another_order_are_the_same_rows():
    draw = np.random.default_rng(0)
    reference = draw.choice(["bad", "fair", "good"], 300)

    def table(names, seed):
        wrong = np.random.default_rng(seed).random(300) < 0.2
        prediction = np.where(wrong, "bad", reference)
        shares = (prediction[:, None] == np.array(names)) * 0.7 + 0.1
        columns = {"reference": reference, "prediction": prediction, "probabilities": shares}
        return make_predictions("classification", columns, label_names=names)

    ours, base, turned = (
        table(["bad", "fair", "good"], 1),
        table(["bad", "fair", "good"], 2),
        table(["good", "bad", "fair"], 2),
    )

    assert judge_pair(ours, turned, "--base") == judge_pair(ours, base, "--base")
    assert compare_predictions(ours, turned) == compare_predictions(ours, base)


def test_a_run_without_any_metric_is_not_put_together_with_others():
    table = make_predictions("regression", {"reference": [1.0], "prediction": [1.0]})

    with pytest.raises(InputError, match="a: its predictions allow no metric; report the runs one by one"):
        aggregate.main_metric([aggregate.TestResult("a", None, table, {})])
