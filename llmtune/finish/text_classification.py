"""The end of a classification recipe: threshold on validation, the test split once, then everything a run leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import datasets

from llmtune.arguments.data import SPLITS
from llmtune.baselines import majority, tfidf_logistic_regression
from llmtune.data import Splits
from llmtune.diagnosis.context import Context, TrainingLog, diagnose
from llmtune.diagnosis.leakage import Examples
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.verdict import Verdict
from llmtune.finish.write_run import leave_report, training_facts, with_deciding_metric, write_results
from llmtune.inference import predict_rows, tabulate
from llmtune.metrics import Score, score_predictions
from llmtune.metrics.core.base import with_interval
from llmtune.models.checkpoints import save_weights
from llmtune.predictions import Predictions
from llmtune.runs.folder import baseline_splits
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.terminal.console import Terminal
from llmtune.thresholds.decision import ThresholdChoice, choose_threshold
from llmtune.training.trainer import Trainer


def judge(
    trainer: Trainer,
    task: TextClassification,
    splits: Splits,
    tokens: Mapping[str, datasets.Dataset],
    *,
    objective: str,
) -> tuple[TextClassification, ThresholdChoice | None, dict[str, Predictions]]:
    """Predicts validation, chooses the threshold there, then reads the test split once. Call it on every process.

    Returns:
        the task with its threshold, the choice (None with more than two classes), and the tables of both splits.
    """
    seed = trainer.args.seed
    logits = predict_rows(trainer, tokens["validation"])
    choice = None
    if len(task.label_names) == 2:
        at_half = tabulate(task, logits, splits["validation"], tokens["validation"], "validation")
        choice = choose_threshold(at_half, objective, seed=seed)
        task = replace(task, threshold=choice.threshold)
    tables = {"validation": tabulate(task, logits, splits["validation"], tokens["validation"], "validation")}
    logits = predict_rows(trainer, tokens["test"])
    tables["test"] = tabulate(task, logits, splits["test"], tokens["test"], "test")
    return task, choice, tables


def leave(
    trainer: Trainer,
    task: TextClassification,
    choice: ThresholdChoice | None,
    tables: Mapping[str, Predictions],
    splits: Splits,
    *,
    arguments: Sequence[Any],
    facts: Mapping[str, Any],
    metrics: Sequence[str] = (),
) -> dict[str, dict[str, Score]]:
    """Writes what a run leaves and prints its test block. Call it on every process; the first one writes.

    Args:
        trainer: with the best weights loaded.
        task: with its threshold.
        choice: of the threshold.
        tables: by split, as `judge` gave them.
        splits: the rows.
        arguments: as parsed, data first, then the task's: for the verdict and run.json.
        facts: of the stages before, for run.json.
        metrics: more metrics, asked for by --metrics.

    Returns:
        the scores, by split.
    """
    folder = Path(str(trainer.args.output_dir))
    trainer.model.config.llmtune = task.settings()
    save_weights(trainer, keep_base="from scratch" in facts["model"]["name"])
    trained = training_facts(trainer)
    tables = with_deciding_metric(trainer, tables)
    seed = trainer.args.seed
    scores = {split: score_predictions(table, metrics=metrics, seed=seed) for split, table in tables.items()}
    if not trainer.is_world_process_zero():
        return scores
    test = tables["test"]
    baselines = {
        "majority": majority(list(splits.train["label"]), test),
        "TF-IDF + logistic regression": tfidf_logistic_regression(
            list(splits.train["text"]), list(splits.train["label"]), list(splits.test["text"]), test
        ),
    }
    beside = {name: score_predictions(table, seed=seed) for name, table in baselines.items()}
    write_results(
        folder,
        tables,
        {**scores, **baseline_splits("test", beside)},
        baselines=baselines,
        arguments=arguments,
        facts={
            "seed": seed,
            **facts,
            "training": trained,
            "threshold": None if choice is None else plain_choice(choice),
            "baselines": {
                name: {key: of[key].value for key in ("accuracy", "f1_macro")} for name, of in beside.items()
            },
        },
    )
    log = TrainingLog.from_run(trained)
    verdict = diagnose_run(tables, splits, scores["test"], baselines, log, arguments=arguments, facts=facts, seed=seed)
    terminal = Terminal()
    terminal.training(trained)
    terminal.test(test, scores["test"], beside, _notes(choice, scores["test"], folder))
    leave_report(
        trainer, terminal, test, scores["test"], verdict, baselines=beside, no_examples=arguments[0].no_examples
    )
    return scores


def diagnose_run(
    tables: Mapping[str, Predictions],
    splits: Splits,
    scores: Mapping[str, Score],
    baselines: Mapping[str, Predictions],
    log: TrainingLog,
    *,
    arguments: Sequence[Any],
    facts: Mapping[str, Any],
    seed: int,
) -> Verdict:
    """All checks of a run on its test split; the arguments are those of `leave`, `scores` are of the test split."""
    data, options = arguments[0], arguments[1]
    return diagnose(
        Context(
            tables["test"],
            tables["validation"],
            scores,
            demands=read_targets(options.targets),
            baselines=baselines,
            training=log,
            examples=examples_of(splits, data.split_group_column),
            truncated=facts["truncated"],
            group_columns=data.group_columns,
            slice_columns=data.slice_columns,
            objective=options.threshold_objective,
            seed=seed,
        )
    )


def examples_of(splits: Splits, group: str | None) -> dict[str, Examples]:
    """The rows of each split as the check `leakage` reads them."""
    return {
        split: Examples(
            list(splits[split]["text"]),
            list(splits[split]["label"]),
            ids={} if group is None or group not in splits[split].column_names else {group: list(splits[split][group])},
        )
        for split in SPLITS
    }


def plain_choice(choice: ThresholdChoice) -> dict[str, Any]:
    """The threshold's story as JSON values."""
    return {key: None if value != value else value for key, value in asdict(choice).items()}


def _notes(choice: ThresholdChoice | None, scores: Mapping[str, Score], folder: Path) -> list[str]:
    notes = []
    if choice is not None:
        notes.append(f"threshold {choice.reason}")
    if "f1@0.5" in scores:
        notes.append(
            f"F1 on test at 0.5: {with_interval(scores['f1@0.5'])}; at the threshold: {with_interval(scores['f1'])}"
        )
    nonfinite = next((score.reason for score in scores.values() if score.value is None), None)
    if nonfinite:
        notes.append(f"undefined: {nonfinite}")
    return [*notes, f"the run is in {folder}"]
