"""Rows → outputs → predictions tables: the same steps in a recipe, in `llmtune evaluate` and `predict`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch
from transformers import PreTrainedTokenizerBase

from llmtune.arguments import TrainingArguments
from llmtune.arguments.search import TrialFinished
from llmtune.metrics import score_predictions
from llmtune.metrics.core.headlines import about_positive
from llmtune.models.lstm import LstmForSequenceClassification
from llmtune.models.lstm.forecasting import LstmForForecasting
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import DECIDING_METRIC
from llmtune.report.attention import attention_rows, with_attention
from llmtune.report.number_plots import ATTENTION
from llmtune.tasks.task import Encoded, Task
from llmtune.tasks.text_windows import WindowCollator
from llmtune.training.same_inputs import check_same_inputs, describe_inputs
from llmtune.training.trainer import FineTuningTrainer

TaskType = TypeVar("TaskType", bound=Task)


def inference_trainer(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    *,
    output_dir: str,
    batch_size: int,
    padding_free: bool = True,
) -> FineTuningTrainer:
    """A Trainer that only predicts: on every process, each row once, longest first, in float32 on a CPU."""
    return FineTuningTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=output_dir,
            per_device_eval_batch_size=batch_size,
            precision="fp32",
            padding_free=padding_free,
            eval_strategy="no",
            report_to="none",
            remove_unused_columns=True,
        ),
        processing_class=tokenizer,
        data_collator=task.data_collator(tokenizer, model),
        preprocess_logits_for_metrics=task.reduce_logits,
        # Without it labels that `reduce_logits` reads would reach the model.
        compute_loss_func=_no_loss if task.reads_labels else None,
        generation=task.generation(tokenizer),
    )


def predict(trainer: FineTuningTrainer, task: Task, encoded: Encoded) -> Any:
    """What the trainer keeps of the model's outputs, in the order of the inputs. Call it on every process."""
    # Other labels would only buy a loss that the metrics compute exactly from the table.
    if trainer.args.world_size > 1:
        check_same_inputs(describe_inputs(trainer.args, {encoded.split: encoded.dataset}))
    unread = [] if task.reads_labels else [name for name in ("labels",) if name in encoded.dataset.column_names]
    metrics, trainer.compute_metrics = trainer.compute_metrics, None  # they are made for the rows of validation
    outputs = trainer.predict(encoded.dataset.remove_columns(unread)).predictions
    trainer.compute_metrics = metrics
    return outputs


def predict_splits(
    trainer: FineTuningTrainer, task: TaskType, encoded: Mapping[str, Encoded]
) -> tuple[TaskType, dict[str, Predictions]]:
    """Predicts validation, chooses there what the task chooses, then reads the test split once.

    Call it on every process.

    Returns:
        the task with its choice, and the tables of both splits.
    """
    outputs = predict(trainer, task, encoded["validation"])
    task = task.tune(task.tabulate(outputs, encoded["validation"]), seed=trainer.args.seed)
    validation = task.tabulate(outputs, encoded["validation"])
    if trainer.args.search_trial:
        raise _finished(trainer, task, validation)
    test = task.tabulate(predict(trainer, task, encoded["test"]), encoded["test"])
    if (weights := attention_of_examples(trainer, encoded["test"], test)) is not None:
        test = replace(test, table=with_attention(test, weights))
    if (by_step := attention_by_step(trainer, encoded["test"])) is not None:
        test = replace(test, settings={**test.settings, ATTENTION: by_step})
    picked = str(trainer.args.metric_for_best_model).removeprefix("eval_")
    # What picked the checkpoint travels with the tables: whatever is judged by them later asks it too.
    tables = {"validation": validation, "test": test}
    return task, {
        split: replace(table, settings={**table.settings, DECIDING_METRIC: picked}) for split, table in tables.items()
    }


def _finished(trainer: FineTuningTrainer, task: Task, validation: Predictions) -> TrialFinished:
    """What a trial of --search is judged by: the metric that picks the checkpoint, of the tuned validation table."""
    name = str(trainer.args.metric_for_best_model).removeprefix("eval_")
    score = score_predictions(validation, metrics=task.metrics, seed=trainer.args.seed).get(name)
    name = about_positive(name, validation.positive_name)
    better = bool(trainer.args.greater_is_better)
    if score is None or score.value is None:  # the loss, or a number of its own
        best = trainer.state.best_metric
        return TrialFinished(name, -float("inf") * (1 if better else -1) if best is None else best, None, better)
    error = None if score.low is None or score.high is None else (score.high - score.low) / (2 * 1.96)
    return TrialFinished(name, score.value, error, better)


def attention_of_examples(
    trainer: FineTuningTrainer, encoded: Encoded, table: Predictions
) -> dict[int, list[tuple[str, float]]] | None:
    """The tokens of the rows that a report shows and their weights in the model's pooling, by row number.

    None of models that don't pool by attention, and of rows that are read in windows.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    if not isinstance(model, LstmForSequenceClassification) or isinstance(trainer.data_collator, WindowCollator):
        return None
    rows = attention_rows(table)
    inputs = encoded.dataset.select_columns(["input_ids", "attention_mask"]).select(rows)
    with torch.no_grad():
        batch = encoded.tokenizer.pad(inputs.to_list(), return_tensors="pt").to(model.device)
        attentions = model.eval()(**batch, output_attentions=True).attentions.float().cpu().tolist()
    ids = inputs["input_ids"]
    tokens = [encoded.tokenizer.convert_ids_to_tokens(row) for row in ids]
    return {
        row: list(zip(names, weights, strict=False))  # the weights of padding, 0, are left out
        for row, names, weights in zip(rows, tokens, attentions, strict=True)
    }


def attention_by_step(trainer: FineTuningTrainer, encoded: Encoded) -> list[float] | None:
    """The mean weight of each step that a forecaster reads, over all windows; None of other models."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if not isinstance(model, LstmForForecasting):
        return None
    size = trainer.args.eval_batch_size
    total = torch.zeros(model.config.lookback, dtype=torch.float64)
    with torch.no_grad():
        for begin in range(0, len(encoded.dataset), size):
            values = torch.tensor(encoded.dataset[begin : begin + size]["past_values"]).to(model.device)
            total += model.eval()(values, output_attentions=True).attentions.double().sum(dim=0).cpu()
    return [float(weight) for weight in total / len(encoded.dataset)]


def _no_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    return torch.zeros((), device=labels.device)
