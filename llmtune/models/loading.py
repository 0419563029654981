"""A checkpoint, or a small model from scratch, made ready to train: head, pad token, LoRA, 4-bit weights."""

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from types import ModuleType
from typing import Any, Protocol

import torch
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging as hf_logging

from llmtune.arguments import ModelArguments
from llmtune.arguments.regular_files import check_folder_of_files
from llmtune.errors import InputError
from llmtune.models import decoder, encoder_decoder
from llmtune.models.adapter import check_new_rows_are_trained, new_rows, target_modules
from llmtune.models.config_overrides import read_overrides
from llmtune.models.families import check_head, family_of, head_modules
from llmtune.models.freezing import freeze_layers
from llmtune.models.head_labels import align_head
from llmtune.models.loaded import LoadedModel, ModelFacts
from llmtune.models.pretrained_tokenizer import check_pad_token, load_tokenizer
from llmtune.models.remote_code import classes_run, not_loadable, refuse_kernel
from llmtune.models.series import UNFIT, load_series_model

FEWEST_TOKENS = 50  # of a vocabulary from scratch
DTYPES = ("float32", "bfloat16", "float16", "auto")


class TaskHead(Protocol):
    """What loading needs of a task."""

    @property
    def auto_model(self) -> Any:
        """The transformers Auto class, e.g. AutoModelForSequenceClassification."""

    @property
    def families(self) -> tuple[str, ...]:
        """Of models that it serves, as `llmtune.models.families` names them."""

    @property
    def max_length(self) -> int:
        """Tokens of a text at most."""

    @property
    def reads_text(self) -> bool:
        """Whether its models come with a tokenizer."""

    def head_config(self) -> dict[str, Any]:
        """Config values of the task, e.g. num_labels, id2label, label2id."""


def requested_family(arguments: ModelArguments, families: Sequence[str]) -> str:
    """The name of the family of the model of a run, before it is loaded: the first of `families` that serves it.

    Raises:
        InputError: no such checkpoint, or none of the families serves it.
    """
    where = arguments.model_name_or_path or "--model_type"
    check_folder_of_files(where)
    if arguments.model_type:
        found = family_of(arguments.model_type, where, families)
    else:
        hub = {"revision": arguments.revision, "trust_remote_code": arguments.trust_remote_code}
        try:
            config = AutoConfig.from_pretrained(where, **hub)
        except (OSError, *UNFIT) as error:
            raise not_loadable(f"--model_name_or_path {where}", "has no readable config.json", error) from error
        found = family_of(config.model_type, where, families)
    return found.__name__.rpartition(".")[2]


def load_model(arguments: ModelArguments, task: TaskHead, *, train_texts: Callable[[], Iterable[str]]) -> LoadedModel:
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
    if not task.reads_text:
        return load_series_model(arguments, task)
    if arguments.model_type:
        tokenizer, model, limit = _from_scratch(arguments, task, train_texts)
        new, added, head = ["every weight"], list[int](), None
    else:
        tokenizer, model, limit, new, added, head = _from_checkpoint(arguments, task)
    family = family_of(model.config.model_type, arguments.model_name_or_path or "--model_type", task.families)
    facts = ModelFacts(
        name=arguments.model_name_or_path or f"{arguments.model_type} from scratch",
        model_type=model.config.model_type,
        family=family.__name__.rpartition(".")[2],
        from_scratch=arguments.model_type is not None,
        is_causal=family is decoder,
        new_weights=(*new, *(f"embedding of {token}" for token in tokenizer.convert_ids_to_tokens(added))),
        head=head,
        pad_token=tokenizer.pad_token,
        weights=f"{arguments.bits}-bit" if arguments.bits else str(model.dtype).removeprefix("torch."),
        module=family.__name__ if type(model).__module__.startswith(family.__name__) else None,
        remote_code=classes_run(model.config, tokenizer, model),
    )
    if arguments.use_peft or arguments.bits:
        model = _with_adapter(arguments, model, family, task, new, tokenizer, added)
        lora = {"r": arguments.lora_r, "alpha": arguments.lora_alpha, "dropout": arguments.lora_dropout}
        facts = replace(facts, lora=lora, adapter_method=_adapter_method(arguments))
    elif arguments.freeze_layers is not None:
        if added:
            raise InputError(
                f"--freeze_layers {arguments.freeze_layers}: the tokenizer has {len(added)} tokens that the checkpoint "
                f"has no embeddings for ({', '.join(tokenizer.convert_ids_to_tokens(added[:3]))}), and frozen they "
                "would stay as drawn; leave it out"
            )
        freeze_layers(model, arguments.freeze_layers)
        facts = replace(facts, frozen_layers=arguments.freeze_layers)
    return LoadedModel(tokenizer, model, min(task.max_length, limit), facts.counted(model))


