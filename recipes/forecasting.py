"""Forecasting: train an LSTM to predict the next steps of series, and say whether it beats doing nothing.

    accelerate launch recipes/forecasting.py
    accelerate launch recipes/forecasting.py --model_type lstm --train_file sales.csv --time_column day --horizon 7
    accelerate launch recipes/forecasting.py --config recipes/configs/forecasting/ibm-level.yaml

The first line trains the embedded demo. Data: a step a row, columns time and target (--time_column, --target_column),
other inputs (--input_columns), the key of several series (--series_column). Cut in time, never shuffled. Judged by RMSE
in the target's own unit, beside persistence, the seasonal naive forecast, drift, and ridge on the same windows.
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
from llmtune.tasks.forecasting.arguments import ForecastingArguments
from llmtune.tasks.forecasting.task import Forecasting
from llmtune.training.hardware import configure_cpu
from llmtune.training.trainer import FineTuningTrainer

DEMO = Path(__file__).parent / "demo" / "forecasting" / "demo.yaml"


@with_search
def main(argv: Sequence[str] | None = None) -> Path:
    """Reads, trains, chooses on validation, evaluates once on test, and reports; returns the run's folder."""
    args = parse_arguments(
        "forecasting",
        ForecastingArguments,
        demo=DEMO,
        description=__doc__,
        recipe_defaults={"precision": "fp32"},  # numbers to predict need their digits
        argv=argv,
    )
    configure_cpu(args.training.cpu_threads)
    set_seed(args.training.seed)

    # Data. Read before the model, and cut in time: what comes later is never seen before.
    splits = Forecasting.read(args)
    task = Forecasting.from_arguments(args, splits)
    validate_metrics(args, task, splits)  # a slip in --metrics or --targets costs seconds here, an hour later

    # Model. It reads numbers, scaled as train alone says.
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

    # Evaluation. Prediction intervals come from the errors on validation; then the test split is read, once.
    task, predictions = predict_splits(trainer, task, encoded)
    return write_run(args, trainer, task, splits, encoded, predictions, loaded.facts)


if __name__ == "__main__":
    run_command(main)
