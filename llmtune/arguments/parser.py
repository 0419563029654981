"""The command line of a recipe: YAML values are defaults, the command line wins, and an unknown key stops the run.

Values of a YAML file are given to argparse as if they had been typed, so that `2e-5` becomes a number where a number is
expected, and `no` the code of Norwegian where a language is (see `llmtune.arguments.yaml_values`). A name that
transformers 5 changed names its successor.
"""

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, get_args, get_type_hints

import transformers
import yaml
from transformers.hf_argparser import HfArgumentParser, string_to_bool

from llmtune.arguments import DataArguments, ModelArguments, TrainingArguments
from llmtune.arguments.regular_files import check_regular
from llmtune.arguments.yaml_values import read_yaml_mapping
from llmtune.errors import InputError

# What users of transformers 4 type, and what to write now (transformers 5.23; each was tried).
RENAMED = {
    "evaluation_strategy": "--eval_strategy",
    "group_by_length": "--train_sampling_strategy batch_rebalance (the default here: little padding, same quality)",
    "warmup_ratio": "--warmup_steps with a value below 1, e.g. --warmup_steps 0.1 for the first tenth",
    "logging_dir": "the environment variable TENSORBOARD_LOGGING_DIR",
    "overwrite_output_dir": "--overwrite",
    "no_cuda": "--use_cpu",
    "use_mps_device": "nothing: an available mps device is used",
    "save_safetensors": "nothing: weights are always safetensors",
    "half_precision_backend": "--precision",
    "push_to_hub_token": "nothing: hf auth login, or the environment variable HF_TOKEN",
    "push_to_hub_model_id": "--hub_model_id",
    "push_to_hub_organization": "--hub_model_id organization/name",
    "include_tokens_per_second": "--include_num_input_tokens_seen non_padding",
    "include_inputs_for_metrics": "--include_for_metrics inputs",
    "per_gpu_train_batch_size": "--per_device_train_batch_size",
    "per_gpu_eval_batch_size": "--per_device_eval_batch_size",
    "max_seq_length": "--max_length",
    "version_2_with_negative": "nothing: questions of train without an answer say so",
    "tokenizer_name": "nothing: the tokenizer is the checkpoint's own",
    "do_train": "nothing: a recipe trains, chooses on validation and reads the test split once",
    "do_eval": "nothing: see --eval_strategy",
    "do_predict": "nothing: a recipe ends with the test split; for other files use llmtune predict",
    "torch_dtype": "--dtype",
    "lora_rank": "--lora_r",
}


# The fields of transformers.TrainingArguments that --help shows; --help_all shows every one.
# fmt: off
MOST_USED = (
    "num_train_epochs", "max_steps", "learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps",
    "per_device_eval_batch_size", "weight_decay", "max_grad_norm", "lr_scheduler_type", "warmup_steps", "optim",
    "label_smoothing_factor", "seed", "data_seed", "eval_steps", "save_steps", "activation_checkpointing", "report_to",
    "run_name", "resume_from_checkpoint", "use_cpu", "push_to_hub", "hub_model_id",
)
# fmt: on
RARELY_USED = ("bf16", "fp16", "overwrite_cache")  # of our own flags: --precision says what two of them do
MOST_CHOICES = 6  # of a flag that --help lists; an unknown value is answered with all of them
DATA_FLAGS = ("dataset_name", "train_file", "validation_file", "test_file")
MODEL_FLAGS = ("model_name_or_path", "model_type")
YAML_SWITCHES = {word: on for on, words in (("true", "on On ON"), ("false", "off Off OFF")) for word in words.split()}
PATH_FLAGS = ("train_file", "validation_file", "test_file", "model_name_or_path")


class Arguments(NamedTuple):
    """All that a recipe was asked for, a dataclass a group."""

    data: DataArguments
    task: Any
    model: ModelArguments
    training: TrainingArguments


