"""Answers: the scores of an evaluation in training, and the end of a recipe: the test split, and all a run leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from transformers import EvalPrediction, PreTrainedTokenizerBase

from llmtune.arguments.data import SPLITS
from llmtune.baselines import table_baselines
from llmtune.diagnosis.context import Context, TrainingLog, diagnose
from llmtune.diagnosis.leakage import Examples
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.verdict import Verdict
from llmtune.finish.write_run import leave_report, training_facts, with_deciding_metric, write_results
from llmtune.inference import predict_rows, tabulate_answers, tabulate_written_answers
from llmtune.metrics import Score, exact_match, score_predictions, token_f1
from llmtune.models.checkpoints import save_weights
from llmtune.predictions import Predictions
from llmtune.runs.folder import baseline_splits
from llmtune.tasks.question_answering.extractive import QuestionAnswering
from llmtune.tasks.question_answering.generative import GenerativeInputs, GenerativeQuestionAnswering
from llmtune.tasks.question_answering.rows import AnsweredSplits
from llmtune.tasks.question_answering.windows import SpanWindows, describe_span_windows
from llmtune.terminal.console import Terminal
from llmtune.terminal.score_tables import metric_table
from llmtune.thresholds.no_answer import NullThreshold, choose_null_threshold
from llmtune.training.answering import Answering
from llmtune.training.batching import LongestFirstSampler
from llmtune.training.generation import GenerationMetrics
from llmtune.training.trainer import Trainer

SCORES = (("exact_match", exact_match), ("f1", token_f1))
Inputs = SpanWindows | GenerativeInputs


def encode_splits(task: Answering, splits: AnsweredSplits, tokenizer: PreTrainedTokenizerBase) -> dict[str, Inputs]:
    """Train, validation and test as model inputs."""
    return {split: task.encode(splits.splits[split], tokenizer) for split in SPLITS}


def describe_inputs(inputs: Mapping[str, Inputs]) -> dict[str, Any]:
    """What did not fit, by split; JSON values."""
    windows = {split: of for split, of in inputs.items() if isinstance(of, SpanWindows)}
    written = {
        split: {**asdict(of.cuts), "lost_answers": of.lost_answers}
        for split, of in inputs.items()
        if isinstance(of, GenerativeInputs)
    }
    return {"windows": describe_span_windows(windows)} if windows else {"cuts": written}


def answer_scores(
    task: Answering, tokenizer: PreTrainedTokenizerBase, inputs: Inputs, rows: datasets.Dataset
) -> "AnswerScores | GenerationMetrics":
    """`compute_metrics` of the evaluations in training."""
    if isinstance(task, QuestionAnswering):
        assert isinstance(inputs, SpanWindows)
        return AnswerScores(task, inputs, rows)
    references = [one["text"] for one in rows["answers"]]
    return GenerationMetrics(task, tokenizer, inputs.inputs, lambda answers: _values(answers, references))


def _values(prediction: Sequence[str], reference: Sequence[Sequence[str]]) -> dict[str, float]:
    columns = {"prediction": list(prediction), "reference": list(reference)}
    sums = {name: metric.score(metric.statistics(columns).sum(axis=0)[None])[0] for name, metric in SCORES}
    return {name: float(value) for name, value in sums.items()}


class AnswerScores:
    """`compute_metrics` of a Trainer: scores whole questions, whatever windows their contexts were cut into.

    Args:
        task: of the model.
        windows: of the validation rows; their order is the Trainer's longest first.
        rows: of validation, with `context` and `answers`.
    """

    def __init__(self, task: QuestionAnswering, windows: SpanWindows, rows: datasets.Dataset) -> None:
        self.task, self.windows = task, windows
        self.contexts = list(rows["context"])
        self.references = [one["text"] for one in rows["answers"]]
        self.back = np.argsort(LongestFirstSampler(windows.inputs).order)

    def __call__(self, outputs: EvalPrediction) -> dict[str, float]:
        """Exact match and F1 in percent, and the questions without a finite output."""
        kept = [part[self.back] for part in outputs.predictions]
        answers = self.task.decode(kept, self.windows, self.contexts)
        return {**_values(answers.text, self.references), "nonfinite_rows": float(answers.nonfinite)}


def show_data(terminal: Terminal, splits: AnsweredSplits, inputs: Mapping[str, Inputs], task: Answering) -> None:
    """What was read: questions, contexts, those without an answer; what did not fit."""
    lines, described = [], splits.describe()
    for split, said in described.items():
        lines.append(
            f"{split:<11}{said['rows']:>8,} questions on {said['contexts']:,} contexts, "
            f"{said['unanswerable']:,} without an answer; {said['made']}"
        )
    repeats = {pair: n for said in described.values() for pair, n in said["duplicates"].items() if n}
    lines.append("repeated questions: " + (", ".join(f"{pair} {n:,}" for pair, n in repeats.items()) or "none"))
    if isinstance(task, GenerativeQuestionAnswering):
        lines += written_lines(inputs, task)
    else:
        lines += window_lines({s: of for s, of in inputs.items() if isinstance(of, SpanWindows)}, task)
    never = {split: said["unanswerable"] for split, said in described.items() if said["unanswerable"]}
    if never and "train" not in never:
        lines.append(f"absent from train, so all answered wrongly: questions without an answer, {_counts(never)}")
    terminal.block("Data", lines)


def written_lines(inputs: Mapping[str, Inputs], task: GenerativeQuestionAnswering) -> list[str]:
    """What was cut, and what the model is asked."""
    written = {split: of for split, of in inputs.items() if isinstance(of, GenerativeInputs)}
    contexts = _counts({split: of.cuts.sources for split, of in written.items()})
    lost = _counts({split: of.lost_answers for split, of in written.items()})
    answers = _counts({split: of.cuts.targets for split, of in written.items()})
    return [
        f"contexts truncated at their end, to {task.max_source_length} tokens with the question: {contexts}",
        *([f"questions whose answer was truncated away (raise --max_length): {lost}"] if lost != "none" else []),
        f"answers of train truncated at {task.max_target_length} tokens: {answers}",
        f"the model reads {task.prompt_of('question: … context: …')!r} and writes at most {task.max_new_tokens} tokens",
    ]


def window_lines(windows: Mapping[str, SpanWindows], task: QuestionAnswering) -> list[str]:
    """The windows, and what none of them holds."""
    cut = _counts({split: of.cut_rows for split, of in windows.items()})
    lines = []
    lines.append(f"contexts cut into windows of {task.max_length} tokens that share {task.doc_stride}: {cut}")
    if any(of.cut_questions for of in windows.values()):
        lines.append(f"questions cut at half a window: {_counts({s: of.cut_questions for s, of in windows.items()})}")
    if any(of.lost_answers for of in windows.values()):
        lost = _counts({split: of.lost_answers for split, of in windows.items()})
        lines.append(f"answers that no window holds whole (raise --doc_stride): {lost}")
    long = _counts({split: of.answers_longer_than(task.max_answer_length) for split, of in windows.items()})
    if long != "none":
        lines.append(f"answers of more than --max_answer_length {task.max_answer_length} tokens, never found: {long}")
    return lines


def judge(
    trainer: Trainer, task: Answering, splits: AnsweredSplits, inputs: Mapping[str, Inputs], options: Any
) -> tuple[Answering, NullThreshold | None, dict[str, Predictions]]:
    """Predicts validation, chooses there when to give no answer, then reads the test split once.

    Call it on every process.

    Args:
        trainer: with the best weights.
        task: as trained.
        splits: the rows.
        inputs: of the rows.
        options: whose null_score_diff_threshold leaves no choice.

    Returns:
        the task with its threshold, the choice (None without one), and the tables of both splits.
    """
    choice = None
    tables = {}
    for split in ("validation", "test"):
        rows, of = splits.splits[split], inputs[split]
        if isinstance(task, GenerativeQuestionAnswering):
            tables[split] = tabulate_written_answers(task, predict_rows(trainer, of.inputs), rows, split)
            continue
        assert isinstance(of, SpanWindows)
        outputs = predict_rows(trainer, of)
        if split == "validation" and task.null_threshold is not None and options.null_score_diff_threshold is None:
            choice = choose_null_threshold(tabulate_answers(task, outputs, rows, of, split), seed=trainer.args.seed)
            task = replace(task, null_threshold=choice.threshold)
        tables[split] = tabulate_answers(task, outputs, rows, of, split)
    return task, choice, tables


def leave(
    trainer: Trainer,
    task: Answering,
    choice: NullThreshold | None,
    tables: Mapping[str, Predictions],
    splits: AnsweredSplits,
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
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.config.llmtune = task.settings()
    save_weights(trainer, keep_base="from scratch" in facts["model"]["name"])
    if isinstance(task, GenerativeQuestionAnswering) and trainer.is_world_process_zero():
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
    by_part = scores_by_answerability(test)
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
            "null_threshold": None if choice is None else asdict(choice),
            "answerable": by_part,
            "baselines": {name: {key: of[key].value for key, _ in SCORES} for name, of in beside.items()},
        },
    )
    log = TrainingLog.from_run(trained)
    verdict = diagnose_run(tables, splits, scores["test"], baselines, log, arguments=arguments, seed=seed)
    terminal = Terminal()
    terminal.training(trained)
    terminal.block(f"Test: {len(test)} questions", [])
    terminal.table(metric_table(scores["test"], beside))
    terminal.block("Notes", [*notes(task, choice, test, by_part), f"the run is in {folder}"])
    leave_report(
        trainer, terminal, test, scores["test"], verdict, baselines=beside, no_examples=arguments[0].no_examples
    )
    return scores


def diagnose_run(
    tables: Mapping[str, Predictions],
    splits: AnsweredSplits,
    scores: Mapping[str, Score],
    baselines: Mapping[str, Predictions],
    log: TrainingLog,
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
            examples={split: examples_of(splits.splits[split]) for split in SPLITS},
            group_columns=data.group_columns,
            slice_columns=data.slice_columns,
            seed=seed,
        )
    )


def examples_of(rows: datasets.Dataset) -> Examples:
    """The rows as the check `leakage` reads them: a context must not stand on two sides of a split."""
    contexts = list(rows["context"])
    asked = [f"{question} {context}" for question, context in zip(rows["question"], contexts, strict=True)]
    return Examples(asked, ids={"context": contexts})


def scores_by_answerability(test: Predictions) -> dict[str, dict[str, float]] | None:
    """Exact match, F1 and questions of those with and without an answer; None where all are of one sort."""
    references, texts = test.column("reference"), test.column("prediction")
    found = {}
    for name, wanted in (("with", True), ("without", False)):
        rows = [row for row, of in enumerate(references) if bool(of) is wanted]
        if not rows:
            return None
        values = _values([texts[row] for row in rows], [references[row] for row in rows])
        found[name] = {**values, "questions": len(rows)}
    return found


def notes(
    task: Answering, choice: NullThreshold | None, test: Predictions, by_part: Mapping[str, Any] | None
) -> list[str]:
    """What to know of the numbers: no answers and their threshold, what the model can't see."""
    said = []
    if isinstance(task, QuestionAnswering) and task.null_threshold is not None:
        given = f"{task.null_threshold:.2f}, as --null_score_diff_threshold says"
        said.append(f"threshold of no answer: {choice.reason if choice else given}")
    if by_part is not None:
        answered, empty = by_part["with"], by_part["without"]
        said.append(
            f"{answered['questions']:,} questions with an answer: exact match {answered['exact_match']:.1f}, "
            f"F1 {answered['f1']:.1f}; {empty['questions']:,} without: {empty['exact_match']:.1f} % left unanswered"
        )
    if isinstance(task, GenerativeQuestionAnswering):
        outside, unfinished = test.column("start").count(None), test.settings["unfinished"]
        empty = sum(not text for text in test.column("prediction"))
        said.append(f"{outside - empty:,} answers do not stand in their context word for word")
        if unfinished:
            said.append(
                f"{unfinished:,} answers did not end in {task.max_new_tokens} tokens: raise --max_answer_length"
            )
        return said
    if task.is_causal:
        said.append("the model reads the question before the context, but of the context only what stands to the left")
    if test.settings["nonfinite_rows"]:
        lost = test.settings["nonfinite_rows"]
        said.append(f"{lost:,} questions had NaN or infinite outputs and got no answer: do not use these weights")
    return said


def _counts(by_split: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {n:,}" for split, n in by_split.items() if n) or "none"
