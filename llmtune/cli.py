"""`llmtune COMMAND …`: reads the command line, then imports the command. `--help` imports neither torch nor numpy."""

import argparse
import difflib
import importlib
from collections.abc import Sequence
from typing import Any, NoReturn

from llmtune import __version__
from llmtune.arguments.data import SPLITS
from llmtune.arguments.ranges import check_number
from llmtune.errors import InputError, run_command

DESCRIPTION = """Check data, train, evaluate and compare models. llmtune train spam is accelerate launch recipes/spam.py

exit codes: 0 done; 1 a gate that was asked for is not met (--fail-if-worse, --strict); 2 the input is wrong"""


ONNX = "onnx"

# The smallest table of each kind, as a csv with `;` in the place of a line break; a list is JSON, quoted as csv has it.
EXAMPLES = {
    "classification": 'reference,prediction,"probability[ham]","probability[spam]";spam,ham,0.7,0.3',
    "multilabel-classification": 'reference,prediction;"[""toxic""]","[""toxic"", ""insult""]"',
    "token-classification": 'tokens,reference,prediction;"[""Ada""]","[""B-PER""]","[""O""]"',
    "text-generation": "source,reference,prediction;le chat,the cat,a cat",
    "question-answering": "question,reference,prediction;Where?,Paris,in Paris",
    "language-modeling": "nll,tokens;12.3,5",
    "regression": "reference,prediction;1.5,1.4",
}


class Parser(argparse.ArgumentParser):
    """argparse, whose errors are ours."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        """Raises what `run_command` says in one message."""
        raise InputError(f"{self.prog}: {message}; see {self.prog} --help")

    def flags(self) -> list[str]:
        """All of this parser's flags."""
        return [flag for action in self._actions for flag in action.option_strings]


class ExportFormat(argparse.Action):
    """`--format` of `llmtune export`: what is written, or as in every command how the result is told."""

    def __call__(self, parser: Any, namespace: Any, value: Any, option_string: str | None = None) -> None:
        """Keeps how the result is told; `onnx` is written in any case."""
        if value != ONNX:
            namespace.output_format = value


def call_command(name: str, options: dict[str, Any]) -> int | None:
    """Imports and runs a command: the function that its module is named for."""
    command = getattr(importlib.import_module(f"llmtune.commands.{name}"), name)
    code: int | None = command(**options)
    return code


