"""Named entities: fine-tune BERT, Llama … to find names and their types, and say which it confuses, misses, invents.

    accelerate launch recipes/ner.py
    accelerate launch recipes/ner.py --model_name_or_path google-bert/bert-base-cased --train_file train.conll
    accelerate launch recipes/ner.py --config recipes/configs/ner/llama-3.2-1b-lora.yaml

The first line trains the embedded demo. Data: one sentence a row, columns tokens and tags (IOB1, IOB2, BIOES or BILOU,
told by looking), a CoNLL file, or texts with character spans (--input_format spans). Judged by entity F1, strict: type
and words must both be right. Accuracy of words says little, as most are O.
"""

from dataclasses import replace
from pathlib import Path

from transformers import set_seed

from llmtune.arguments.parser import parse_arguments
from llmtune.errors import run_command
from llmtune.finish.token_classification import SentenceScores, judge, leave, show_data
from llmtune.models.loading import load_model
from llmtune.preflight import loss_and_directions
from llmtune.tasks.token_classification.arguments import TokenClassificationArguments
from llmtune.tasks.token_classification.rows import load_tagged_splits
from llmtune.tasks.token_classification.task import TokenClassification, tokenize_splits
from llmtune.tasks.token_classification.windows import describe_windows
from llmtune.terminal.console import Terminal
from llmtune.training.callbacks import EvaluationLogger
from llmtune.training.hardware import configure_cpu
from llmtune.training.trainer import Trainer

DEMO = Path(__file__).parent / "demo" / "ner" / "demo.yaml"


def main() -> None:
    """Arguments, data, model, training, judgement."""
    arguments = parse_arguments("ner", TokenClassificationArguments, demo=DEMO, description=__doc__)
    data, options, model_arguments, training = arguments
    terminal = Terminal(training.process_index == 0)
    threads = configure_cpu(training.cpu_threads)
    set_seed(training.seed)

    # Data. Whatever the scheme, tags are IOB2 from here on, and as many entities as the files hold.
    splits = load_tagged_splits(data, options, seed=training.seed)

    # Model. First what judges it: a slip in --metrics or --targets costs seconds here, an hour later.
    task = TokenClassification.from_arguments(options, splits.types, word_format=splits.word_format)
    loss, directions = loss_and_directions(task, options, training, splits.splits.train)
    # A decoder sees only the words to the left; a row longer than the model reads is cut into windows.
    loaded = load_model(model_arguments, task, train_texts=splits.train_texts)
    task = replace(task, max_length=loaded.max_length, is_causal=loaded.facts["left context only"])
    windows = tokenize_splits(task, splits.splits, loaded.tokenizer)
    show_data(terminal, splits, windows, task)
    terminal.model(loaded.facts, training.arithmetic(loaded.facts["weights"]), threads)

    # Training. Validation picks the checkpoint, scored by whole sentences; the test split stays unread until the end.
    training.prepare_output_dir(prefer="entity_f1", directions=directions)
    scores = SentenceScores(task, windows["validation"], splits.splits.validation["tags"])
    trainer = Trainer(
        model=loaded.model,
        args=training,
        train_dataset=windows["train"].inputs,
        eval_dataset=windows["validation"].inputs,
        processing_class=loaded.tokenizer,
        data_collator=task.collator(loaded.tokenizer),
        compute_loss_func=loss,
        compute_metrics=scores,
        preprocess_logits_for_metrics=task.reduce,
        evaluation_lines=EvaluationLogger(("entity_f1", "entity_f2"), lambda: scores.confusion_matrix, scores.names),
    )
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)

    # Judgement. The test split is read, once.
    tables = judge(trainer, task, splits, windows)
    facts = {"data": splits.describe(), "windows": describe_windows(windows), "model": loaded.facts}
    leave(trainer, task, tables, splits, arguments=arguments, facts=facts, metrics=options.metrics)


if __name__ == "__main__":
    run_command(main)
