"""Rows → predictions table with a trained model: the same steps in a recipe, in `llmtune evaluate` and `predict`."""

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
from transformers import PreTrainedTokenizerBase

from llmtune.arguments import TrainingArguments
from llmtune.data.lengths import input_lengths
from llmtune.predictions import Predictions, make_predictions
from llmtune.predictions.kinds import DECIDING_METRIC
from llmtune.tasks.question_answering.extractive import KIND as ANSWER_KIND
from llmtune.tasks.question_answering.extractive import QuestionAnswering
from llmtune.tasks.question_answering.generative import GenerativeQuestionAnswering
from llmtune.tasks.question_answering.loss import SpanLoss
from llmtune.tasks.question_answering.windows import SpanWindows
from llmtune.tasks.text_classification.task import KIND, TextClassification
from llmtune.tasks.text_generation.task import KIND as TEXT_KIND
from llmtune.tasks.text_generation.task import TextGeneration
from llmtune.tasks.token_classification.task import KIND as TOKEN_KIND
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.tasks.token_classification.windows import Windows
from llmtune.text.words import split_at_spaces
from llmtune.training.generation import GenerationTrainer
from llmtune.training.trainer import Trainer

Task = TextClassification | TokenClassification | QuestionAnswering | TextGeneration


def inference_trainer(
    model: Any, tokenizer: PreTrainedTokenizerBase, task: Task, *, output_dir: str, batch_size: int
) -> Trainer:
    """A Trainer that only predicts: on every process, each row once, longest first, in float32 on a CPU."""
    arguments = TrainingArguments(
        output_dir=output_dir,
        per_device_eval_batch_size=batch_size,
        precision="fp32",
        eval_strategy="no",
        report_to="none",
        remove_unused_columns=True,
    )
    if isinstance(task, TextGeneration):
        return GenerationTrainer(
            model=model,
            args=arguments,
            processing_class=tokenizer,
            data_collator=task.collator(tokenizer, model),
            task=task,
        )
    return Trainer(
        model=model,
        args=arguments,
        processing_class=tokenizer,
        data_collator=task.collator(tokenizer),
        preprocess_logits_for_metrics=None if isinstance(task, TextClassification) else task.reduce,
        # Without it the labels of spans, which also say where the context stands, would reach the model.
        compute_loss_func=SpanLoss() if isinstance(task, QuestionAnswering) else None,
    )


def predict_rows(trainer: Trainer, inputs: datasets.Dataset | Windows | SpanWindows) -> Any:
    """Logits of shape (n, c), or what the task keeps of them, in the order of the rows, on every process.

    Of a task that writes, the answers and whether each came to its end.
    """
    if isinstance(inputs, SpanWindows):
        # Their labels stay: they tell where the context stands. The Trainer's metrics know the rows of validation.
        metrics, trainer.compute_metrics = trainer.compute_metrics, None
        predictions = trainer.predict(inputs.inputs).predictions
        trainer.compute_metrics = metrics
        return predictions
    if isinstance(trainer, GenerationTrainer):
        return trainer.answer(inputs)
    tokens = inputs.inputs if isinstance(inputs, Windows) else inputs
    # Labels would only buy a loss that the metrics compute exactly from the table.
    return trainer.predict(tokens.remove_columns([c for c in ("labels",) if c in tokens.column_names])).predictions


def tabulate(
    task: TextClassification, logits: Any, rows: datasets.Dataset, tokens: datasets.Dataset, split: str
) -> Predictions:
    """The predictions table of a split whose labels are known; every column of the rows is carried."""
    carried = {name: list(rows[name]) for name in rows.column_names if name != "label"}
    return make_predictions(
        KIND,
        task.columns(logits, rows),
        carried={**carried, "length": input_lengths(tokens)},
        split=split,
        label_names=task.label_names,
        positive_label=task.positive_label,
        threshold=task.threshold,
    )