def build_parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser, and that of each command by name."""
    parser = Parser(prog="llmtune", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"llmtune {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, summary: str) -> Parser:
        made: Parser = commands.add_parser(name, help=summary, description=f"{summary}.")
        made.set_defaults(command=name)
        gives_results = name in ("report", "benchmark")
        formats = ["text", "json"] + ["eee"] * gives_results + ["model-index"] * (name == "benchmark")
        told = "json: one document on stdout, all else on stderr (default: text)"
        told = told.replace("json:", "eee: records of Every Eval Ever, json:") if "eee" in formats else told
        told = told.replace("json:", "model-index: of a model card, json:") if "model-index" in formats else told
        options: dict[str, Any] = {"choices": formats}
        if name == "export":
            options = {"choices": [ONNX, *formats], "action": ExportFormat}
            told = f"{ONNX}: what is written, the default; may be given beside {told}"
        made.add_argument("--format", dest="output_format", default="text", help=told, **options)
        return made

    add_check_flags(command("check", "faults of the data that would make a result wrong, before anything is trained"))
    add_train_flags(command("train", "run a recipe: read, train, choose on validation, evaluate once on test, report"))
    add_evaluate_flags(command("evaluate", "score a model on labeled rows; leaves metrics.json and predictions"))
    add_predict_flags(command("predict", "apply a model to rows without labels; writes a table"))
    add_merge_flags(command("merge", "turn a LoRA run into plain weights"))
    add_export_flags(command("export", "a run as ONNX, for onnxruntime: checked to answer its test rows as it did"))
    add_report_flags(command("report", "all metrics, with intervals, of predictions made anywhere"))
    add_compare_flags(command("compare", "two models on the same rows: is B significantly better or worse than A?"))
    add_benchmark_flags(command("benchmark", "models, fine-tuned, prompted or served, on the same rows of your files"))
    add_push_flags(command("push", "publish a run on the Hub: weights, card, report and metrics, in one commit"))
    return parser, dict(commands.choices)


def add_check_flags(parser: Parser) -> None:
    """Flags of `llmtune check`."""
    parser.add_argument(
        "files", nargs="*", metavar="FILE", default=[], help="the name tells: train, validation or test"
    )
    for split in SPLITS:
        parser.add_argument(f"--{split}_file", metavar="FILE", help=f"the {split} rows, whatever their file's name")
    parser.add_argument("--task", metavar="TASK", help="classification, token-classification … (default: by columns)")
    for name in ["text", "label", "tokens", "tags", "spans", "source", "target", "question", "context", "answers"]:
        parser.add_argument(f"--{name}_column", default=name, metavar="NAME", help=f"(default: {name})")
    parser.add_argument("--text_pair_column", metavar="NAME", help="of pairs: the second text of each row")
    parser.add_argument("--sentence_column", metavar="NAME", help="one word a row: what numbers the sentences")
    add_label_set_flags(parser)
    parser.add_argument("--group_columns", nargs="+", default=[], metavar="NAME", help="people or sources, for balance")
    parser.add_argument("--split_group_column", metavar="NAME", help="an id that must not occur in two splits")
    parser.add_argument("--time_column", metavar="NAME", help="of a series: validation and test must be after train")
    parser.add_argument("--model_name_or_path", metavar="MODEL", help="count its tokens (default: count words)")
    add_trust_flag(parser)
    parser.add_argument(
        "--max_length", type=int, default=256, metavar="N", help="tokens a text is truncated at (default: 256)"
    )
    parser.add_argument("--show", type=int, default=3, metavar="N", help="rows listed of each finding (default: 3)")
    parser.add_argument("--strict", action="store_true", help="exit 1 if an error was found")


def add_trust_flag(parser: Parser) -> None:
    """Of every command that loads a model."""
    parser.add_argument("--trust_remote_code", action="store_true", help="run code that comes with the model")


def add_label_set_flags(parser: Parser) -> None:
    """How rows say that they have several labels, where not by a list."""
    parser.add_argument("--label_separator", metavar="SIGN", help="several labels in one text: what is between them")
    told = "several labels: a column of 0 and 1 each"
    parser.add_argument("--label_columns", nargs="+", default=[], metavar="NAME", help=told)


def add_train_flags(parser: Parser) -> None:
    """What comes before the flags of `llmtune train`, which are the recipe's own."""
    parser.add_argument("--print_recipe", action="store_true", help="write the recipe to stdout, to be edited")
    parser.add_argument("recipe", metavar="RECIPE", help="its name; llmtune train RECIPE --help lists its flags")
    parser.add_argument("flags", nargs=argparse.REMAINDER, metavar="…", help="flags of the recipe; none: its demo")


def add_evaluate_flags(parser: Parser) -> None:
    """Flags of `llmtune evaluate`."""
    add_model_flags(parser)
    parser.add_argument("--test_file", metavar="FILE", help="csv, tsv, json, jsonl, parquet or txt, each also .gz")
    parser.add_argument("--dataset_name", metavar="ID", help="instead: a Hub id or a folder; its test split is read")
    parser.add_argument("--dataset_config_name", metavar="NAME", help="configuration of the Hub data set")
    parser.add_argument("--dataset_revision", metavar="REVISION", help="branch, tag or commit of the Hub data set")
    parser.add_argument("--label_column", default="label", metavar="NAME", help="the class or number (default: label)")
    told = "names of labels that are ids: 0=ham,1=spam, or ham,spam for 0 and 1"
    parser.add_argument("--label_names", metavar="NAMES", help=told)
    add_label_set_flags(parser)
    for column, what in (("tokens", "the words"), ("tags", "their tags"), ("spans", "character spans of the text")):
        told = f"entities: {what} (default: {column})"
        parser.add_argument(f"--{column}_column", default=column, metavar="NAME", help=told)
    parser.add_argument("--sentence_column", metavar="NAME", help="entities, a word a row: what numbers sentences")
    told = "likewise: the document, where sentences are numbered anew in each"
    parser.add_argument("--split_group_column", metavar="NAME", help=told)
    told = "answers: the references, as in SQuAD"
    parser.add_argument("--answers_column", default="answers", metavar="NAME", help=told)
    told = "texts to write: the target (default: target, of summaries summary)"
    parser.add_argument("--target_column", metavar="NAME", help=told)
    told = "prompts with completions: the completion (default: completion)"
    parser.add_argument("--completion_column", metavar="NAME", help=told)
    parser.add_argument("--group_columns", nargs="+", default=[], metavar="NAME", help="carried into the predictions")
    parser.add_argument("--slice_columns", nargs="+", default=[], metavar="NAME", help="likewise")
    parser.add_argument("--max_eval_samples", type=int, metavar="N", help="use only the first n rows")
    parser.add_argument("--output_dir", required=True, metavar="FOLDER", help="where the results go")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier evaluation in --output_dir")
    add_metric_flags(parser)
    parser.add_argument("--seed", type=int, default=42, metavar="N", help="of the intervals (default: 42, as recipes)")


