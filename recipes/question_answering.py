"""Question answering: BERT … find the answer in a text, Llama, Mistral, T5 … write it; or they say that there is none.

    accelerate launch recipes/question_answering.py
    accelerate launch recipes/question_answering.py --model_name_or_path google-bert/bert-base-cased --train_file t.json
    accelerate launch recipes/question_answering.py --config recipes/configs/question_answering/llama-3.2-1b-lora.yaml

The first line trains the embedded demo: made-up questions, a small BERT from scratch. Data: columns question, context
and answers as in SQuAD, its json files too; where some questions have no answer, the model learns to give none.
Judged by SQuAD's F1 of words, beside exact match and the sentence that is most like the question.
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
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.task import QuestionAnswering
from llmtune.training.hardware import configure_cpu
from llmtune.training.trainer import FineTuningTrainer

DEMO = Path(__file__).parent / "demo" / "question_answering" / "demo.yaml"


@with_search
def main(argv: Sequence[str] | None = None) -> Path:
    """Reads, trains, chooses on validation, evaluates once on test, and reports; returns the run's folder."""
    args = parse_arguments("question_answering", QuestionAnsweringArguments, demo=DEMO, description=__doc__, argv=argv)
    configure_cpu(args.training.cpu_threads)
    set_seed(args.training.seed)

    # Data. Questions on one context stay on one side of a split.
    splits = QuestionAnswering.read(args)
    task = QuestionAnswering.from_arguments(args, splits)
    validate_metrics(args, task, splits)  # a slip in --metrics or --targets costs seconds here, an hour later

    # Model. Encoders mark the answer in the context; decoders and sequence-to-sequence models write it.
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

    # Evaluation. When to give no answer is chosen on validation; then the test split is read, once.
    task, predictions = predict_splits(trainer, task, encoded)
    return write_run(args, trainer, task, splits, encoded, predictions, loaded.facts)


if __name__ == "__main__":
    run_command(main)
