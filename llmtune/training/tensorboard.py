"""What TensorBoard shows beyond the stock scalars, as figures: at every evaluation the confusion matrix and the curves.

Letters: n rows, c classes.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from scipy import special
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback
from transformers.trainer_utils import EvalLoopOutput

from llmtune.metrics.ece import reliability_curve
from llmtune.stats import softmax
from llmtune.training.curves import logits_of

MOST_CELLS = 30  # classes of a matrix whose names can be read
MOST_LINES = 10  # classes whose curves are told apart by color


def writer_in(callbacks: Sequence[TrainerCallback]) -> Any:
    """The SummaryWriter of a Trainer's callbacks; None without --report_to tensorboard, or on other processes."""
    found = (callback.tb_writer for callback in callbacks if isinstance(callback, TensorBoardCallback))
    return next(found, None)


def confusion_figure(matrix: np.ndarray, names: Sequence[str], *, rows: Sequence[str] | None = None) -> Any:
    """A matplotlib figure of (c, c) counts, colored by the share of their row; rows are the reference.

    `rows` are the names of the rows where they are not those of the columns: of entities the last is the spurious ones.
    """
    from matplotlib.figure import Figure

    c = len(matrix)
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    figure = Figure(figsize=(2.5 + 0.6 * c, 2 + 0.5 * c), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(c), names, rotation=45, ha="right")
    axes.set_yticks(range(c), names if rows is None else rows)
    axes.set_xlabel("prediction")
    axes.set_ylabel("reference")
    for row, column in np.ndindex(c, c):
        ink = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{matrix[row, column]:,}", ha="center", va="center", color=ink)
    return figure


def curve_figure(
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]], x_name: str, y_name: str, *, diagonal: bool = False
) -> Any:
    """A matplotlib figure of named lines (xs, ys) between 0 and 1."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axes = figure.add_subplot(xlim=(0, 1.02), ylim=(0, 1.02), xlabel=x_name, ylabel=y_name)
    if diagonal:
        axes.plot((0, 1), (0, 1), color="0.6", linewidth=1, linestyle=":")
    for name, (xs, ys) in lines.items():
        axes.plot(xs, ys, marker="o" if diagonal else None, label=name)
    axes.grid(color="0.9")
    axes.legend()
    return figure


def calibration_figure(bins: Sequence[tuple[float, float, int]]) -> Any:
    """Confidence and the observed frequency, of the bins of `reliability_curve`."""
    line = {"model": (np.array([given for given, _, _ in bins]), np.array([came for _, came, _ in bins]))}
    return curve_figure(line, "probability given", "observed frequency", diagonal=True)


def precision_recall_lines(
    probabilities: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Recall and precision of each class against the rest, by its (n, c) probability; of classes that have rows.

    `labels`: a class a row (n,), or whether the row has each label (n, c).
    """
    from sklearn.metrics import precision_recall_curve

    found = {}
    for place, name in enumerate(names[:MOST_LINES]):
        truth = labels == place if labels.ndim == 1 else labels[:, place] == 1
        if truth.any():
            precision, recall, _ = precision_recall_curve(truth, probabilities[:, place])
            found[name] = (recall, precision)
    return found


def show_samples(callbacks: Sequence[TrainerCallback], samples: Sequence[Mapping[str, str]], step: int) -> None:
    """Writes what the model wrote at an evaluation, where there is a writer."""
    writer = writer_in(callbacks)
    if writer is None or not samples:
        return
    shown = ["\n".join(f"**{name}**: {escape(text)}  " for name, text in sample.items()) for sample in samples]
    writer.add_text("eval/samples", "\n\n".join(shown), step)


def show_evaluation(
    callbacks: Sequence[TrainerCallback],
    matrix: Any,
    output: EvalLoopOutput,
    names: Sequence[str],
    step: int,
    positive_id: int | None = None,
    several: bool = False,
) -> None:
    """Writes matrix and curves of an evaluation, where there is a writer and they can be read.

    Args:
        callbacks: of the Trainer.
        matrix: (c, c) counts, None where the task has none.
        output: of the evaluation; curves are drawn of logits (n, c) with one label a row.
        names: of the classes.
        step: updates so far.
        positive_id: of two classes, the one that the calibration is about; None for the predicted class.
        several: whether a row may have several labels, (n, c).
    """
    writer = writer_in(callbacks)
    if writer is None:
        return
    if matrix is not None and len(matrix) <= MOST_CELLS:
        writer.add_figure("eval/confusion_matrix", confusion_figure(np.asarray(matrix), names), step)
    found = logits_of(output, several=several)
    if found is None or not len(found[1]) or not np.isfinite(found[0]).all():
        return
    logits, labels = found
    probabilities = special.expit(logits) if several else softmax(logits)
    lines = precision_recall_lines(probabilities, labels, names)
    writer.add_figure("eval/precision_recall", curve_figure(lines, "recall", "precision"), step)
    columns = {"reference": labels, "probabilities": probabilities}
    if several:  # every label of every row, there or not
        present = probabilities.ravel()
        columns = {"reference": labels.ravel(), "probabilities": np.stack([1 - present, present], axis=1)}
        positive_id = 1
    figure = calibration_figure(reliability_curve(columns, positive_id))
    writer.add_figure("eval/calibration", figure, step)