def tabulate_texts(
    task: TextGeneration, answers: Sequence[str], ended: np.ndarray, rows: datasets.Dataset, split: str
) -> Predictions:
    """The predictions table of a split whose targets are known; every column of the rows is carried.

    Besides: `ended` (whether the answer came to its end within max_new_tokens) and `length` (words of the source).
    """
    sources = list(rows["source"])
    columns = {"source": sources, "reference": list(rows["target"]), "prediction": list(answers)}
    carried = {name: list(rows[name]) for name in rows.column_names if name not in ("source", "target")}
    carried |= {"ended": ended.tolist(), "length": [len(split_at_spaces(source)) for source in sources]}
    settings: dict[str, Any] = {"task": task.name, "unfinished": int((~ended).sum()), DECIDING_METRIC: task.best_metric}
    if task.target_lang:
        settings["language"] = task.target_lang
    return make_predictions(TEXT_KIND, columns, carried=carried, split=split, settings=settings)


def tabulate_words(
    task: TokenClassification, outputs: Any, rows: datasets.Dataset, windows: Windows, split: str
) -> Predictions:
    """The predictions table of a split whose tags are known, one tag a word; every column of the rows is carried.

    Besides: `raw_prediction` (the tags before their repair), `probability` (of each word's tag) and `length` (words).
    """
    tagged = task.decode(outputs, windows)
    columns = {"tokens": list(rows["tokens"]), "reference": list(rows["tags"]), "prediction": tagged.tags}
    carried = {name: list(rows[name]) for name in rows.column_names if name not in ("tokens", "tags")}
    carried |= {"raw_prediction": tagged.raw, "probability": tagged.probabilities, "length": windows.words.tolist()}
    settings = {"scheme": "IOB2", "repairs": tagged.repairs, "nonfinite_words": tagged.nonfinite}
    return make_predictions(TOKEN_KIND, columns, carried=carried, split=split, settings=settings)


def tabulate_answers(
    task: QuestionAnswering, outputs: Any, rows: datasets.Dataset, windows: SpanWindows, split: str
) -> Predictions:
    """The predictions table of a split whose answers are known; every other column of the rows is carried.

    Besides: `score` (probability of what is given), `start` and `end` (its characters in `context`, null without one)
    and, where questions may go unanswered, `null_difference` (logits, no answer minus best span) and `best_span`.
    """
    answers = task.decode(outputs, windows, list(rows["context"]))
    columns: dict[str, list[Any]] = {
        "question": list(rows["question"]),
        "reference": [list(one["text"]) for one in rows["answers"]],
        "prediction": answers.text,
    }
    carried: dict[str, Any] = {
        name: list(rows[name]) for name in rows.column_names if name not in ("question", "answers")
    }
    carried |= {"score": answers.score, "start": answers.start, "end": answers.end}
    settings: dict[str, Any] = {"nonfinite_rows": answers.nonfinite}
    if task.null_threshold is not None:
        settings["null_threshold"] = task.null_threshold
        carried |= {"null_difference": answers.null_difference, "best_span": answers.best}
    return make_predictions(ANSWER_KIND, columns, carried=carried, split=split, settings=settings)


def tabulate_written_answers(
    task: GenerativeQuestionAnswering, outputs: tuple[Sequence[str], np.ndarray], rows: datasets.Dataset, split: str
) -> Predictions:
    """The predictions table of answers that a model wrote; every other column of the rows is carried.

    Besides: `start` and `end` (where the answer first stands in `context`, null where it does not) and `ended` (whether
    it came to its end within max_new_tokens).
    """
    answers, ended = outputs
    columns: dict[str, list[Any]] = {
        "question": list(rows["question"]),
        "reference": [list(one["text"]) for one in rows["answers"]],
        "prediction": list(answers),
    }
    carried: dict[str, Any] = {
        name: list(rows[name]) for name in rows.column_names if name not in ("question", "answers")
    }
    carried |= {**task.places(answers, list(rows["context"])), "ended": ended.tolist()}
    settings: dict[str, Any] = {"task": task.name, "unfinished": int((~ended).sum()), "nonfinite_rows": 0}
    return make_predictions(ANSWER_KIND, columns, carried=carried, split=split, settings=settings)
