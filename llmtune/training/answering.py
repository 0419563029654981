"""The Trainer of question answering: of models that mark the answer in the context, and of models that write it."""

from typing import Any

from llmtune.arguments import TrainingArguments
from llmtune.tasks.losses import TokenCrossEntropy
from llmtune.tasks.question_answering.extractive import QuestionAnswering
from llmtune.tasks.question_answering.generative import GenerativeQuestionAnswering
from llmtune.tasks.question_answering.loss import SpanLoss
from llmtune.training.generation import GenerationTrainer
from llmtune.training.trainer import Trainer

Answering = QuestionAnswering | GenerativeQuestionAnswering


def answering_trainer(task: Answering, *, args: TrainingArguments, **settings: Any) -> Trainer:
    """A Trainer with the loss of the task, and what it keeps of an evaluation.

    Args:
        task: fitted to its model.
        args: of the training.
        settings: all else that a Trainer takes.
    """
    if isinstance(task, GenerativeQuestionAnswering):
        loss = TokenCrossEntropy(task.decoder, args.label_smoothing_factor)
        return GenerationTrainer(args=args, compute_loss_func=loss, task=task, **settings)
    return Trainer(args=args, compute_loss_func=SpanLoss(), preprocess_logits_for_metrics=task.reduce, **settings)
