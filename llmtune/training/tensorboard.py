"""What TensorBoard shows beyond the stock scalars: the confusion matrix at every evaluation, as a figure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback

MOST_CELLS = 30  # classes of a matrix whose names can be read


def writer_in(callbacks: Sequence[TrainerCallback]) -> Any:
    """The SummaryWriter of a Trainer's callbacks; None without --report_to tensorboard, or on other processes."""
    found = (callback.tb_writer for callback in callbacks if isinstance(callback, TensorBoardCallback))
    return next(found, None)


def confusion_figure(matrix: np.ndarray, names: Sequence[str]) -> Any:
    """A matplotlib figure of (c, c) counts, coloured by the share of their row; rows are the reference."""
    from matplotlib.figure import Figure

    c = len(matrix)
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    figure = Figure(figsize=(2.5 + 0.6 * c, 2 + 0.5 * c), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(c), names, rotation=45, ha="right")
    axes.set_yticks(range(c), names)
    axes.set_xlabel("prediction")
    axes.set_ylabel("reference")
    for row, column in np.ndindex(c, c):
        ink = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{matrix[row, column]:,}", ha="center", va="center", color=ink)
    return figure


def show_confusions(callbacks: Sequence[TrainerCallback], matrix: Any, names: Sequence[str], step: int) -> None:
    """Writes the matrix of an evaluation, where there is a writer and it can be read."""
    writer = writer_in(callbacks)
    if writer is None or matrix is None or len(matrix) > MOST_CELLS:
        return
    writer.add_figure("eval/confusion_matrix", confusion_figure(np.asarray(matrix), names), step)
