r"""Language modeling: fine-tune Llama, Mistral or Qwen on texts, completions or chats, and judge it by its perplexity.

    accelerate launch recipes/causal_lm.py
    accelerate launch recipes/causal_lm.py --model_name_or_path meta-llama/Llama-3.2-1B --use_peft \
        --train_file train.txt --test_file test.txt --max_length 2048
    accelerate launch recipes/causal_lm.py --config recipes/configs/causal_lm/mistral-7b-qlora.yaml

The first line trains the embedded demo. Data: documents (a column of texts, or txt files cut at blank lines), prompts
with completions, or chats in the checkpoint's template; the loss is on what the model shall write alone. Beside the
perplexity stand bits per byte, which compare models of any tokenizer, and an n-gram model of bytes.
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
from llmtune.tasks.causal_lm.arguments import CausalLMArguments
from llmtune.tasks.causal_lm.task import CausalLM
from llmtune.training.hardware import configure_cpu
from llmtune.training.trainer import FineTuningTrainer

DEMO = Path(__file__).parent / "demo" / "causal_lm" / "demo.yaml"


@with_search
def main(argv: Sequence[str] | None = None) -> Path:
    """Reads, trains, chooses on validation, evaluates once on test, and reports; returns the run's folder."""
    args = parse_arguments("causal_lm", CausalLMArguments, demo=DEMO, description=__doc__, argv=argv)
    configure_cpu(args.training.cpu_threads)
    set_seed(args.training.seed)

    # Data. Rows with an equal text or prompt stay on one side of a split.
    splits = CausalLM.read(args)
    task = CausalLM.from_arguments(args, splits)
    validate_metrics(args, task, splits)  # a slip in --metrics or --targets costs seconds here, an hour later

    # Model. A decoder; a text that is longer than it reads is split into windows.
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
