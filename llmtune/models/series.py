"""A model that reads numbers, made ready to train: from scratch, or a run of the same task that goes on."""

from pickle import UnpicklingError
from typing import Any, Protocol

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig

from llmtune.arguments import ModelArguments
from llmtune.arguments.regular_files import check_folder_of_files
from llmtune.errors import InputError
from llmtune.models.config_overrides import read_overrides
from llmtune.models.families import family_of
from llmtune.models.loaded import LoadedModel, ModelFacts
from llmtune.models.remote_code import classes_run, not_loadable

# What transformers and torch raise for a config whose values don't fit (sizes, names of functions, kernels, types), and
# for broken weights.
UNFIT = (
    *(ValueError, TypeError, AttributeError, ImportError, KeyError, IndexError, ArithmeticError, RecursionError),
    *(StrictDataclassError, SafetensorError),
)


class SeriesHead(Protocol):
    """What loading needs of a task that reads numbers."""

    @property
    def auto_model(self) -> Any:
        """The transformers Auto class."""

    @property
    def families(self) -> tuple[str, ...]:
        """Of models that it serves."""

    @property
    def max_length(self) -> int:
        """Steps of a window."""

    def head_config(self) -> dict[str, Any]:
        """Config values that size the model."""


def load_series_model(arguments: ModelArguments, task: SeriesHead) -> LoadedModel:
    """Loads or builds the model of a run that needs no tokenizer.

    Raises:
        InputError: no such checkpoint, a type that is not served, sizes that don't fit, or an adapter for it.
    """
    where = arguments.model_name_or_path or "--model_type"
    sizes = task.head_config()
    check_folder_of_files(where)
    try:
        if arguments.model_type:
            family = family_of(arguments.model_type, where, task.families)
            overrides = read_overrides(arguments.config_overrides, AutoConfig.for_model(arguments.model_type))
            own = {**family.SMALL[arguments.model_type], **overrides}
            model = task.auto_model.from_config(AutoConfig.for_model(arguments.model_type, **{**own, **sizes}))
        else:
            hub = {"revision": arguments.revision, "trust_remote_code": arguments.trust_remote_code}
            config = AutoConfig.from_pretrained(where, **hub)
            family = family_of(config.model_type, where, task.families)
            kept = {name: getattr(config, name) for name in sizes}
            if kept != sizes:
                raise InputError(
                    f"--model_name_or_path {where}: was made for {_listed(kept)}, and this run asks for "
                    f"{_listed(sizes)}; give the flags of that run, or train from scratch with --model_type"
                )
            overrides = read_overrides(arguments.config_overrides, config)
            # None: what there is, pickles as tensors only
            weights = None if arguments.allow_pickle else True
            model = task.auto_model.from_pretrained(where, **hub, use_safetensors=weights, **overrides)
    except InputError:
        raise
    except (OSError, RuntimeError, UnpicklingError, *UNFIT) as error:
        expected = "no model that reads numbers, with safetensors weights (pickled ones: --allow_pickle)"
        raise not_loadable(f"{where}, --config_overrides", expected, error) from error
    if arguments.use_peft or arguments.load_in_4bit:
        raise InputError(f"{'--use_peft' if arguments.use_peft else '--load_in_4bit'}: {family.NO_LORA}")
    facts = ModelFacts(
        name=arguments.model_name_or_path or f"{arguments.model_type} from scratch",
        model_type=model.config.model_type,
        family=family.__name__.rpartition(".")[2],
        from_scratch=arguments.model_type is not None,
        is_causal=False,
        new_weights=("every weight",) if arguments.model_type else (),
        pad_token=None,
        weights=str(model.dtype).removeprefix("torch."),
        module=family.__name__,
        remote_code=classes_run(model.config, model),
    )
    return LoadedModel(None, model.to(torch.float32), task.max_length, facts.counted(model))


def _listed(sizes: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sizes.items())
