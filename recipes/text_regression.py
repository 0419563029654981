"""Text regression: fine-tune BERT, Llama … to give a text a number (a score, stars), and say how far it is off.

    accelerate launch recipes/text_regression.py
    accelerate launch recipes/text_regression.py --model_name_or_path roberta-base --train_file reviews.csv
    accelerate launch recipes/text_regression.py --config recipes/configs/text_regression/amazon-stars.yaml

The first line trains the embedded demo. Data: a text a row and its number, columns text and label (--text_column,
--label_column). Trained on standardized numbers, judged by mean squared error in the target's own unit, beside the mean
of train and TF-IDF with ridge regression.
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
from llmtune.tasks.text_regression.arguments import TextRegressionArguments
from llmtune.tasks.text_regression.task import TextRegression
from llmtune.training.hardware import configure_cpu
from llmtune.training.trainer import FineTuningTrainer

DEMO = Path(__file__).parent / "demo" / "text_regression" / "demo.yaml"


@with_search
def main(argv: Sequence[str] | None = None) -> Path:
    """Reads, trains, chooses on validation, evaluates once on test, and reports; returns the run's folder."""
    args = parse_arguments("text_regression", TextRegressionArguments, demo=DEMO, description=__doc__, argv=argv)
    configure_cpu(args.training.cpu_threads)
    set_seed(args.training.seed)

    # Data. Read before the model: a bad row costs seconds here, an hour later.
    splits = TextRegression.read(args)
    task = TextRegression.from_arguments(args, splits)
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

    # Evaluation. Predictions are given back in the unit of the target; the test split is read once.
    task, predictions = predict_splits(trainer, task, encoded)
    return write_run(args, trainer, task, splits, encoded, predictions, loaded.facts)


if __name__ == "__main__":
    run_command(main)
