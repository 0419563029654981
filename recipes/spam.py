"""Spam filtering: fine-tune BERT, Llama … to tell spam from ham, and say how good the filter is.

    accelerate launch recipes/spam.py
    accelerate launch recipes/spam.py --model_name_or_path google-bert/bert-base-uncased --train_file messages.csv
    accelerate launch recipes/spam.py --config recipes/configs/spam/llama-3.2-1b-lora.yaml

The first line trains the embedded demo. Data: a message a row, columns text and label (--text_column, --label_column).
Judged by F1 of the positive label (the last, or --positive_label): with 13 % spam, always saying ham is 87 % right.
"""

from dataclasses import replace
from pathlib import Path

from transformers import set_seed

from llmtune.arguments.parser import parse_arguments
from llmtune.data import load_splits
from llmtune.errors import run_command
from llmtune.finish.text_classification import judge, leave
from llmtune.models.loading import load_model
from llmtune.preflight import metrics_of
from llmtune.tasks.losses import classification_loss
from llmtune.tasks.text_classification.arguments import TextClassificationArguments
from llmtune.tasks.text_classification.task import TextClassification, tokenize_splits
from llmtune.terminal.console import Terminal
from llmtune.training.callbacks import EvaluationLogger
from llmtune.training.hardware import configure_cpu
from llmtune.training.trainer import Trainer

DEMO = Path(__file__).parent / "demo" / "spam" / "demo.yaml"


def main() -> None:
    """Arguments, data, model, training, judgement."""
    arguments = parse_arguments("spam", TextClassificationArguments, demo=DEMO, description=__doc__)
    data, options, model_arguments, training = arguments
    terminal = Terminal(training.process_index == 0)
    threads = configure_cpu(training.cpu_threads)
    set_seed(training.seed)

    # Data. Read before the model: a bad row costs seconds here, an hour later.
    columns = {"text": options.text_column, "label": options.label_column}
    splits = load_splits(data, columns=columns, label_column="label", text_columns=["text"], seed=training.seed)

    # Model. What judges it comes first: a slip in --targets costs seconds here. The family follows from the checkpoint.
    task = TextClassification.from_arguments(options, splits.label_names)
    loss = classification_loss(options, training, task.label_ids(splits.train), task.label_names)
    hub, directions = metrics_of(task, options)
    loaded = load_model(model_arguments, task, train_texts=lambda: splits.train["text"])
    task = replace(task, max_length=loaded.max_length)
    tokens, truncated = tokenize_splits(task, splits, loaded.tokenizer)
    terminal.data(splits.describe(), truncated, task.max_length)
    terminal.model(loaded.facts, training.arithmetic(loaded.facts["weights"]), threads)

    # Training. Validation picks the checkpoint; the test split stays unread until the end.
    lines = EvaluationLogger(
        (task.best_metric, "log_loss"), lambda: hub.confusion_matrix, task.label_names, task.positive_label
    )
    training.prepare_output_dir(prefer=task.best_metric, directions=directions)
    trainer = Trainer(
        model=loaded.model,
        args=training,
        train_dataset=tokens["train"],
        eval_dataset=tokens["validation"],
        processing_class=loaded.tokenizer,
        data_collator=task.collator(loaded.tokenizer),
        compute_loss_func=loss,
        compute_metrics=hub,
        preprocess_logits_for_metrics=hub.preprocess_logits_for_metrics,
        evaluation_lines=lines,
    )
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)

    # Judgement. The threshold is chosen on validation, then the test split is read, once.
    task, choice, tables = judge(trainer, task, splits, tokens, objective=options.threshold_objective)
    facts = {"data": splits.describe(), "truncated": truncated, "model": loaded.facts}
    leave(trainer, task, choice, tables, splits, arguments=arguments, facts=facts, metrics=options.metrics)


if __name__ == "__main__":
    run_command(main)