def add_predict_flags(parser: Parser) -> None:
    """Flags of `llmtune predict`."""
    add_model_flags(parser)
    told = "any file with texts, no labels needed; - for stdin"
    parser.add_argument("--input", dest="input_file", metavar="FILE", help=told)
    parser.add_argument("--text", dest="texts", nargs="+", default=[], metavar="TEXT", help="instead: the texts")
    told = "of pairs: the second text of each --text"
    parser.add_argument("--text_pair", dest="text_pairs", nargs="+", default=[], metavar="TEXT", help=told)
    told = ".parquet, .csv or .jsonl, by its ending (default: lines of JSON on stdout)"
    parser.add_argument("--output", dest="output_file", metavar="FILE", help=told)
    parser.add_argument("--overwrite", action="store_true", help="replace --output if it exists")


def add_model_flags(parser: Parser) -> None:
    """What evaluate and predict share."""
    parser.add_argument("--model", required=True, metavar="MODEL", help="a run, a checkpoint folder or a Hub id")
    add_trust_flag(parser)
    parser.add_argument("--text_column", default="text", metavar="NAME", help="the text (default: text)")
    parser.add_argument("--text_pair_column", metavar="NAME", help="of pairs: the second text (default: text_pair)")
    for column in ("question", "context"):
        parser.add_argument(f"--{column}_column", default=column, metavar="NAME", help=f"answers: the {column}")
    told = "texts to write: the source (default: source, of summaries document)"
    parser.add_argument("--source_column", metavar="NAME", help=told)
    for column, what in (("prompt", "prompts with completions: the prompt"), ("messages", "chats: the messages")):
        parser.add_argument(f"--{column}_column", metavar="NAME", help=f"{what} (default: {column})")
    told = "of a language model made elsewhere: text, prompt_completion or messages (default: text)"
    parser.add_argument("--input_format", metavar="FORMAT", help=told)
    told = "likewise, of txt files: what begins a document ('' for blank lines)"
    parser.add_argument("--document_start", metavar="REGEX", help=told)
    parser.add_argument("--max_length", type=int, metavar="N", help="likewise: tokens of a window (default: 1024)")
    parser.add_argument("--stride", type=int, metavar="N", help="likewise: tokens that windows share (default: 1)")
    parser.add_argument("--per_device_eval_batch_size", type=int, default=32, metavar="N", help="(default: 32)")
    parser.add_argument("--cpu_threads", type=int, metavar="N", help="default: allowed cores / local processes")


def add_merge_flags(parser: Parser) -> None:
    """Flags of `llmtune merge`."""
    parser.add_argument("run_folder", metavar="RUN", help="the --output_dir of a recipe that was run with --use_peft")
    parser.add_argument("--output_dir", required=True, metavar="FOLDER", help="a new folder for the merged weights")
    told = "a decoder classifier, LoRA or not, for pipeline('decision') and transformers serve, with decision.json"
    parser.add_argument("--decision", action="store_true", help=told)
    add_trust_flag(parser)


def add_export_flags(parser: Parser) -> None:
    """Flags of `llmtune export`."""
    parser.add_argument("run_folder", metavar="RUN", help="the --output_dir of a recipe, or merged weights")
    parser.add_argument("--output_dir", required=True, metavar="FOLDER", help="a new folder for the exported model")
    parser.add_argument("--int8", action="store_true", help="also with weights of 8 bits, and what that loses")
    told = "test rows as this model predicts them (default: those of the run)"
    parser.add_argument("--predictions", metavar="FILE", help=told)
    told = "of them at most, spread over lengths and classes (default: all)"
    parser.add_argument("--max_eval_samples", type=int, metavar="N", help=told)
    told = "rows at once where speed is measured (default: 32)"
    parser.add_argument("--per_device_eval_batch_size", type=int, default=32, metavar="N", help=told)
    parser.add_argument("--cpu_threads", type=int, metavar="N", help="default: allowed cores")
    parser.add_argument("--seed", type=int, default=42, metavar="N", help="of the intervals (default: 42)")
    add_trust_flag(parser)