def parse_arguments(
    recipe: str,
    task_arguments: type[Any],
    *,
    demo: Path,
    description: str | None = None,
    recipe_defaults: Mapping[str, Any] | None = None,
    argv: Sequence[str] | None = None,
) -> Arguments:
    """Reads the command line of a recipe.

    Args:
        recipe: its name, for the default `output_dir`.
        task_arguments: the dataclass of the task.
        demo: YAML with the values of the embedded demo, taken where neither data nor model is named; its data files lie
            beside it.
        description: stands at the head of --help.
        recipe_defaults: the recipe's own defaults, below YAML and command line.
        argv: the arguments; default those of the process.

    Returns:
        (data, task, model, training) arguments.

    Raises:
        InputError: an unknown or renamed key, a value that does not fit, data without a model or a model without data.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _Parser([DataArguments, task_arguments, ModelArguments, TrainingArguments], recipe, description)
    config, argv = _pop_config(argv)
    if "--help_all" not in argv:
        parser.hide_rarely_used()
    argv = ["--help" if flag == "--help_all" else flag for flag in argv]
    values = parser.read_yaml(config) if config else {}
    parser.set_defaults(**{**(recipe_defaults or {}), **values})
    for flag in argv:
        if flag.startswith("--") and (key := _key(flag)) in RENAMED:
            parser.stop_at(key, "command line", flag)
    chosen, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.stop_at(_key(unknown[0]), "command line", unknown[0])
    if not any(getattr(chosen, flag) for flag in DATA_FLAGS + MODEL_FLAGS):
        if not demo.exists():
            raise InputError(
                f"neither data nor a model was named, and the demo does not lie at {demo}: add --train_file FILE and "
                "--model_name_or_path ID_OR_FOLDER"
            )
        # The command line stays above the demo's values, and so does a YAML file.
        beside = {k: str(demo.parent / v) if k in PATH_FLAGS else v for k, v in parser.read_yaml(demo).items()}
        parser.set_defaults(**{**beside, **values})
    try:
        data, task, model, training, _ = parser.parse_args_into_dataclasses(argv, look_for_args_file=False)
    except InputError:
        raise
    except (ValueError, TypeError, OSError, NotImplementedError) as error:  # of transformers.TrainingArguments
        raise InputError(f"command line: {error}") from error
    if training.hub_token is not None:
        raise InputError(
            "--hub_token: a token here is seen by whoever lists processes or reads the file; leave it out, and log in "
            "with `hf auth login` or set the environment variable HF_TOKEN"
        )
    _check_pair(data, model, training)
    training.resolve_output_dir(recipe)
    _check_inputs_stay(data, model, training)
    return Arguments(data, task, model, training)


def _check_pair(data: DataArguments, model: ModelArguments, training: TrainingArguments) -> None:
    if data.given and not model.given:
        raise InputError(
            "data was named but no model: add --model_name_or_path ID_OR_FOLDER, or --model_type bert (or llama, "
            "lstm) for a small one from scratch"
        )
    if model.given and not data.given:
        raise InputError("a model was named but no data: add --train_file FILE or --dataset_name ID_OR_FOLDER")
    if model.model_name_or_path and model.model_type:
        raise InputError(
            f"--model_name_or_path {model.model_name_or_path} and --model_type {model.model_type} exclude each other: "
            "the first loads a checkpoint (its own model_type picks the family), the second starts from scratch"
        )
    typed = [name for name, value in vars(ModelArguments()).items() if getattr(model, name) != value]
    of_lora = [name for name in typed if name.startswith("lora_") or name in ("use_dora", "use_rslora")]
    if model.load_in_4bit and model.load_in_8bit:
        raise InputError("--load_in_4bit and --load_in_8bit are both given; give one of the two")
    if model.freeze_layers is not None:
        _check_freezing(model)
    if of_lora and not model.use_peft and not model.bits:
        raise InputError(f"--{of_lora[0]} without --use_peft: every weight would be trained; add --use_peft or drop it")
    if model.load_in_4bit and training.load_best_model_at_end and training.device.type == "cpu":
        # Seen with bitsandbytes 0.50.2: probabilities moved by up to 0.07 against the same adapter loaded afresh.
        raise InputError(
            "--load_in_4bit on a CPU: 4-bit weights change when the best checkpoint is loaded over them there; add "
            "--eval_strategy no, or train on a GPU"
        )


def _check_freezing(model: ModelArguments) -> None:
    if model.model_type:
        raise InputError("--freeze_layers keeps a checkpoint's weights, and --model_type begins at random; drop one")
    if model.use_peft or model.bits:
        raise InputError("--freeze_layers: under LoRA every layer of the checkpoint is frozen; leave it out")


def _check_inputs_stay(data: DataArguments, model: ModelArguments, training: TrainingArguments) -> None:
    """Raises `InputError` for an input in the run that --overwrite would delete."""
    if not training.overwrite or training.resume_from_checkpoint:
        return
    folder = Path(str(training.output_dir)).resolve()
    for name in (*DATA_FLAGS, "model_name_or_path"):
        given = getattr(data, name, None) or getattr(model, name, None)
        if given and Path(given).exists() and Path(given).resolve().is_relative_to(folder):
            raise InputError(
                f"--{name} {given}: lies in --output_dir {training.output_dir}, which --overwrite empties; name "
                "another --output_dir"
            )


def _key(flag: str) -> str:
    """`--learning-rate=1` → `learning_rate`."""
    return flag.lstrip("-").partition("=")[0].replace("-", "_")


def _pop_config(argv: list[str]) -> tuple[Path | None, list[str]]:
    """Takes `--config FILE` out of the arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config", type=Path)
    try:
        found, rest = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise InputError(f"command line: {error}; give a YAML file") from error
    return found.config, rest


