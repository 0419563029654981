"""A checkpoint, or a small model from scratch, made ready to train: head, pad token, LoRA, 4-bit weights."""

import difflib
import importlib.util
import math
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
import yaml
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.hf_argparser import string_to_bool
from transformers.utils import logging as hf_logging

from llmtune.arguments import ModelArguments
from llmtune.arguments.yaml_values import typed_value
from llmtune.errors import InputError
from llmtune.models import decoder, encoder_decoder
from llmtune.models.adapter import check_new_rows_are_trained, new_rows, target_modules
from llmtune.models.families import family_of, head_modules
from llmtune.models.head_labels import align_head

FEWEST_TOKENS = 50  # of a vocabulary from scratch
DTYPES = ("float32", "bfloat16", "float16", "auto")

# What transformers and torch raise for a config whose values don't fit (sizes, names of functions, kernels).
UNFIT = (ValueError, ImportError, KeyError, ArithmeticError, StrictDataclassError)

# What --config_overrides can't set, and what does.
SETTLED = {
    "vocab_size": "the tokenizer (from scratch: --tokenizer_vocab_size)",
    **dict.fromkeys((f"{name}_token_id" for name in ("pad", "bos", "eos", "cls", "sep")), "the tokenizer"),
    **dict.fromkeys(("num_labels", "id2label", "label2id", "problem_type"), "the labels of train"),
    "model_type": "the checkpoint (from scratch: --model_type)",
    "dtype": "--dtype",
}


class Task(Protocol):
    """What loading needs of a task."""

    auto_model: Any
    """The transformers Auto class, e.g. AutoModelForSequenceClassification."""

    @property
    def families(self) -> tuple[str, ...]:
        """Of models that it serves, as `llmtune.models.families` names them."""

    @property
    def max_length(self) -> int:
        """Tokens of a text at most."""

    def head(self) -> dict[str, Any]:
        """Config values of the task, e.g. num_labels, id2label, label2id."""


def requested_family(arguments: ModelArguments, families: Sequence[str]) -> str:
    """The name of the family of the model of a run, before it is loaded: the first of `families` that serves it.

    Raises:
        InputError: no such checkpoint, or none of the families serves it.
    """
    where = arguments.model_name_or_path or "--model_type"
    if arguments.model_type:
        found = family_of(arguments.model_type, where, families)
    else:
        hub = {"revision": arguments.revision, "trust_remote_code": arguments.trust_remote_code}
        try:
            config = AutoConfig.from_pretrained(where, **hub)
        except (OSError, *UNFIT) as error:
            raise InputError(f"--model_name_or_path {where}: has no readable config.json: {error}") from error
        found = family_of(config.model_type, where, families)
    return found.__name__.rpartition(".")[2]


@dataclass(frozen=True)
class LoadedModel:
    """A tokenizer and a model that fit together, and what was done to make them so.

    Args:
        tokenizer: with a pad token, padding on the right.
        model: the head is sized for the task; with LoRA a PeftModel.
        max_length: tokens that a text may have: the least of what was asked and what the model reads.
        facts: said at the terminal and kept in run.json.
    """

    tokenizer: PreTrainedTokenizerBase
    model: Any
    max_length: int
    facts: dict[str, Any]