def _adapter_method(arguments: ModelArguments) -> str:
    return ("rs" if arguments.use_rslora else "") + ("DoRA" if arguments.use_dora else "LoRA")


def positions(config: PretrainedConfig, family: ModuleType, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that the model reads at most."""
    read = family.positions(config)
    return int(tokenizer.model_max_length if read is None else min(read, tokenizer.model_max_length))


def _from_scratch(
    arguments: ModelArguments, task: TaskHead, train_texts: Callable[[], Iterable[str]]
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel, int]:
    from llmtune.models.from_scratch import tokenizer_type, train_tokenizer

    model_type = str(arguments.model_type)
    family = family_of(model_type, "--model_type", task.families)
    if model_type not in family.SMALL:
        raise InputError(
            f"--model_type {model_type}: is not built from scratch, for its tokenizer is of many languages; take "
            f"{', '.join(family.SMALL)}, or --model_name_or_path with a checkpoint"
        )
    plain = AutoConfig.for_model(model_type)
    check_head(plain, task.auto_model, f"--model_type {model_type}", task.families)
    overrides = read_overrides(arguments.config_overrides, plain)
    sort = tokenizer_type(model_type, writes=not task.head_config())
    tokenizer = train_tokenizer(sort, train_texts(), arguments.tokenizer_vocab_size, task.max_length)
    sizes = {**family.SMALL[model_type], **overrides}
    special = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos", "cls", "sep")
    }
    if family is encoder_decoder:
        special |= encoder_decoder.decoder_start_config(model_type, tokenizer)
    attention = arguments.attn_implementation
    try:
        config = AutoConfig.for_model(model_type, vocab_size=len(tokenizer), **special, **sizes, **task.head_config())
        family.prepare(tokenizer, config)
        tokenizer.model_max_length = limit = positions(config, family, tokenizer)
        model = task.auto_model.from_config(config, dtype=torch.float32, attn_implementation=attention)
    except (*UNFIT, RuntimeError) as error:
        asked = f"--model_type {model_type}, --config_overrides, --attn_implementation"
        raise InputError(f"{asked}: {type(error).__name__}: {error}") from error
    return tokenizer, model, limit


def _from_checkpoint(
    arguments: ModelArguments, task: TaskHead
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel, int, list[str], list[int], str | None]:
    name = str(arguments.model_name_or_path)
    check_folder_of_files(name)
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
        if arguments.attn_implementation is None:
            refuse_kernel(f"--model_name_or_path {name}", config)
        checkpoint_names = [str(config.id2label[i]) for i in range(config.num_labels)]
        family = family_of(config.model_type, name, task.families)
        check_head(config, task.auto_model, f"--model_name_or_path {name}", task.families)
        overrides = read_overrides(arguments.config_overrides, config)
        with without_loading_report():  # of the head's size, which is the data's
            config = AutoConfig.from_pretrained(name, **hub, **overrides, **task.head_config())
        tokenizer = load_tokenizer(name, f"--model_name_or_path {name}", "has no readable tokenizer", **hub)
        family.prepare(tokenizer, config)
        check_pad_token(tokenizer, f"--model_name_or_path {name}")
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
                use_safetensors=None
                if arguments.allow_pickle
                else True,  # None: what there is, pickles as tensors only
                ignore_mismatched_sizes=True,  # a head trained for other classes is replaced, and said
                output_loading_info=True,
                **_quantized(arguments.bits, task.auto_model, config),
            )
    except InputError:
        raise
    except (OSError, UnpicklingError, RuntimeError, *UNFIT) as error:
        expected = "not loadable as a checkpoint with safetensors weights (pickled ones: --allow_pickle)"
        raise not_loadable(f"--model_name_or_path {name}", expected, error) from error
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
    if "id2label" in task.head_config() and not any(key.split(".")[0] in head_modules(model) for key in new):
        new_head, head = align_head(model, list(task.head_config()["id2label"].values()), checkpoint_names)
        new += new_head
    return tokenizer, model, positions(config, family, tokenizer), new, added, head


def _quantized(bits: int | None, auto_model: Any, config: PretrainedConfig) -> dict[str, Any]:
    return {} if bits is None else {"quantization_config": quantization_config(bits, auto_model, config)}


def _is_computed(model: PreTrainedModel, key: str) -> bool:
    """Whether a weight is made of sines, which the checkpoints of Pegasus leave out."""
    return ".embed_positions." in key and "Sinusoidal" in type(model.get_submodule(key.rpartition(".")[0])).__name__


def _may_be_new(model: PreTrainedModel, key: str, task: TaskHead, config: PretrainedConfig) -> bool:
    """Whether a task starts with this weight at random: its head; of a pair of encoders what makes a decoder of one."""
    if ".pooler." in f".{key}":
        return True
    if task.head_config():
        return key.split(".")[0] in head_modules(model)
    if config.model_type == model.config.model_type:
        return False  # what writes is the checkpoint's own
    body = f"decoder.{model.decoder.base_model_prefix}."
    return ".crossattention." in key or not key.startswith(("encoder.", body))


def quantization_config(bits: int, auto_model: Any, config: PretrainedConfig) -> Any:
    """How bitsandbytes holds the base: in 8 bits (LLM.int8, Dettmers et al. 2022), or in 4 as QLoRA (2023) does.

    QLoRA: 4-bit normal floats, computed in bfloat16. In 8 bits the head, which is trained whole, stays as it is.

    Raises:
        InputError: bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(
            f"{bits}-bit weights (--load_in_{bits}bit) need bitsandbytes: pip install 'llmtune[quantization]'"
        )
    from transformers import BitsAndBytesConfig

    if bits == 4:
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    with torch.device("meta"):
        head = head_modules(auto_model.from_config(config))
    return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=[*head, "pooler"])


