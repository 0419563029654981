"""Named entities: fine-tune BERT, Llama … to find names and their types, and say which it confuses, misses, invents.

    accelerate launch recipes/ner.py
    accelerate launch recipes/ner.py --model_name_or_path google-bert/bert-base-cased --train_file train.conll
    accelerate launch recipes/ner.py --config recipes/configs/ner/llama-3.2-1b-lora.yaml

The first line trains the embedded demo. Data: one sentence a row, columns tokens and tags (IOB1, IOB2, BIOES or BILOU,
detected), a CoNLL file, or texts with character spans (--input_format spans). Judged by entity F1, strict: type
and words must both be right. Accuracy of words says little, as most are O.
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
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.training.hardware import configure_cpu
from llmtune.training.trainer import FineTuningTrainer

DEMO = Path(__file__).parent / "demo" / "ner" / "demo.yaml"


@with_search
def main(argv: Sequence[str] | None = None) -> Path:
    """Reads, trains, chooses on validation, evaluates once on test, and reports; returns the run's folder."""
    args = parse_arguments("ner", TokenClassificationArguments, demo=DEMO, description=__doc__, argv=argv)
    configure_cpu(args.training.cpu_threads)
    set_seed(args.training.seed)

    # Data. Whatever the scheme, tags are IOB2 from here on, and as many entities as the files hold.
    splits = TokenClassification.read(args)
    task = TokenClassification.from_arguments(args, splits)
    validate_metrics(args, task, splits)  # a slip in --metrics or --targets costs seconds here, an hour later

    # Model. A decoder sees only the words to the left; a row longer than the model reads is cut into windows.
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