def load_model(arguments: ModelArguments, task: Task, *, train_texts: Callable[[], Iterable[str]]) -> LoadedModel:
    """Loads or builds the model of a run.

    Args:
        arguments: which model.
        task: what the model is for: its Auto class, the config values of its head, the tokens asked for.
        train_texts: the texts of the train split, from which a tokenizer from scratch is trained.

    Raises:
        InputError: no such checkpoint, a type that is not served, no safetensors, weights of the body missing.
    """
    if arguments.dtype not in DTYPES:
        raise InputError(f"--dtype {arguments.dtype!r} is not one of {', '.join(DTYPES)}")
    if arguments.model_type and arguments.dtype not in ("float32", "auto"):
        raise InputError(f"--dtype {arguments.dtype}: the weights of a model from scratch are float32; leave it out")
    if arguments.model_type and arguments.tokenizer_vocab_size < FEWEST_TOKENS:
        raise InputError(
            f"--tokenizer_vocab_size {arguments.tokenizer_vocab_size}: expected {FEWEST_TOKENS} or more: letters, "
            "special tokens and some words must find room"
        )
    if arguments.model_type:
        tokenizer, model, limit = _from_scratch(arguments, task, train_texts)
        new, added, head = ["every weight"], list[int](), None
    else:
        tokenizer, model, limit, new, added, head = _from_checkpoint(arguments, task)
    family = family_of(model.config.model_type, arguments.model_name_or_path or "--model_type", task.families)
    facts: dict[str, Any] = {
        "name": arguments.model_name_or_path or f"{arguments.model_type} from scratch",
        "model_type": model.config.model_type,
        "family": family.__name__.rpartition(".")[2],
        "left context only": family is decoder,
        "new weights": new + [f"embedding of {token}" for token in tokenizer.convert_ids_to_tokens(added)],
        **({"head": head} if head else {}),
        "pad token": tokenizer.pad_token,
        "weights": "4-bit" if arguments.load_in_4bit else str(model.dtype).removeprefix("torch."),
    }
    if arguments.use_peft or arguments.load_in_4bit:
        model = _with_adapter(arguments, model, family, task, new, tokenizer, added)
        facts["lora"] = {"r": arguments.lora_r, "alpha": arguments.lora_alpha, "dropout": arguments.lora_dropout}
    parameters = list(model.parameters())
    facts["parameters"] = sum(p.numel() for p in parameters)
    facts["trainable parameters"] = sum(p.numel() for p in parameters if p.requires_grad)
    return LoadedModel(tokenizer, model, min(task.max_length, limit), facts)


def positions(config: PretrainedConfig, family: ModuleType, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that the model reads at most."""
    read = family.positions(config)
    return int(tokenizer.model_max_length if read is None else min(read, tokenizer.model_max_length))


def read_overrides(text: str | None, config: PretrainedConfig) -> dict[str, Any]:
    """`--config_overrides k=v,…` as values of the types that the config holds.

    Raises:
        InputError: an unknown key, one that something else settles, or a value of another type.
    """
    overrides: dict[str, Any] = {}
    known = config.to_dict()
    for part in (text or "").split(","):
        if not part.strip():
            continue
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise InputError(f"--config_overrides {text!r}: {part!r} is not of the form key=value")
        if key in SETTLED:
            raise InputError(f"--config_overrides: {key} is settled by {SETTLED[key]}; leave it out")
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
            raise InputError(f"--config_overrides: {config.model_type} has no setting {key!r}; {hint}")
        read = _read_as(known[key], key, value)
        overrides[key] = read
    return overrides


def _read_as(old: Any, key: str, text: str) -> Any:
    """The text of an override as a value of the type that the config holds; of None as JSON would have it."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    try:
        if isinstance(old, str):
            return text[1:-1] if quoted else text
        if isinstance(old, bool):
            return string_to_bool(text)
        if isinstance(old, (int, float)):
            number = float(text) if isinstance(old, float) else int(text)
            if not math.isfinite(number):
                raise ValueError("not a finite number")
            return number
        bare = yaml.safe_load if text[:1] in ("[", "{") else typed_value
        value = text[1:-1] if quoted else bare(text)
    except yaml.YAMLError as error:
        raise InputError(f"--config_overrides: {key}={text} is not readable as a value: {error}") from error
    except ArgumentTypeError as error:
        raise InputError(f"--config_overrides: {key}={text} is not of type bool (now {old})") from error
    except ValueError as error:
        if old is None:
            raise InputError(f"--config_overrides: {key}={text}: {error}") from error
        raise InputError(f"--config_overrides: {key}={text} is not of type {type(old).__name__} (now {old})") from error
    if old is not None and type(value) is not type(old):
        raise InputError(f"--config_overrides: {key}={text} is not of type {type(old).__name__} (now {old})")
    return value


def _from_scratch(
    arguments: ModelArguments, task: Task, train_texts: Callable[[], Iterable[str]]
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel, int]:
    from llmtune.models.from_scratch import tokenizer_type, train_tokenizer

    model_type = str(arguments.model_type)
    family = family_of(model_type, "--model_type", task.families)
    if model_type not in family.SMALL:
        raise InputError(
            f"--model_type {model_type}: is not built from scratch, for its tokenizer is of many languages; take "
            f"{', '.join(family.SMALL)}, or --model_name_or_path with a checkpoint"
        )
    overrides = read_overrides(arguments.config_overrides, AutoConfig.for_model(model_type))
    sort = tokenizer_type(model_type, writes=not task.head())
    tokenizer = train_tokenizer(sort, train_texts(), arguments.tokenizer_vocab_size, task.max_length)
    sizes = {**family.SMALL[model_type], **overrides}
    special = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos", "cls", "sep")
    }
    if family is encoder_decoder:
        special |= encoder_decoder.decoder_start_config(model_type, tokenizer)
    attention = arguments.attn_implementation
    try:
        config = AutoConfig.for_model(model_type, vocab_size=len(tokenizer), **special, **sizes, **task.head())
        family.prepare(tokenizer, config)
        tokenizer.model_max_length = limit = positions(config, family, tokenizer)
        model = task.auto_model.from_config(config, dtype=torch.float32, attn_implementation=attention)
    except (*UNFIT, RuntimeError) as error:
        asked = f"--model_type {model_type}, --config_overrides, --attn_implementation"
        raise InputError(f"{asked}: {type(error).__name__}: {error}") from error
    return tokenizer, model, limit


