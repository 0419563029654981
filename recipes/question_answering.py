"""Question answering: fine-tune BERT, ModernBERT … to find the answer in a text, or to say that it is not there.

    accelerate launch recipes/question_answering.py
    accelerate launch recipes/question_answering.py --model_name_or_path google-bert/bert-base-cased --train_file t.json
    accelerate launch recipes/question_answering.py --config recipes/configs/question_answering/modernbert.yaml

The first line trains the embedded demo: made-up questions, a small BERT from scratch. Data: columns question, context
and answers as in SQuAD, its json files too; where some questions have no answer, the model learns to give none.
Judged by SQuAD's F1 of words, beside exact match and the sentence that is most like the question.
"""

from dataclasses import replace
from pathlib import Path

from transformers import set_seed

from llmtune.arguments import QuestionAnsweringArguments
from llmtune.command_line import parse_arguments
from llmtune.errors import run_command
from llmtune.models.loading import load_model
from llmtune.report.beforehand import answer_directions
from llmtune.report.question_answering import AnswerScores, judge, leave, show_data
from llmtune.report.terminal import Terminal
from llmtune.tasks.answers import load_answered_splits
from llmtune.tasks.question_answering import QuestionAnswering, tokenize_splits
from llmtune.tasks.span_windows import describe_span_windows
from llmtune.training.callbacks import EvaluationLines
from llmtune.training.hardware import use_cpu_well
from llmtune.training.span_loss import SpanLoss
from llmtune.training.trainer import Trainer

DEMO = Path(__file__).parent / "demo" / "question_answering" / "demo.yaml"


def main() -> None:
    """Arguments, data, model, training, judgement."""
    arguments = parse_arguments("question_answering", QuestionAnsweringArguments, demo=DEMO, description=__doc__)
    data, options, model_arguments, training = arguments
    terminal = Terminal(training.process_index == 0)
    threads = use_cpu_well(training.cpu_threads)
    set_seed(training.seed)

    # Data. Questions on one context stay on one side of a split.
    splits = load_answered_splits(data, options, seed=training.seed)

    # Model. First what judges it: a slip in --metrics or --targets costs seconds here, an hour later.
    directions = answer_directions(options, training)
    # A context longer than the model reads is cut into windows, each with the question before it.
    task = QuestionAnswering.from_arguments(options, may_abstain=splits.unanswerable()["train"] > 0)
    loaded = load_model(model_arguments, task, train_texts=splits.train_texts)
    task = replace(task, max_length=loaded.max_length, left_context_only=loaded.facts["left context only"])
    windows = tokenize_splits(task, splits.splits, loaded.tokenizer)
    show_data(terminal, splits, windows, task)
    terminal.model(loaded.facts, training.arithmetic(loaded.facts["weights"]), threads)

    # Training. Validation picks the checkpoint, scored by whole questions; the test split stays unread until the end.
    training.start_run(prefer="f1", directions=directions)
    trainer = Trainer(
        model=loaded.model,
        args=training,
        train_dataset=windows["train"].inputs,
        eval_dataset=windows["validation"].inputs,
        processing_class=loaded.tokenizer,
        data_collator=task.collator(loaded.tokenizer),
        compute_loss_func=SpanLoss(),
        compute_metrics=AnswerScores(task, windows["validation"], splits.splits.validation),
        preprocess_logits_for_metrics=task.reduce,
        evaluation_lines=EvaluationLines(("exact_match", "f1")),
    )
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)

    # Judgement. When to give no answer is chosen on validation; then the test split is read, once.
    task, choice, tables = judge(trainer, task, splits, windows, threshold=options.null_score_diff_threshold)
    facts = {"data": splits.describe(), "windows": describe_span_windows(windows), "model": loaded.facts}
    leave(trainer, task, choice, tables, splits, arguments=arguments, facts=facts, metrics=options.metrics)


if __name__ == "__main__":
    run_command(main)
