"""Translation and summarization: the scores of an evaluation in training, and the end of a recipe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets

from llmtune.arguments.data import SPLITS
from llmtune.baselines import table_baselines
from llmtune.data import Splits
from llmtune.diagnosis.context import Context, TrainingLog, diagnose
from llmtune.diagnosis.degenerate_output import degenerate_output
from llmtune.diagnosis.leakage import Examples
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.targets import check_demands
from llmtune.diagnosis.verdict import Verdict
from llmtune.errors import InputError
from llmtune.finish.write_run import leave_report, training_facts, with_deciding_metric, write_results
from llmtune.inference import predict_rows, tabulate_texts
from llmtune.metrics import Score, metric_values, score_predictions
from llmtune.models.checkpoints import save_weights
from llmtune.predictions import Predictions, make_predictions
from llmtune.runs.folder import baseline_splits
from llmtune.tasks.text_generation.task import KIND, TextGeneration, Truncation, primary_reference
from llmtune.terminal.console import Terminal
from llmtune.terminal.score_tables import metric_table
from llmtune.text.shorten import truncated_line
from llmtune.text.words import split_at_spaces
from llmtune.training.callbacks import EvaluationLogger
from llmtune.training.generation import GenerationMetrics, GenerationTrainer

SAMPLES, SAMPLE_LENGTH = 3, 300


class SampleLogger(EvaluationLogger):
    """The line of each evaluation, and in its history the first answers, so that one sees the model learn to write.

    Args:
        scores: of the evaluations.
        rows: validation.
        shown: metrics on the line.
        samples: whether texts may be kept.
    """

    def __init__(
        self, scores: GenerationMetrics, rows: datasets.Dataset, shown: tuple[str, ...], *, samples: bool
    ) -> None:
        super().__init__(shown)
        self.scores, self.rows, self.samples = scores, rows, samples

    def on_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """The line, and the samples."""
        before = len(self.history)
        super().on_evaluate(*args, **kwargs)
        if self.samples and len(self.history) > before:
            self.history[-1]["samples"] = [
                {
                    "source": truncated_line(self.rows[row]["source"], SAMPLE_LENGTH),
                    "reference": truncated_line(primary_reference(self.rows[row]["target"]), SAMPLE_LENGTH),
                    "prediction": truncated_line(self.scores.answers[row], SAMPLE_LENGTH),
                }
                for row in range(min(SAMPLES, len(self.rows)))
            ]


def scores_of(
    task: TextGeneration, tokenizer: Any, inputs: datasets.Dataset, rows: datasets.Dataset
) -> GenerationMetrics:
    """`compute_metrics` of the evaluations in training."""
    references, language = list(rows["target"]), {"language": task.target_lang} if task.target_lang else {}

    def score(answers: Sequence[str]) -> dict[str, float]:
        columns = {"reference": references, "prediction": list(answers)}
        return metric_values(make_predictions(KIND, columns, settings=language), task.scored)

    return GenerationMetrics(task, tokenizer, inputs, score)


def check_beforehand(task: TextGeneration, metrics: Sequence[str], targets: str | None) -> dict[str, bool]:
    """Refuses what is used only after hours of training; gives the metrics of an evaluation and their directions.

    Raises:
        InputError: an unknown metric or target.
    """
    text = "one two three four five"
    table = make_predictions(KIND, {"source": [text], "reference": [text], "prediction": [text]})
    try:
        scores = score_predictions(table, metrics=metrics)
    except ValueError as error:
        raise InputError(f"--metrics {' '.join(metrics)}: {error}") from error
    check_demands(read_targets(targets), table, scores)
    return {name: True for name in task.scored if name != "length_ratio"}


def show_data(terminal: Terminal, splits: Splits, cuts: Mapping[str, Truncation], task: TextGeneration) -> None:
    """What was read: rows, words, repeated sources, what was cut, what the model is asked."""
    lines = []
    for split, said in splits.describe().items():
        rows = splits[split]
        sources = sum(len(split_at_spaces(text)) for text in rows["source"])
        targets = sum(len(split_at_spaces(primary_reference(target))) for target in rows["target"])
        lines.append(
            f"{split:<11}{said['rows']:>8,} rows, {sources:,} words of sources, {targets:,} of targets; {said['made']}"
        )
    repeats = {pair: n for said in splits.describe().values() for pair, n in said["duplicates"].items() if n}
    lines.append("repeated sources: " + (", ".join(f"{pair} {n:,}" for pair, n in repeats.items()) or "none"))
    for what, most in (("sources", task.max_source_length), ("targets", task.max_target_length)):
        cut = ", ".join(f"{split} {getattr(of, what):,}" for split, of in cuts.items() if getattr(of, what))
        lines.append(f"{what} cut at {most} tokens: {cut or 'none'}")
    lines.append(f"the model reads {task.prompt_of('…')!r} and answers with at most {task.max_new_tokens} tokens")
    terminal.block("Data", lines)


def judge(
    trainer: GenerationTrainer, task: TextGeneration, splits: Splits, tokens: Mapping[str, datasets.Dataset]
) -> dict[str, Predictions]:
    """Answers validation and test with the best weights. Call it on every process."""
    tables = {}
    for split in ("validation", "test"):
        answers, ended = predict_rows(trainer, tokens[split])
        tables[split] = tabulate_texts(task, answers, ended, splits[split], split)
    return tables


def leave(
    trainer: GenerationTrainer,
    task: TextGeneration,
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
        task: as trained.
        tables: by split, as `judge` gave them.
        splits: the rows.
        arguments: as parsed, data first, then the task's: for the verdict and run.json.
        facts: of the stages before, for run.json; `cuts` by split.
        metrics: more metrics, asked for by --metrics.

    Returns:
        the scores, by split.
    """
    folder = Path(str(trainer.args.output_dir))
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.config.llmtune = task.settings()
    save_weights(trainer, keep_base="from scratch" in facts["model"]["name"])
    if trainer.is_world_process_zero():
        model.generation_config.save_pretrained(folder)  # plain `generate` asks it; an adapter is saved without it
    trained = training_facts(trainer)
    tables = with_deciding_metric(trainer, tables)
    seed = trainer.args.seed
    scores = {split: score_predictions(table, metrics=metrics, seed=seed) for split, table in tables.items()}
    if not trainer.is_world_process_zero():
        return scores
    test = tables["test"]
    baselines = table_baselines(test)
    beside = {name: score_predictions(table, seed=seed) for name, table in baselines.items()}
    cuts: Mapping[str, Truncation] = facts["cuts"]
    kept = {name: value for name, value in facts.items() if name != "cuts"}
    write_results(
        folder,
        tables,
        {**scores, **baseline_splits("test", beside)},
        baselines=baselines,
        arguments=arguments,
        facts={
            "seed": seed,
            **kept,
            "truncated": {split: of.sources for split, of in cuts.items()},
            "truncated_targets": {split: of.targets for split, of in cuts.items()},
            "unfinished_answers": {split: table.settings["unfinished"] for split, table in tables.items()},
            "training": trained,
            "baselines": {name: {task.best_metric: of[task.best_metric].value} for name, of in beside.items()},
        },
    )
    terminal = Terminal()
    terminal.training(trained)
    terminal.block(f"Test: {len(test)} rows", [])
    terminal.table(metric_table(scores["test"], beside))
    terminal.block("Notes", [*notes(test, scores["test"], task), f"the run is in {folder}"])
    no_examples = arguments[0].no_examples
    if not no_examples:
        terminal.block("The first outputs", _samples(test))
    verdict = diagnose_run(
        tables, splits, scores["test"], baselines, TrainingLog.from_run(trained), cuts, arguments=arguments, seed=seed
    )
    leave_report(trainer, terminal, test, scores["test"], verdict, baselines=beside, no_examples=no_examples)
    return scores