def _from_checkpoint(
    arguments: ModelArguments, task: Task
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel, int, list[str], list[int], str | None]:
    name = str(arguments.model_name_or_path)
    if Path(name).is_dir():
        # A LoRA run remembers its base by this name: it must hold from any working directory.
        name = str(Path(name).resolve())
        if (Path(name) / "adapter_config.json").exists():
            raise InputError(
                f"--model_name_or_path {name}: holds a LoRA adapter, not whole weights; make them with `llmtune merge "
                f"{name} --output_dir FOLDER` and name that folder"
            )
    hub = {"revision": arguments.revision, "trust_remote_code": arguments.trust_remote_code}
    try:
        config = AutoConfig.from_pretrained(name, **hub)
        checkpoint_names = [str(config.id2label[i]) for i in range(config.num_labels)]
        family = family_of(config.model_type, name, task.families)
        overrides = read_overrides(arguments.config_overrides, config)
        with without_loading_report():  # of the head's size, which is the data's
            config = AutoConfig.from_pretrained(name, **hub, **overrides, **task.head())
        tokenizer = AutoTokenizer.from_pretrained(name, **hub)
        family.prepare(tokenizer, config)
        pad_token_id = config.pad_token_id
        if pad_token_id is not None and pad_token_id >= config.vocab_size:
            config.pad_token_id = None  # a new pad token has no embedding until the table is resized below
        with without_loading_report():
            model, report = task.auto_model.from_pretrained(
                name,
                config=config,
                **hub,
                dtype=arguments.dtype,
                attn_implementation=arguments.attn_implementation,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # a head trained for other classes is replaced, and said
                output_loading_info=True,
                **({"quantization_config": qlora_config()} if arguments.load_in_4bit else {}),
            )
    except InputError:
        raise
    except (OSError, *UNFIT) as error:
        raise InputError(
            f"--model_name_or_path {name}: not loadable as a checkpoint with safetensors weights: {error}"
        ) from error
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        model.resize_token_embeddings(len(tokenizer))
    added = [token for token in range(rows, len(tokenizer)) if token != pad_token_id]  # padding is never attended to
    model.config.pad_token_id = pad_token_id
    new = sorted({*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])})
    new = [key for key in new if not _is_computed(model, key)]
    body = [key for key in new if not _may_be_new(model, key, task, config)]
    if body:
        raise InputError(
            f"--model_name_or_path {name}: {len(body)} weights of the body are missing or of another shape, first "
            f"{body[0]!r}; the checkpoint does not fit its config.json"
        )
    head = None
    if "id2label" in task.head() and not any(key.split(".")[0] in head_modules(model) for key in new):
        new_head, head = align_head(model, list(task.head()["id2label"].values()), checkpoint_names)
        new += new_head
    return tokenizer, model, positions(config, family, tokenizer), new, added, head


