"""The end of every recipe: tables, scores, baselines, verdict, report, card and trackers."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from transformers import PreTrainedModel

from llmtune.arguments import describe_arguments
from llmtune.arguments.config_file import reproduction
from llmtune.arguments.data import SPLITS
from llmtune.arguments.parser import Arguments
from llmtune.diagnosis.context import Context, TrainingLog, diagnose
from llmtune.diagnosis.leakage import Examples
from llmtune.diagnosis.saved_model import caution
from llmtune.errors import Writing
from llmtune.finish.saved_model import SavedModelCheck
from llmtune.finish.tracking import log_final, push_if_asked
from llmtune.metrics import Score, score_predictions
from llmtune.models.checkpoints import is_adapter, save_weights
from llmtune.models.loaded import ModelFacts
from llmtune.predictions import Predictions, write_predictions
from llmtune.report.report import Report, write_reports
from llmtune.runs.folder import CONTINUATIONS, baseline_splits, run_content, write_json, write_metrics, write_verdict
from llmtune.tasks.task import Encoded, Task
from llmtune.terminal.console import Terminal
from llmtune.terminal.run_end import show_cautions, show_run_end
from llmtune.terminal.score_tables import show_scores
from llmtune.terminal.verdict_lines import show_verdict
from llmtune.training.trainer import FineTuningTrainer
from llmtune.training.whole_checkpoints import resume_remedy

P = ParamSpec("P")
INPUT_COLUMNS = ("text_column", "text_pair_column", "question_column", "context_column", "source_column")


def training_facts(trainer: FineTuningTrainer) -> dict[str, Any]:
    """What training took, for run.json and the terminal: of the whole run, also where it was resumed.

    Call it on every process.
    """
    state, args = trainer.state, trainer.args
    seconds = trainer.train_seconds
    tokens = trainer.tokens_trained()
    best = None
    if state.best_metric is not None:
        best = {"step": state.best_global_step, "metric": args.metric_for_best_model, "value": state.best_metric}
    chosen = args.load_best_model_at_end and best is not None
    return {
        "arithmetic": trainer.arithmetic,
        "padding_free": trainer.is_padding_free,
        "steps": state.global_step,
        "epochs": state.epoch,
        **({"resume_mismatches": mismatches} if (mismatches := trainer.resumption.mismatches) else {}),
        "stopped_early": bool(args.early_stopping_patience) and state.global_step < state.max_steps,
        "effective_batch": args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
        "processes": args.world_size,
        "train_seconds": round(seconds, 3),  # with the evaluations and checkpoints between the updates
        "evaluation_seconds": round(trainer.evaluation_seconds, 3),  # during and after training
        **tokens,
        "tokens_per_second": round(tokens["real_tokens"] / seconds, 1) if seconds else 0.0,
        "best_checkpoint": best,
        "kept": {"step": state.best_global_step if chosen else state.global_step, "chosen": chosen},
        "losses": [{"step": log["step"], "loss": float(log["loss"])} for log in state.log_history if "loss" in log],
        "evaluations": trainer.evaluation_lines.history,
    }


def with_resume_remedy(write: Callable[Concatenate[Arguments, P], Path]) -> Callable[Concatenate[Arguments, P], Path]:
    """What the disk refuses to `write`, whose first argument is the run's, says how the run goes on."""

    @wraps(write)
    def told(args: Arguments, *rest: P.args, **more: P.kwargs) -> Path:
        folder = Path(str(args.training.output_dir))
        with Writing(folder, remedy=resume_remedy(folder)):
            return write(args, *rest, **more)

    return told


