r"""Summarization: fine-tune BART, T5, a pair of BERTs, or Llama … and judge it by ROUGE beside the first sentences.

    accelerate launch recipes/summarization.py
    accelerate launch recipes/summarization.py --model_name_or_path facebook/bart-base --train_file train.jsonl \
        --source_column document --target_column summary
    accelerate launch recipes/summarization.py --config recipes/configs/summarization/llama-3.2-1b-lora.yaml

The first line trains the embedded demo. Data: a column of texts and one of summaries, or of lists of them. A decoder
reads a prompt and goes on with the answer; its loss is on the answer alone.
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
from llmtune.tasks.summarization import Summarization, SummarizationArguments
from llmtune.training.hardware import configure_cpu
from llmtune.training.trainer import FineTuningTrainer

DEMO = Path(__file__).parent / "demo" / "summarization" / "demo.yaml"


@with_search
def main(argv: Sequence[str] | None = None) -> Path:
    """Reads, trains, chooses on validation, evaluates once on test, and reports; returns the run's folder."""
    args = parse_arguments("summarization", SummarizationArguments, demo=DEMO, description=__doc__, argv=argv)
    configure_cpu(args.training.cpu_threads)
    set_seed(args.training.seed)

    # Data. Rows with an equal text stay on one side of a split.
    splits = Summarization.read(args)
    task = Summarization.from_arguments(args, splits)
    validate_metrics(args, task, splits)  # a slip in --metrics or --targets costs seconds here, an hour later

    # Model. Sequence to sequence, a pair of BERTs, or a decoder: what it reads and learns follows from the family.
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

    # Evaluation. The test split is read, once.
    task, predictions = predict_splits(trainer, task, encoded)
    return write_run(args, trainer, task, splits, encoded, predictions, loaded.facts)


if __name__ == "__main__":
    run_command(main)
