"""Spam filtering: fine-tune BERT, Llama … to tell spam from ham, and say how good the filter is.

    accelerate launch recipes/spam.py
    accelerate launch recipes/spam.py --model_name_or_path google-bert/bert-base-uncased --train_file messages.csv
    accelerate launch recipes/spam.py --config recipes/configs/spam/llama-3.2-1b-lora.yaml

The first line trains the embedded demo. Data: a message a row, columns text and label (--text_column, --label_column).
Judged by F1 of the positive label (the last, or --positive_label): with 13 % spam, always saying ham is 87 % right.
"""

from collections.abc import Sequence
from pathlib import Path

from transformers import set_seed

from llmtune.arguments.parser import parse_arguments
from llmtune.errors import run_command
from llmtune.finish.write_run import write_run
from llmtune.inference import predict_splits
from llmtune.models.loading import load_model
from llmtune.preflight import begin_run, validate_metrics
from llmtune.search import with_search
from llmtune.tasks.text_classification.arguments import TextClassificationArguments
from llmtune.tasks.text_classification.task import TextClassification
from llmtune.training.hardware import configure_cpu
from llmtune.training.trainer import FineTuningTrainer

DEMO = Path(__file__).parent / "demo" / "spam" / "demo.yaml"


@with_search
def main(argv: Sequence[str] | None = None) -> Path:
    """Reads, trains, chooses on validation, evaluates once on test, and reports; returns the run's folder."""
    args = parse_arguments("spam", TextClassificationArguments, demo=DEMO, description=__doc__, argv=argv)
    configure_cpu(args.training.cpu_threads)
    set_seed(args.training.seed)

    # Data. Read before the model: a bad row costs seconds here, an hour later.
    splits = TextClassification.read(args)
    task = TextClassification.from_arguments(args, splits)
    validate_metrics(args, task, splits)  # a slip in --metrics or --targets costs seconds here, an hour later

    # Model. The family follows from the checkpoint; LoRA where --use_peft asks for it.
    loaded = load_model(args.model, task, train_texts=lambda: task.train_texts(splits))
    task = task.for_model(loaded)
    encoded = task.encode_splits(splits, loaded.tokenizer, args)
    begin_run(args, task, splits, encoded, loaded)

    # Training. Validation picks the checkpoint; the test split stays unread until the end.
    trainer = FineTuningTrainer(
        model=loaded.model,
        args=args.training,
        train_dataset=encoded["train"].dataset,
        eval_dataset=encoded["validation"].dataset,
        processing_class=loaded.tokenizer,
        data_collator=task.data_collator(loaded.tokenizer, loaded.model),
        compute_loss_func=task.loss(args, splits),
        compute_metrics=task.validation_metrics(encoded["validation"], samples=not args.data.no_examples),
        preprocess_logits_for_metrics=task.reduce_logits,
        generation=task.generation(loaded.tokenizer),
    )
    trainer.train(resume_from_checkpoint=args.training.resume_from_checkpoint)

    # Evaluation. The threshold is chosen on validation, then the test split is read, once.
    task, predictions = predict_splits(trainer, task, encoded)
    return write_run(args, trainer, task, splits, encoded, predictions, loaded.facts)


if __name__ == "__main__":
    run_command(main)