def add_report_flags(parser: Parser) -> None:
    """Flags of `llmtune report`."""
    parser.add_argument(
        "sources", nargs="+", metavar="PREDICTIONS|RUN", help="tables (.parquet, .csv, .jsonl), or run folders"
    )
    add_table_flags(parser)
    smallest = "\n".join(f"  {kind:<28}{example.replace(';', '   ')}" for kind, example in EXAMPLES.items())
    parser.epilog = f"the smallest table of each --kind, header and row of a csv:\n{smallest}"
    parser.add_argument(
        "--output_dir", metavar="FOLDER", help="write the results here; a run's own are renewed without it"
    )
    parser.add_argument("--no_examples", action="store_true", help="no texts of rows in report.html: for private data")
    add_metric_flags(parser)
    add_verdict_flags(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="of the intervals (default: the run's own, else 42)")


def add_verdict_flags(parser: Parser) -> None:
    """What the verdict asks beyond the predictions; a run's own arguments are the defaults."""
    parser.add_argument("--targets", metavar="T", help="targets of the verdict: 'recall[spam]>=0.8,accuracy>=0.85'")
    parser.add_argument("--train_file", metavar="FILE", help="the model's training rows: leakage and simple models")
    parser.add_argument("--naive_mae", type=float, metavar="X", help="of forecasts: the naive forecast's, for MASE")
    parser.add_argument("--text_column", metavar="NAME", help="of the training rows (default: text)")
    parser.add_argument("--text_pair_column", metavar="NAME", help="likewise, of pairs (default: text_pair)")
    parser.add_argument("--label_column", metavar="NAME", help="of the training rows (default: label)")
    add_label_set_flags(parser)
    parser.add_argument("--group_columns", nargs="+", default=[], metavar="NAME", help="of the table, for fairness")
    parser.add_argument("--slice_columns", nargs="+", default=[], metavar="NAME", help="of the table, for slices")
    parser.add_argument("--base", metavar="RUN|PREDICTIONS", help="of the base model or an earlier run, on these rows")


def add_compare_flags(parser: Parser) -> None:
    """Flags of `llmtune compare`."""
    parser.add_argument("a", metavar="A", help="a run (its test split) or a predictions table: the model in use")
    parser.add_argument("b", metavar="B", help="likewise, on the same rows: the model that might replace it")
    add_table_flags(parser)
    parser.add_argument("--label_separator", metavar="SIGN", help="several labels in one text: what is between them")
    told = "the deciding metric (default: f1, f1_macro, entity_f1, bleu …)"
    parser.add_argument("--metric", metavar="NAME", help=told)
    told = "exit 1 if B is significantly worse than A"
    parser.add_argument("--fail-if-worse", "--fail_if_worse", action="store_true", help=told)
    parser.add_argument("--show", type=int, default=5, metavar="N", help="wins and losses listed, each (default: 5)")
    parser.add_argument("--output_dir", metavar="FOLDER", help="write comparison.json here")
    parser.add_argument("--seed", type=int, default=42, metavar="N", help="of the intervals (default: 42)")