def diagnose_run(
    tables: Mapping[str, Predictions],
    splits: Splits,
    scores: Mapping[str, Score],
    baselines: Mapping[str, Predictions],
    log: TrainingLog,
    cuts: Mapping[str, Truncation],
    *,
    arguments: Sequence[Any],
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
            examples={split: Examples(list(splits[split]["source"])) for split in SPLITS},
            truncated={split: of.sources for split, of in cuts.items()},
            group_columns=data.group_columns,
            slice_columns=data.slice_columns,
            seed=seed,
        )
    )


def notes(test: Predictions, scores: Mapping[str, Score], task: TextGeneration) -> list[str]:
    """What to know of the numbers: signatures, answers that are none, answers that did not end."""
    said = [f"{name}: {scores[name].signature}" for name in ("bleu", "chrf") if name in scores]
    rates = degenerate_output(test).numbers
    shares = ", ".join(
        f"{name} {rate['value']:.1%}" for name, rate in rates.items() if isinstance(rate, Mapping) and "value" in rate
    )
    if shares:
        said.append(f"degenerate outputs: {shares}")
    unfinished = test.settings["unfinished"]
    if unfinished:
        said.append(f"{unfinished:,} answers did not end within {task.max_new_tokens} tokens: raise --max_new_tokens")
    return said


def _samples(test: Predictions) -> list[str]:
    rows = test.table.slice(0, SAMPLES).to_pylist()
    parts = ("source", "reference", "prediction")
    return [
        f"{part:<11}{truncated_line(primary_reference(row[part]), SAMPLE_LENGTH)}" for row in rows for part in parts
    ]
