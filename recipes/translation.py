r"""Translation: fine-tune Marian, mBART, NLLB, T5, a pair of BERTs, or Llama … and judge it by BLEU, chrF and TER.

    accelerate launch recipes/translation.py
    accelerate launch recipes/translation.py --model_type marian --train_file train.jsonl \
        --source_column en --target_column fr --target_lang fr
    accelerate launch recipes/translation.py --config recipes/configs/translation/llama-3.2-1b-lora.yaml

The first line trains the embedded demo. Data: a column of sources and one of targets (translation.en reads inside a
column). A decoder reads a prompt and goes on with the answer; its loss is on the answer alone.
"""

from pathlib import Path

from transformers import set_seed

from llmtune.arguments.parser import parse_arguments
from llmtune.errors import run_command
from llmtune.finish.text_generation import SampleLogger, check_beforehand, judge, leave, scores_of, show_data
from llmtune.models.loading import load_model
from llmtune.tasks.losses import TokenCrossEntropy
from llmtune.tasks.text_generation.arguments import TranslationArguments
from llmtune.tasks.text_generation.rows import load_text_splits
from llmtune.tasks.text_generation.task import tokenize_splits
from llmtune.tasks.text_generation.translation import Translation
from llmtune.terminal.console import Terminal
from llmtune.training.generation import GenerationTrainer
from llmtune.training.hardware import configure_cpu

DEMO = Path(__file__).parent / "demo" / "translation" / "demo.yaml"


def main() -> None:
    """Arguments, data, model, training, judgement."""
    arguments = parse_arguments("translation", TranslationArguments, demo=DEMO, description=__doc__)
    data, options, model_arguments, training = arguments
    terminal = Terminal(training.process_index == 0)
    threads = configure_cpu(training.cpu_threads)
    set_seed(training.seed)

    # Data. Rows with an equal source stay on one side of a split.
    splits = load_text_splits(data, options.source_column, options.target_column, seed=training.seed)

    # Model. Sequence to sequence, a pair of BERTs, or a decoder: what the model reads and learns follows from it.
    task = Translation.from_arguments(options)
    directions = check_beforehand(task, options.metrics, options.targets)
    loaded = load_model(model_arguments, task, train_texts=lambda: splits.texts("train", "source", "target"))
    is_decoder = loaded.facts["family"] == "decoder"
    task = task.for_model(loaded.tokenizer, decoder=is_decoder, limit=loaded.max_length)
    tokens, cuts = tokenize_splits(task, splits, loaded.tokenizer)
    show_data(terminal, splits, cuts, task)
    terminal.model(loaded.facts, training.arithmetic(loaded.facts["weights"]), threads)

    # Training. Validation is answered and scored, which picks the checkpoint; test stays unread until the end.
    training.prepare_output_dir(prefer=task.best_metric, directions=directions)
    scores = scores_of(task, loaded.tokenizer, tokens["validation"], splits.validation)
    trainer = GenerationTrainer(
        model=loaded.model,
        args=training,
        train_dataset=tokens["train"],
        eval_dataset=tokens["validation"],
        processing_class=loaded.tokenizer,
        data_collator=task.collator(loaded.tokenizer, loaded.model),
        compute_loss_func=TokenCrossEntropy(task.decoder, training.label_smoothing_factor),
        compute_metrics=scores,
        evaluation_lines=SampleLogger(scores, splits.validation, task.scored, samples=not data.no_examples),
        task=task,
    )
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)

    # Judgement. The test split is read, once.
    tables = judge(trainer, task, splits, tokens)
    facts = {"data": splits.describe(), "cuts": cuts, "model": loaded.facts}
    leave(trainer, task, tables, splits, arguments=arguments, facts=facts, metrics=options.metrics)


if __name__ == "__main__":
    run_command(main)
