"""What a person sees while training: a bar, or lines where no terminal shows one, and a line an evaluation."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tqdm import tqdm  # type: ignore[import-untyped]
from transformers import ProgressCallback, TrainerControl, TrainerState, TrainingArguments

from llmtune.metrics.core.headlines import about_positive
from llmtune.tasks.task import ValidationMetrics


class EvaluationLogger(ProgressCallback):
    """The stock progress bars, without the stock dump of every log; one line an evaluation.

    Without a terminal (nohup, Slurm, docker) each log is a line: step, loss, learning rate, tokens/s, time left.

    Args:
        shown: the metrics on the line, without the prefix eval_.
        confusion: gives the (c, c) counts of the last evaluation and the names of their rows and columns, or None where
            the task has none.
        samples: gives the first answers of a model that writes.
        positive_id: of two classes, the place of the one that the calibration plot is about; None of others.

    Attributes:
        history: an entry an evaluation.
        matrix_names: of the confusion matrix in the last entry.
        positive_label: of two classes, the one that F1 was about in the last evaluation.
        tokens_here: gives the real tokens that this training has computed, over all processes; set by the Trainer.
    """

    def __init__(
        self,
        shown: tuple[str, ...] = (),
        confusion: Callable[[], tuple[np.ndarray, tuple[str, ...]] | None] = lambda: None,
        samples: Callable[[], list[dict[str, str]]] = list,
        positive_id: Callable[[], int | None] = lambda: None,
    ) -> None:
        super().__init__()
        self.shown, self.confusion, self.samples, self.positive_id = shown, confusion, samples, positive_id
        self.matrix_names: tuple[str, ...] = ()
        self.tokens_here: Callable[[], int] = int
        self.positive_label: str | None = None
        self._began, self._first_step = 0.0, 0
        self.history: list[dict[str, Any]] = []

    @classmethod
    def of_metrics(cls, metrics: ValidationMetrics) -> "EvaluationLogger":
        """Of a task's own metrics."""
        return cls(metrics.task.shown, metrics.confusion, metrics.samples, metrics.positive_id)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Opens the bar, where there is a terminal to draw it on."""
        self._began, self._first_step = time.perf_counter(), state.global_step
        if sys.stderr.isatty():
            super().on_train_begin(args, state, control, **kwargs)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Moves the bar."""
        if self.training_bar is not None:
            super().on_step_end(args, state, control, **kwargs)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Closes the bar, and says that training ended before its last step."""
        if self.training_bar is not None:
            super().on_train_end(args, state, control, **kwargs)
        patience = args.early_stopping_patience
        metric = about_positive(str(args.metric_for_best_model).removeprefix("eval_"), self.positive_label)
        if patience and state.global_step < state.max_steps and state.is_world_process_zero:
            tqdm.write(
                f"stopped early at step {state.global_step} of {state.max_steps}: {metric} on "
                f"validation was no better than {state.best_metric:.4f} (step {state.best_global_step}) in the last "
                f"{patience} evaluations (--early_stopping_patience {patience})"
            )

    def on_prediction_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        eval_dataloader: Any = None,
        **kwargs: Any,
    ) -> None:
        """Opens and moves the bar of an evaluation."""
        if sys.stderr.isatty():
            super().on_prediction_step(args, state, control, eval_dataloader=eval_dataloader, **kwargs)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Puts the running loss at the end of the bar; prints a line where there is none."""
        if not logs or "loss" not in logs or not state.is_world_process_zero:
            return
        if self.training_bar is not None:
            self.training_bar.set_postfix(loss=f"{float(logs['loss']):.4f}", refresh=False)
        else:
            tqdm.write("  ".join(self._log_parts(state, logs)))

    def _log_parts(self, state: TrainerState, logs: Mapping[str, Any]) -> list[str]:
        seconds, steps = time.perf_counter() - self._began, state.global_step - self._first_step
        left = seconds / max(1, steps) * (state.max_steps - state.global_step)
        parts = [f"step {state.global_step} of {state.max_steps}", f"loss {float(logs['loss']):.4f}"]
        if "learning_rate" in logs:
            parts.append(f"learning rate {float(logs['learning_rate']):.3g}")
        return [*parts, f"{self.tokens_here() / seconds:,.0f} tokens/s", f"{tqdm.format_interval(left)} left"]

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Prints and keeps the evaluation's line."""
        super().on_evaluate(args, state, control, **kwargs)
        if not state.is_world_process_zero or not metrics:
            return
        confusion = self.confusion()
        entry = {"step": state.global_step, "epoch": state.epoch, **metrics}
        parts = [f"epoch {state.epoch:.2f}" if state.epoch is not None else "before training"]
        losses = [log["loss"] for log in state.log_history if "loss" in log]
        if losses:
            parts.append(f"training loss {float(losses[-1]):.4f}")
        positive = self.positive_id()
        self.positive_label = confusion[1][positive] if confusion is not None and positive is not None else None
        parts += [
            f"{about_positive(name, self.positive_label)} {metrics[f'eval_{name}']:.4f}"
            for name in self.shown
            if f"eval_{name}" in metrics
        ]
        if confusion is not None:
            matrix, self.matrix_names = confusion
            entry["confusion_matrix"] = matrix.tolist()
            parts.append(_confusions(matrix, self.matrix_names))
        if samples := self.samples():
            entry["samples"] = samples
        self.history.append(entry)
        tqdm.write("  ".join(parts))


def _confusions(matrix: np.ndarray, names: tuple[str, ...], most: int = 3) -> str:
    """The largest confusions of a (c, c) matrix, `spam predicted as ham 5 of 63`."""
    rows, columns = np.nonzero(matrix - np.diag(np.diag(matrix)))
    if not len(rows):
        return "no confusions"
    by_count = np.argsort(-matrix[rows, columns], kind="stable")[:most]
    return ", ".join(
        f"{names[rows[i]]} predicted as {names[columns[i]]} {matrix[rows[i], columns[i]]} of {matrix[rows[i]].sum()}"
        for i in by_count
    )