def add_benchmark_flags(parser: Parser) -> None:
    """Flags of `llmtune benchmark`."""
    told = "runs, checkpoint folders, Hub ids, servers as openai:http://host:port/v1#name; baselines: the simple models"
    parser.add_argument("--models", nargs="+", required=True, metavar="MODEL", help=told)
    add_trust_flag(parser)
    told = "classification, choices, ner, perplexity, question-answering, summarization, translation, lm_eval=TASK"
    parser.add_argument("--tasks", nargs="+", required=True, metavar="TASK=FILE", help=told)
    parser.add_argument("--output_dir", required=True, metavar="FOLDER", help="where the results go")
    parser.add_argument("--train_file", metavar="FILE", help="for baselines and demonstrations")
    parser.add_argument(
        "--num_fewshot", type=int, default=0, metavar="N", help="demonstrations in a prompt (default: 0)"
    )
    parser.add_argument("--prompt_template", metavar="T", help="of a row, as 'Text: {text}\\nLabel:'")
    parser.add_argument("--use_chat_template", action="store_true", help="prompts are the user's turn of a chat")
    parser.add_argument("--reference", metavar="FOLDER", help="the model that must be served: same numbers, or refused")
    told = "requests at a time (default: 4)"
    parser.add_argument("--concurrency", nargs="+", type=int, default=[4], metavar="N", help=told)
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S", help="seconds of a request (default: 120)")
    told = "rows timed: a local model one at a time, a server under each --concurrency (default: 32; 0: none)"
    parser.add_argument("--speed_requests", type=int, default=32, metavar="N", help=told)
    parser.add_argument("--slo", metavar="LIMITS", help="what goodput counts: 'ttft<=200ms,itl<=50ms,latency<=2s'")
    told = "1.20/h: an hour of the machine; 0.15+0.60/M: a million tokens read, and written"
    parser.add_argument("--price", nargs="+", default=[], metavar="PRICE", help=told)
    told = "classes: likelihood of the labels, generation, or decision (of transformers serve) (default: likelihood)"
    parser.add_argument("--scoring", default="likelihood", metavar="HOW", help=told)
    parser.add_argument("--max_new_tokens", type=int, metavar="N", help="of an answer")
    columns = "text label source target question context answers choices answer tokens tags spans"
    for name in columns.split():
        parser.add_argument(f"--{name}_column", metavar="NAME", help=f"(default: {name})")
    parser.add_argument("--positive_label", metavar="LABEL", help="of two, the one F1 is about")
    parser.add_argument("--targets", metavar="T", help="of the verdicts: 'accuracy>=0.85'")
    told = "the registered benchmark of the Hub that the rows are: writes .eval_results files"
    parser.add_argument("--hub_benchmark", metavar="ID#TASK", help=told)
    parser.add_argument("--max_eval_samples", type=int, metavar="N", help="use only the first n rows")
    parser.add_argument("--per_device_eval_batch_size", type=int, default=32, metavar="N", help="(default: 32)")
    parser.add_argument("--cpu_threads", type=int, metavar="N", help="default: allowed cores")
    told = "of demonstrations and intervals (default: 42)"
    parser.add_argument("--seed", type=int, default=42, metavar="N", help=told)


def add_push_flags(parser: Parser) -> None:
    """Flags of `llmtune push`."""
    parser.add_argument("run_folder", metavar="RUN", help="a run, or a folder that llmtune report wrote to")
    parser.add_argument("--repo_id", required=True, metavar="USER/NAME", help="made if it is not there, as private")
    parser.add_argument("--public", action="store_true", help="make a new repository public")
    parser.add_argument("--report_only", action="store_true", help="no weights: the model lies elsewhere")
    parser.add_argument(
        "--predictions", action="store_true", help="also the predictions tables, with the texts of their rows"
    )
    parser.add_argument("--examples", action="store_true", help="leave the texts of rows in report.html")
    parser.add_argument("--dry_run", action="store_true", help="list what would be sent, and send nothing")


def add_table_flags(parser: Parser) -> None:
    """What a table made elsewhere does not say itself."""
    parser.add_argument("--kind", metavar="KIND", help="of a table made elsewhere: classification, ner, translation …")
    parser.add_argument("--labels", metavar="A,B", help="its label names, in the order of the probabilities")
    told = "of two, the one F1 is about (default: spam, toxic, yes … or the rarer)"
    parser.add_argument("--positive_label", metavar="LABEL", help=told)
    told = "three or more classes have an order, of numbers their size, else that of --labels: qwk, steps off"
    parser.add_argument("--ordinal", action="store_true", help=told)


def add_metric_flags(parser: Parser) -> None:
    """More metrics."""
    told = "additional metrics: llmtune's names, or an evaluate module's name or path"
    parser.add_argument("--metrics", nargs="+", default=[], metavar="NAME", help=told)


def run(argv: Sequence[str] | None = None) -> int | None:
    """Reads the arguments (default: those of the process) and runs their command.

    Raises:
        InputError: the user's input is wrong.
    """
    parser, commands = build_parser()
    chosen, unknown = parser.parse_known_args(argv)
    options = vars(chosen)
    command = options.pop("command")
    if unknown:
        of_command = commands[command]
        near = difflib.get_close_matches(unknown[0].partition("=")[0], of_command.flags(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"see {of_command.prog} --help"
        raise InputError(f"{of_command.prog}: unknown argument {unknown[0]!r}; {hint}")
    for flag, value in options.items():
        check_number(flag, value)
    return call_command(command, options)


def main() -> None:
    """The console script."""
    run_command(run)


if __name__ == "__main__":
    main()
