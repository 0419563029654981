"""The beginning of every recipe: what is used only after hours of training is refused before it."""

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import PreTrainedModel

from llmtune.arguments.config_file import config_text
from llmtune.arguments.parser import Arguments
from llmtune.diagnosis.targets import check_targets
from llmtune.errors import InputError
from llmtune.hub.push import check_repo_id
from llmtune.metrics import available_metrics, score_predictions
from llmtune.metrics.core.scoring import undefined_at_best
from llmtune.models.loaded import LoadedModel
from llmtune.models.padding_free import install
from llmtune.runs.folder import write_text
from llmtune.tasks.task import Encoded, Task
from llmtune.tasks.token_cache import reading_lines
from llmtune.terminal.console import Terminal, hide_progress_bars
from llmtune.training.same_inputs import check_same_inputs, describe_inputs


def validate_metrics(args: Arguments, task: Task, splits: Any) -> None:
    """Settles the metric that picks the checkpoint, and refuses metrics, targets and losses that the task can't have.

    Raises:
        InputError: --metrics, --targets, --metric_for_best_model, an argument of the loss, or --hub_model_id.
    """
    hide_progress_bars()  # before the model is loaded, under a bar of transformers
    if args.training.push_to_hub and args.training.hub_model_id:
        check_repo_id(args.training.hub_model_id, "--hub_model_id")
    task.loss(args, splits)
    table = task.example_table()
    try:
        scores = score_predictions(table, metrics=task.metrics)
    except ValueError as error:
        names = " ".join(metric for metric in task.metrics if isinstance(metric, str))
        raise InputError(f"--metrics {names}: {error}") from error
    check_targets(args.task.required, table, scores)
    ours = available_metrics(table, metrics=task.metrics)
    directions = {name: metric.higher_is_better for name, metric in ours.items()}
    if task.scored:
        unscored = available_metrics(table).keys() - set(task.scored)
        directions = {name: higher for name, higher in directions.items() if name not in unscored}
    # Of a metric that is not ours nobody says which way is better: as in transformers, a loss is, where it is lower.
    others = {name: not name.endswith("loss") for name in scores if name not in ours}
    counts = dict.fromkeys(task.counted, False)
    args.training.choose_best_metric(task.deciding_metric, {**directions, **others, **counts})
    _check_validation_tells(args, task, splits["validation"])


def _check_validation_tells(args: Arguments, task: Task, rows: datasets.Dataset) -> None:
    """That the metric which picks the checkpoint has a value on validation is known by its labels, before training."""
    name = str(args.training.metric_for_best_model).removeprefix("eval_")
    if not args.training.load_best_model_at_end and not args.training.early_stopping_patience:
        return
    reason = undefined_at_best(task.example_table(rows), name, metrics=task.metrics)
    if reason is not None:
        raise InputError(
            f"--metric_for_best_model {name}: it can't pick a checkpoint, because on the {len(rows):,} rows of "
            f"validation it is undefined whatever a model predicts: {reason}. Give other rows of "
            "validation, leave --validation_file out (rows of train are then held out, of every class), or name "
            "another metric"
        )


def begin_run(args: Arguments, task: Task, splits: Any, encoded: Mapping[str, Encoded], loaded: LoadedModel) -> None:
    """Says what was read and loaded, and makes the run's folder: all input is known to be good here.

    Call it on every process; the first one prints.

    Raises:
        InputError: --activation_checkpointing of a model that has none, or processes that read other rows.
    """
    _refuse_what_the_model_lacks(args, loaded.model)
    if args.training.world_size > 1:
        rows = {split: part.dataset for split, part in encoded.items()}
        check_same_inputs(describe_inputs(args.training, rows, getattr(loaded.model.config, "id2label", None)))
    terminal = Terminal(args.training.process_index == 0)
    cached = {split: part.cached_in for split, part in encoded.items()}
    terminal.block("Data", [*task.summary(splits, encoded), *reading_lines(cached)])
    arithmetic = args.training.describe_precision(loaded.facts.weights)
    threads = f"{torch.get_num_threads()} CPU threads"
    lines = [*loaded.facts.lines(), f"{arithmetic}; {threads}"]
    if "past_values" not in signature(loaded.model.forward).parameters:  # windows of a series are all of one length
        reason = args.training.why_padded or install(loaded.model)
        lines.append(f"batches with padding: {reason}" if reason else "batches without padding: real tokens alone")
    terminal.block("Model", lines)
    args.training.prepare_output_dir()
    if args.training.process_index == 0:
        text = config_text(args, precision=args.training.precision, processes=args.training.world_size)
        write_text(Path(str(args.training.output_dir)) / "config.yaml", text)


def _refuse_what_the_model_lacks(args: Arguments, model: Any) -> None:
    able = not isinstance(model, PreTrainedModel) or model.supports_gradient_checkpointing
    if args.training.activation_checkpointing and not able:
        raise InputError(
            f"--activation_checkpointing: {type(model).__name__} has no blocks to compute again; leave it out, and if "
            "memory is short lower --per_device_train_batch_size or --max_length"
        )
