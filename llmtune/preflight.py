"""What is used only after hours of training is refused before: metrics, the checkpoint's metric, the objective."""

from typing import Any

import numpy as np
from datasets import Dataset

from llmtune.arguments import TrainingArguments
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.targets import check_demands
from llmtune.errors import InputError
from llmtune.metrics import MetricHub, available_metrics, compute_metrics, score_predictions
from llmtune.predictions import Predictions, make_predictions
from llmtune.tasks.losses import ClassificationLoss, classification_loss
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.extractive import KIND as ANSWER_KIND
from llmtune.tasks.text_classification.arguments import TextClassificationArguments
from llmtune.tasks.text_classification.task import KIND, TextClassification
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.task import KIND as TOKEN_KIND
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.thresholds.decision import read_objective


def metrics_of(task: TextClassification, options: TextClassificationArguments) -> tuple[MetricHub, dict[str, bool]]:
    """The metrics of the evaluations in training, and of each whether higher is better.

    Raises:
        InputError: an unknown metric, threshold objective or target.
    """
    read_objective(options.threshold_objective)
    # One row of each class, all predicted right: enough to load every metric and to compute it once.
    names: dict[str, Any] = {"label_names": task.label_names, "positive_label": task.positive_label}
    likely = np.eye(len(task.label_names))
    rows = {"reference": task.label_names, "prediction": task.label_names, "probabilities": likely}
    table = make_predictions(KIND, rows, **names)
    _check(table, options)
    ours = available_metrics(table, metrics=options.metrics)
    hub = compute_metrics(KIND, **names, metrics=options.metrics)
    return hub, {name: metric.higher_is_better for name, metric in ours.items()}


def loss_and_directions(
    task: TokenClassification, options: TokenClassificationArguments, training: TrainingArguments, rows: Dataset
) -> tuple[ClassificationLoss, dict[str, bool]]:
    """A tagger's loss, and the metrics of its evaluations in training, of each whether higher is better.

    Args:
        task: what it tags.
        options: what was asked for.
        training: likewise.
        rows: of train, for --class_weights balanced.

    Raises:
        InputError: an unknown metric, a target that a tagger of these types can't have, a loss that does not exist.
    """
    loss = classification_loss(options, training, task.label_ids(rows), task.tag_names)
    tags = [[tag] for tag in task.tag_names if not tag.startswith("I-")]
    table = make_predictions(TOKEN_KIND, {"reference": tags, "prediction": tags})
    _check(table, options)
    ours = {name: metric.higher_is_better for name, metric in available_metrics(table).items()}
    return loss, {**ours, "repairs": False, "nonfinite_words": False}


def answer_directions(
    options: QuestionAnsweringArguments, training: TrainingArguments, *, writes: bool
) -> dict[str, bool]:
    """The metrics of the evaluations in training of a model that answers, and of each whether higher is better.

    Raises:
        InputError: an unknown metric, a target that answers can't have, label smoothing of answers that are marked.
    """
    if training.label_smoothing_factor and not writes:
        raise InputError("--label_smoothing_factor: the loss of extractive answers has none; leave it out")
    table = make_predictions(ANSWER_KIND, {"question": ["?"], "reference": [["yes"]], "prediction": ["yes"]})
    _check(table, options)
    ours = {name: metric.higher_is_better for name, metric in available_metrics(table).items()}
    return ours if writes else {**ours, "nonfinite_rows": False}


def _check(
    table: Predictions, options: TextClassificationArguments | TokenClassificationArguments | QuestionAnsweringArguments
) -> None:
    try:
        scores = score_predictions(table, metrics=options.metrics)
    except ValueError as error:
        raise InputError(f"--metrics {' '.join(options.metrics)}: {error}") from error
    check_demands(read_targets(options.targets), table, scores)