def _with_adapter(
    arguments: ModelArguments,
    model: PreTrainedModel,
    family: ModuleType,
    task: TaskHead,
    new: list[str],
    tokenizer: PreTrainedTokenizerBase,
    added: list[int],
) -> Any:
    """The model under a LoRA adapter (Hu et al. 2021).

    A task's head, and a pooler that is new, are trained whole; of the embeddings those of `added` tokens.
    """
    import peft

    if model.config.model_type not in family.LORA_TARGETS:
        flag = "--use_peft" if arguments.use_peft else f"--load_in_{arguments.bits}bit"
        raise InputError(f"{flag}: {family.NO_LORA}")
    if arguments.bits:
        model = peft.prepare_model_for_kbit_training(model)
    heads = head_modules(model) if task.head_config() else []  # what writes is the checkpoint's own
    whole = heads + (["pooler"] if any(".pooler." in key for key in new) else [])
    targets = target_modules(arguments.lora_target_modules, family.LORA_TARGETS[model.config.model_type], whole)
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
                use_dora=arguments.use_dora,
                use_rslora=arguments.use_rslora,
                fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
                revision=arguments.revision,
            ),
        )
    except ValueError as error:
        names = sorted(
            {
                name.rpartition(".")[2]
                for name, child in model.named_modules()
                if isinstance(child, (torch.nn.Linear, Conv1D))
            }
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