class _Parser(HfArgumentParser):
    """HfArgumentParser with readable help, YAML values and errors that name the nearest flag."""

    def __init__(self, dataclasses: list[type[Any]], recipe: str, description: str | None) -> None:
        super().__init__(
            dataclasses,
            prog=f"recipes/{recipe}.py",
            description=description,
            formatter_class=_Formatter,
            allow_abbrev=False,
            usage=f"accelerate launch recipes/{recipe}.py [--config FILE.yaml] [--flag value …]\n"
            f"       llmtune train {recipe} [--config FILE.yaml] [--flag value …]",
            epilog="--help_all shows every field of transformers.TrainingArguments too.",
        )
        hints = {name: hint for cls in dataclasses for name, hint in get_type_hints(cls).items()}
        self.may_be_null = {name for name, hint in hints.items() if type(None) in get_args(hint)}
        self.add_argument("--config", metavar="FILE", help="YAML file with any of these flags; the command line wins")

    def error(self, message: str) -> NoReturn:
        raise InputError(f"command line: {message}; --help lists the flags")

    def hide_rarely_used(self) -> None:
        """Leaves what a person needs, in each group our own flags first."""
        own = [part for cls in self.dataclass_types for part in cls.__mro__ if part.__module__.startswith("llmtune.")]
        ours = {name for part in own for name in vars(part).get("__annotations__", {})} - set(RARELY_USED)
        for action in self._actions:
            if action.dest not in ours and action.dest not in (*MOST_USED, "help", "config"):
                action.help = argparse.SUPPRESS
            if isinstance(action, argparse._StoreFalseAction):  # --no_x beside --x
                action.help = argparse.SUPPRESS
        for group in self._action_groups:
            group._group_actions.sort(key=lambda action: action.dest not in ours)

    def stop_at(self, key: str, where: str, shown: str) -> NoReturn:
        """Raises for an unknown key, with its successor or the nearest known one."""
        if key in RENAMED:
            raise InputError(f"{where}: {shown} is a name of transformers 4 or of another tool; write {RENAMED[key]}")
        known = sorted({action.dest for action in self._actions})
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "--help_all lists the keys"
        raise InputError(f"{where}: unknown {'flag' if shown.startswith('-') else 'key'} {shown!r}; {hint}")

    def read_yaml(self, path: Path) -> dict[str, Any]:
        """The values of a flat YAML file, each converted as argparse converts what is typed."""
        check_regular(path)
        try:
            values = read_yaml_mapping(path.read_text(encoding="utf-8"), str(path))
        except FileNotFoundError:
            raise InputError(f"--config {path}: no such file") from None
        except OSError as error:
            raise InputError(f"--config {path}: cannot be read: {error.strerror}; give a YAML file") from error
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{path}: not readable as YAML: {error}") from error
        actions = {
            action.dest: action for action in self._actions if not isinstance(action, argparse._StoreFalseAction)
        }
        for key in values:
            if key not in actions or key in ("help", "config") or key in RENAMED:
                self.stop_at(key, str(path), key)
        for key, value in values.items():
            if value is None and key not in self.may_be_null:
                raise InputError(
                    f"{path}: {key}: found no value, expected one; leave the key out for its default, or quote it for "
                    "the text"
                )
            if value == "None" and key in self.may_be_null:
                raise InputError(
                    f"{path}: {key}: found the text None; leave the key out for no value (in YAML it is written null)"
                )
            if isinstance(value, dict) and key not in transformers.TrainingArguments._VALID_DICT_FIELDS:
                raise InputError(f"{path}: {key}: found {value}, expected a value without keys of its own")
        return {key: _converted(actions[key], value, f"{path}: {key}") for key, value in values.items()}


def _converted(action: argparse.Action, value: Any, where: str) -> Any:
    """The text of a YAML value as argparse would have read it."""
    if value is None or isinstance(value, dict):
        return value
    many = action.nargs == "+"
    if isinstance(value, list) and not many:
        raise InputError(f"{where}: found the list [{', '.join(map(str, value))}], expected one value")
    kind = action.type if callable(action.type) else str
    if kind is string_to_bool:
        value = YAML_SWITCHES.get(value, value)
    items = []
    for item in value if isinstance(value, list) else [value]:
        try:
            items.append(kind(item))
        except (ValueError, TypeError, argparse.ArgumentTypeError) as error:
            raise InputError(f"{where}: {item!r} does not fit: {error}") from error
        if action.choices is not None and items[-1] not in action.choices:
            raise InputError(f"{where}: {item!r} is not one of {', '.join(str(c) for c in action.choices)}")
    return items if many else items[0]


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """One spelling a flag, no repeated metavar, defaults only where they say something."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        name = next((s for s in action.option_strings if s.startswith("--")), action.option_strings[0])
        if action.choices is not None and len(list(action.choices)) <= MOST_CHOICES:
            return f"{name} {{{','.join(str(c) for c in action.choices)}}}"
        return name if action.nargs == 0 or action.const is True else f"{name} {'X' if action.nargs is None else 'X …'}"

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, [], "", argparse.SUPPRESS):
            return action.help
        return super()._get_help_string(action)