@with_resume_remedy
def write_run(
    args: Arguments,
    trainer: FineTuningTrainer,
    task: Task,
    splits: Any,
    encoded: Mapping[str, Encoded],
    predictions: Mapping[str, Predictions],
    model: ModelFacts,
) -> Path:
    """Writes all that a run leaves, and prints its numbers and its verdict.

    Call it on every process; the first one writes and prints.

    Args:
        args: as parsed.
        trainer: with the best weights loaded.
        task: with what it chose on validation.
        splits: the rows.
        encoded: the rows as the model read them.
        predictions: of validation and test.
        model: what is known of it.

    Returns:
        the folder of the run.

    Raises:
        DiskFault: something can't be written; it says how to go on.
    """
    folder = Path(str(args.training.output_dir))
    check = SavedModelCheck(args, trainer, model.weights) if trainer.is_world_process_zero() else None
    _save_model(trainer, task, keep_base=model.from_scratch)
    if check is not None:
        check.begin(task, encoded["test"], predictions["test"])
    trained = training_facts(trainer)
    continuations = task.continuations(trainer.accelerator.unwrap_model(trainer.model), encoded["test"])
    if check is None:
        return folder
    seed, test = args.training.seed, predictions["test"]
    scores = {split: score_predictions(table, metrics=task.metrics, seed=seed) for split, table in predictions.items()}
    baselines = task.baselines(splits, test)
    baseline_scores = {name: score_predictions(table, seed=seed) for name, table in baselines.items()}
    found = task.run_facts(predictions, seed=seed)
    decides = task.deciding_metric
    facts = {
        "seed": seed,
        **_again(args),
        "data": splits.describe(),
        **_by_split(encoded),
        "model": model.to_json(),
        "training": trained,
        **({"search": args.training.search_summary} if args.training.search_summary else {}),
        **found,
        "baselines": {name: {decides: of_one[decides].value} for name, of_one in baseline_scores.items()},
    }
    notes = task.notes(test, scores["test"], found)
    rescored = check.result()
    facts |= {
        "cautions": [*trainer.resumption.mismatches, *task.cautions(test, facts), *caution(rescored)],
        "notes": notes,
    }
    _write_tables(folder, predictions, baselines)
    if continuations is not None:
        write_predictions(continuations, folder / CONTINUATIONS)
    write_metrics(folder, {**scores, **baseline_splits("test", baseline_scores)})
    write_json(folder / "run.json", run_content(describe_arguments(args), facts))
    case = _context(args, task, splits, encoded, predictions, scores["test"], baselines, trained)
    verdict = diagnose(replace(case, continuations=continuations, rescored=rescored))
    write_verdict(folder, verdict)
    report = Report.of_run(folder, test, scores["test"], baselines=baseline_scores, verdict=verdict)
    write_reports(folder, report, no_examples=args.data.no_examples)
    log_final(trainer, report, no_examples=args.data.no_examples)
    # Only now, with everything written: whoever closes the pipe loses lines, not results.
    terminal = Terminal()
    terminal.training(trained, test.positive_name)
    if args.training.verbose:
        show_scores(terminal, test, scores["test"], baseline_scores)
        show_cautions(terminal, report.cautions)
        terminal.block("Notes", [*notes, *_searched(args), f"the run is in {folder}"])
        if not args.data.no_examples and (samples := task.samples(test)):
            terminal.block("The first outputs", [f"{part:<11}{text}" for row in samples for part, text in row.items()])
        show_verdict(terminal, verdict, folder)
    else:
        flags = _input_flags(args.task)
        show_run_end(terminal, test, scores["test"], baseline_scores, verdict, folder, flags, report.cautions)
    if url := push_if_asked(trainer):
        terminal.block(f"Pushed to {url}", [])
    return folder


def _again(args: Arguments) -> dict[str, Any]:
    """What trains the run again; nothing of a program of somebody's own, whose rows no flag can name."""
    training = args.training
    if training.recipe is None:
        return {}
    return {
        "reproduction": reproduction(
            args, recipe=training.recipe, precision=training.precision, processes=training.world_size
        )
    }


def _searched(args: Arguments) -> list[str]:
    return [args.training.search_summary] if args.training.search_summary else []


def _input_flags(task_arguments: Any) -> str:
    """The flags of `llmtune predict` that read the columns of this run's data, with a space after each."""
    own = {field.name: field.default for field in fields(task_arguments)}
    values = {name: value for name, value in vars(task_arguments).items() if name in INPUT_COLUMNS}
    return "".join(f"--{name} {shlex.quote(value)} " for name, value in values.items() if value != own[name])


def _save_model(trainer: FineTuningTrainer, task: Task, *, keep_base: bool) -> None:
    model = trainer.accelerator.unwrap_model(trainer.model)
    if isinstance(model, PreTrainedModel) or is_adapter(model):  # a module of the user's has no config
        model.config.llmtune = task.to_config()
    save_weights(trainer, keep_base=keep_base)


def _by_split(encoded: Mapping[str, Encoded]) -> dict[str, dict[str, Any]]:
    """What did not fit, under the keys of run.json, then by split."""
    return {key: {split: part.facts[key] for split, part in encoded.items()} for key in encoded["train"].facts}


def _write_tables(folder: Path, predictions: Mapping[str, Predictions], baselines: Mapping[str, Predictions]) -> None:
    for split, table in predictions.items():
        write_predictions(table, folder / "predictions" / f"{split}.parquet")
    for name, table in baselines.items():
        file = re.sub(r"\W+", "_", name.lower())
        named = replace(table, settings={**table.settings, "name": name})
        write_predictions(named, folder / "predictions" / "baselines" / f"{file}.parquet")


def _examples(args: Arguments, task: Task, rows: Any) -> Examples:
    """What the check leakage reads, its rows called by the ids of the source."""
    examples = task.leakage_examples(rows, args.data)
    return examples if examples.row_ids is not None else replace(examples, row_ids=rows["id"])


def _context(
    args: Arguments,
    task: Task,
    splits: Any,
    encoded: Mapping[str, Encoded],
    predictions: Mapping[str, Predictions],
    scores: Mapping[str, Score],
    baselines: Mapping[str, Predictions],
    trained: Mapping[str, Any],
) -> Context:
    """What every check of a run reads."""
    return Context(
        predictions["test"],
        predictions["validation"],
        scores,
        targets=args.task.required,
        baselines=baselines,
        training=TrainingLog.from_run(trained),
        examples={split: _examples(args, task, splits[split]) for split in SPLITS},
        truncated=_by_split(encoded).get("truncated", {}),
        group_columns=args.data.group_columns,
        slice_columns=args.data.slice_columns,
        objective=task.objective,
        class_weights=getattr(args.task, "class_weights", "none"),
        seed=args.training.seed,
    )
