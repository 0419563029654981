"""The end of every recipe: what training took, and the files that its judgement leaves."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmtune.arguments import describe_arguments
from llmtune.diagnosis.verdict import Verdict
from llmtune.finish.tracking import log_final, push_if_asked
from llmtune.metrics import Score
from llmtune.predictions import Predictions, write_predictions
from llmtune.predictions.kinds import DECIDING_METRIC
from llmtune.report.report import Report
from llmtune.report.reports import write_reports
from llmtune.runs.folder import describe_run, write_json, write_metrics, write_verdict
from llmtune.terminal.console import Terminal
from llmtune.terminal.verdict_lines import show_verdict
from llmtune.training.trainer import Trainer


def training_facts(trainer: Trainer) -> dict[str, Any]:
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
        "steps": state.global_step,
        "epochs": state.epoch,
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


def with_deciding_metric(trainer: Trainer, tables: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """The tables, their settings naming the metric that picked the checkpoint: what is judged later asks it too."""
    metric = str(trainer.args.metric_for_best_model).removeprefix("eval_")
    return {
        split: replace(table, settings={**table.settings, DECIDING_METRIC: metric}) for split, table in tables.items()
    }


def write_results(
    folder: Path,
    tables: Mapping[str, Predictions],
    scores: Mapping[str, Mapping[str, Score]],
    *,
    baselines: Mapping[str, Predictions],
    arguments: Sequence[Any],
    facts: Mapping[str, Any],
) -> None:
    """predictions/, metrics.json and run.json. Call it on the first process only.

    Args:
        folder: of the run.
        tables: by split.
        scores: by split, with those of the baselines as `baseline_splits` names them.
        baselines: by the name that a person reads, their tables of the test split.
        arguments: as parsed.
        facts: what else run.json holds.
    """
    for split, table in tables.items():
        write_predictions(table, folder / "predictions" / f"{split}.parquet")
    for name, table in baselines.items():
        file = re.sub(r"\W+", "_", name.lower())
        named = replace(table, settings={**table.settings, "name": name})
        write_predictions(named, folder / "predictions" / "baselines" / f"{file}.parquet")
    write_metrics(folder, scores)
    write_json(folder / "run.json", describe_run(describe_arguments(arguments), facts))


def leave_report(
    trainer: Trainer,
    terminal: Terminal,
    test: Predictions,
    scores: Mapping[str, Score],
    verdict: Verdict,
    *,
    baselines: Mapping[str, Mapping[str, Score]],
    no_examples: bool,
) -> None:
    """verdict.json, report.html, card and the trackers' final metrics; then the verdict at the terminal and the push.

    Call it on the first process only, after `write_results`.

    Args:
        trainer: with the run folder and what to push.
        terminal: where the verdict is said.
        test: the table of the test split.
        scores: of it.
        verdict: of it.
        baselines: by the name that a person reads, their scores on the same rows.
        no_examples: keep the texts out of page and trackers.
    """
    folder = Path(str(trainer.args.output_dir))
    write_verdict(folder, verdict)
    report = Report.of_run(folder, test, scores, baselines=baselines, verdict=verdict)
    write_reports(folder, report, no_examples=no_examples)
    log_final(trainer, report, no_examples=no_examples)
    show_verdict(terminal, verdict, folder)
    if url := push_if_asked(trainer):
        terminal.block(f"Pushed to {url}", [])