def _is_computed(model: PreTrainedModel, key: str) -> bool:
    """Whether a weight is made of sines, which the checkpoints of Pegasus leave out."""
    return ".embed_positions." in key and "Sinusoidal" in type(model.get_submodule(key.rpartition(".")[0])).__name__


def _may_be_new(model: PreTrainedModel, key: str, task: Task, config: PretrainedConfig) -> bool:
    """Whether a task starts with this weight at random: its head; of a pair of encoders what makes a decoder of one."""
    if ".pooler." in f".{key}":
        return True
    if task.head():
        return key.split(".")[0] in head_modules(model)
    if config.model_type == model.config.model_type:
        return False  # what writes is the checkpoint's own
    body = f"decoder.{model.decoder.base_model_prefix}."
    return ".crossattention." in key or not key.startswith(("encoder.", body))


def qlora_config() -> Any:
    """The settings of QLoRA (Dettmers et al. 2023): 4-bit normal floats, computed in bfloat16.

    Raises:
        InputError: bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError("4-bit weights (--load_in_4bit) need bitsandbytes: pip install 'llmtune[quantization]'")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)


def _with_adapter(
    arguments: ModelArguments,
    model: PreTrainedModel,
    family: ModuleType,
    task: Task,
    new: list[str],
    tokenizer: PreTrainedTokenizerBase,
    added: list[int],
) -> Any:
    """The model under a LoRA adapter (Hu et al. 2021).

    A task's head, and a pooler that is new, are trained whole; of the embeddings those of `added` tokens.
    """
    import peft

    if arguments.load_in_4bit:
        model = peft.prepare_model_for_kbit_training(model)
    if model.config.model_type not in family.LORA_TARGETS:
        raise InputError(
            f"--use_peft: of a pair of encoders the attention between them is new and must be trained whole; leave it "
            f"out, or take a sequence-to-sequence checkpoint ({', '.join(encoder_decoder.MODEL_TYPES)}) or a decoder"
        )
    heads = head_modules(model) if task.head() else []  # what writes is the checkpoint's own
    whole = heads + (["pooler"] if any(".pooler." in key for key in new) else [])
    targets = target_modules(arguments.lora_target_modules, family.LORA_TARGETS[model.config.model_type], whole)
    if arguments.lora_r < 1:
        raise InputError(f"--lora_r {arguments.lora_r}: the rank must be 1 or more")
    try:
        adapted = peft.get_peft_model(
            model,
            peft.LoraConfig(
                r=arguments.lora_r,
                lora_alpha=arguments.lora_alpha,
                lora_dropout=arguments.lora_dropout,
                **targets,
                modules_to_save=whole,
                trainable_token_indices=new_rows(model, added),
                revision=arguments.revision,
            ),
        )
    except ValueError as error:
        names = sorted(
            {name.rpartition(".")[2] for name, child in model.named_modules() if isinstance(child, torch.nn.Linear)}
        )
        asked = f"--lora_target_modules {targets['target_modules']}, --lora_dropout {arguments.lora_dropout}"
        raise InputError(f"{asked}: {error}; linear layers are {', '.join(names)}") from error
    if added:
        check_new_rows_are_trained(adapted, tokenizer.convert_ids_to_tokens(added), len(tokenizer))
    return adapted


class without_loading_report:
    """Silences transformers' report of new and unused weights: what is new in a model we say ourselves."""

    def __enter__(self) -> None:
        self.level = hf_logging.get_verbosity()
        hf_logging.set_verbosity_error()

    def __exit__(self, *exc: object) -> None:
        hf_logging.set_verbosity(self.level)
