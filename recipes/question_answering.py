"""Question answering: BERT … find the answer in a text, Llama, Mistral, T5 … write it; or they say that there is none.

    accelerate launch recipes/question_answering.py
    accelerate launch recipes/question_answering.py --model_name_or_path google-bert/bert-base-cased --train_file t.json
    accelerate launch recipes/question_answering.py --config recipes/configs/question_answering/llama-3.2-1b-lora.yaml

The first line trains the embedded demo: made-up questions, a small BERT from scratch. Data: columns question, context
and answers as in SQuAD, its json files too; where some questions have no answer, the model learns to give none.
Judged by SQuAD's F1 of words, beside exact match and the sentence that is most like the question.
"""

from pathlib import Path

from transformers import set_seed

from llmtune.arguments.parser import parse_arguments
from llmtune.errors import run_command
from llmtune.finish.question_answering import answer_scores, describe_inputs, encode_splits, judge, leave, show_data
from llmtune.models.loading import load_model, requested_family
from llmtune.preflight import answer_directions
from llmtune.tasks.question_answering.arguments import QuestionAnsweringArguments
from llmtune.tasks.question_answering.extractive import QuestionAnswering
from llmtune.tasks.question_answering.generative import FAMILIES, GenerativeQuestionAnswering, is_generative
from llmtune.tasks.question_answering.rows import load_answered_splits
from llmtune.terminal.console import Terminal
from llmtune.training.answering import answering_trainer
from llmtune.training.callbacks import EvaluationLogger
from llmtune.training.hardware import configure_cpu

DEMO = Path(__file__).parent / "demo" / "question_answering" / "demo.yaml"


def main() -> None:
    """Arguments, data, model, training, judgement."""
    arguments = parse_arguments("question_answering", QuestionAnsweringArguments, demo=DEMO, description=__doc__)
    data, options, model_arguments, training = arguments
    terminal = Terminal(training.process_index == 0)
    threads = configure_cpu(training.cpu_threads)
    set_seed(training.seed)

    # Encoders mark the answer in the context; decoders and sequence-to-sequence models write it.
    writes = is_generative(options.method, requested_family(model_arguments, FAMILIES))

    # Data. Questions on one context stay on one side of a split.
    splits = load_answered_splits(data, options, seed=training.seed, located=not writes)

    # Model. First what judges it: a slip in --metrics or --targets costs seconds here, an hour later.
    directions = answer_directions(options, training, writes=writes)
    some_without = splits.unanswerable()["train"] > 0
    task = (
        GenerativeQuestionAnswering.from_options(options)
        if writes
        else QuestionAnswering.from_arguments(options, some_without)
    )
    loaded = load_model(model_arguments, task, train_texts=splits.train_texts)
    task = task.for_model(loaded.tokenizer, decoder=loaded.facts["left context only"], limit=loaded.max_length)
    inputs = encode_splits(task, splits, loaded.tokenizer)
    show_data(terminal, splits, inputs, task)
    terminal.model(loaded.facts, training.arithmetic(loaded.facts["weights"]), threads)

    # Training. Validation picks the checkpoint, scored by whole questions; the test split stays unread until the end.
    training.prepare_output_dir(prefer="f1", directions=directions)
    trainer = answering_trainer(
        task,
        model=loaded.model,
        args=training,
        train_dataset=inputs["train"].inputs,
        eval_dataset=inputs["validation"].inputs,
        processing_class=loaded.tokenizer,
        data_collator=task.collator(loaded.tokenizer, loaded.model),
        compute_metrics=answer_scores(task, loaded.tokenizer, inputs["validation"], splits.splits.validation),
        evaluation_lines=EvaluationLogger(("exact_match", "f1")),
    )
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)

    # Judgement. When to give no answer is chosen on validation; then the test split is read, once.
    task, choice, tables = judge(trainer, task, splits, inputs, options)
    facts = {"data": splits.describe(), **describe_inputs(inputs), "model": loaded.facts}
    leave(trainer, task, choice, tables, splits, arguments=arguments, facts=facts, metrics=options.metrics)


if __name__ == "__main__":
    run_command(main)
