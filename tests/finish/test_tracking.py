"""What TensorBoard holds of a run, by its own reader."""

import json
import struct

import numpy as np
import pytest
import transformers
from sklearn.metrics import precision_score, recall_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from llmtune.finish.tracking import log_final
from llmtune.metrics import score_predictions
from llmtune.report.report import Report
from llmtune.training.tensorboard import precision_recall_lines
from tests.report.test_page import spam_table
from tests.training.test_trainer import trainer

CLASSES = {"confusion_matrix", "precision_recall", "calibration"}


class Board:
    """The event files of a run as one."""

    def __init__(self, folder):
        self.files = [EventAccumulator(str(path)).Reload() for path in folder.rglob("events.out.tfevents.*")]

    def images(self, tag):
        return [image for one in self.files if tag in one.Tags()["images"] for image in one.Images(tag)]

    def scalars(self):
        return {tag: one.Scalars(tag)[-1].value for one in self.files for tag in one.Tags()["scalars"]}

    def texts(self):
        tensors = {tag: one.Tensors(tag)[-1] for one in self.files for tag in one.Tags()["tensors"]}
        return {tag: tensor.tensor_proto.string_val[0].decode() for tag, tensor in tensors.items()}

    def hyperparameters(self):
        found = [one.summary_metadata for one in self.files]
        return [meta["_hparams_/session_start_info"] for meta in found if "_hparams_/session_start_info" in meta]


@pytest.mark.parametrize(("recipe", "figures"), [("spam", CLASSES), ("ner", {"confusion_matrix"})])
def test_every_evaluation_and_the_test_split_have_figures(demo_run, recipe, figures):
    folder = demo_run(recipe)
    board = Board(folder)
    evaluations = json.loads((folder / "run.json").read_text())["training"]["evaluations"]

    assert len(evaluations) == 4
    for figure in CLASSES:
        of_evaluations = board.images(f"eval/{figure}")
        expected = evaluations if figure in figures else []
        assert [image.step for image in of_evaluations] == [one["step"] for one in expected]
        assert len(board.images(f"test/{figure}")) == (figure in figures)
        for image in of_evaluations:
            assert struct.unpack(">II", image.encoded_image_string[16:24]) > (200, 200)  # a PNG's width and height


@pytest.mark.parametrize(("recipe", "metric", "example"), [
    ("spam", "f1", "examples/Most confident errors"), ("ner", "entity_f1", "examples/Most frequent errors")
])  # fmt: skip
def test_scalars_texts_and_hyperparameters_with_final_metrics(demo_run, recipe, metric, example):
    folder = demo_run(recipe)
    board = Board(folder)
    value = json.loads((folder / "metrics.json").read_text())["test"][metric]["value"]
    scalars, texts = board.scalars(), board.texts()

    assert scalars[f"test/{metric}"] == pytest.approx(value)
    assert scalars[f"hparam/test_{metric}"] == pytest.approx(value)
    assert {"train/loss", f"eval/{metric}"} <= set(scalars)
    assert texts["verdict/text_summary"]
    assert any(tag.startswith(example) and "|" in text for tag, text in texts.items())
    (started,) = board.hyperparameters()
    assert b"learning_rate" in started.plugin_data.content
    assert str(folder.parent).encode() not in started.plugin_data.content


class Seen(transformers.TrainerCallback):
    """A logger like those of --report_to: it hears what the Trainer logs."""

    def __init__(self):
        self.logs = {}

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs |= logs


@pytest.mark.parametrize("no_examples", [False, True])
def test_every_logger_hears_the_final_metrics_and_private_texts_stay_out(tmp_path, no_examples):
    made, seen, table = trainer(tmp_path, report_to="tensorboard", max_steps=1), Seen(), spam_table()
    made.train()
    made.add_callback(seen)
    scores = score_predictions(table)

    log_final(made, Report("spam-1", table, scores), no_examples=no_examples)

    assert {f"test_{name}": score.value for name, score in scores.items()}.items() <= seen.logs.items()
    texts = [tag for tag in Board(tmp_path).texts() if tag.startswith("examples/")]
    assert bool(texts) != no_examples


def test_without_report_to_nothing_is_logged(tmp_path):
    made, seen, table = trainer(tmp_path, report_to="none"), Seen(), spam_table()
    made.add_callback(seen)

    log_final(made, Report("spam-1", table, score_predictions(table)), no_examples=False)

    assert seen.logs == {}


def test_the_lines_are_sklearns_and_a_hand_count():
    probabilities = np.array([[0.9, 0.1], [0.62, 0.38], [0.35, 0.65], [0.05, 0.95]])
    labels = np.array([0, 1, 1, 1])

    recall, precision = precision_recall_lines(probabilities, labels, ("ham", "spam"))["spam"]
    called = probabilities[:, 1] >= 0.65

    assert (recall_score(labels == 1, called), precision_score(labels == 1, called)) in set(
        zip(recall, precision, strict=True)
    )


def test_a_class_without_rows_has_no_curve():
    assert set(precision_recall_lines(np.full((3, 3), 1 / 3), np.array([0, 0, 2]), "abc")) == {"a", "c"}
