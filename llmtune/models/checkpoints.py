"""What a run keeps of its model, how it is loaded again, and how a LoRA run becomes plain weights."""

import os
from pathlib import Path
from typing import Any

import torch
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from transformers import AutoConfig, GenerationConfig, PretrainedConfig, PreTrainedTokenizerBase
from transformers.utils import GENERATION_CONFIG_NAME, cached_file
from transformers.utils.peft_utils import find_adapter_config_file

from llmtune.arguments.regular_files import check_folder_of_files
from llmtune.errors import InputError
from llmtune.models.families import family_of
from llmtune.models.loading import quantization_config, without_loading_report
from llmtune.models.pretrained_tokenizer import check_pad_token, load_tokenizer
from llmtune.models.remote_code import not_loadable, refuse_kernel, say_code_run
from llmtune.models.series import UNFIT
from llmtune.runs.contracts import AdapterConfig
from llmtune.runs.folder import BASE_FOLDER, check_new_folder
from llmtune.text.contracts import read_contract
from llmtune.whole_files import whole_folder

EXPECTED = "not loadable as a run, a checkpoint folder or a Hub id"
# Steps of a dtype by which a logit may differ once weights are rounded to it, relative to the largest logit.
MOST_ROUNDINGS = 16
FLOAT32_TOLERANCE = 1e-3  # likewise of W + BA against Wx + BAx, relative to the largest logit


def save_weights(trainer: Any, *, keep_base: bool) -> None:
    """Writes weights (or the adapter), config and tokenizer of a trainer's model into its run folder.

    Through the Trainer, which gathers sharded weights; call it on every process.

    Args:
        trainer: its model's config carries label names and llmtune's settings.
        keep_base: also write the base of a LoRA model, which was built from scratch and lies nowhere else.
    """
    folder, model = Path(trainer.args.output_dir), trainer.accelerator.unwrap_model(trainer.model)
    if is_adapter(model) and keep_base:
        for config in model.peft_config.values():
            config.base_model_name_or_path = str(folder / BASE_FOLDER)
        if trainer.is_world_process_zero():
            # Before the adapter: peft looks there for the vocabulary's size.
            _save_base(model, folder / BASE_FOLDER)
    elif is_adapter(model):
        for config in model.peft_config.values():
            if Path(config.base_model_name_or_path or "").is_dir():  # to be found from any folder
                config.base_model_name_or_path = str(Path(config.base_model_name_or_path).absolute())

    def write(partial: str) -> None:
        trainer.save_model(partial)
        if not trainer.is_world_process_zero():
            return
        if is_adapter(model):
            model.get_base_model().config.save_pretrained(partial)
        if trainer.generation is not None:
            # Plain `generate` asks it; an adapter is saved without it.
            model.generation_config.save_pretrained(partial)

    trainer.save_model_files(write)


def is_adapter(model: Any) -> bool:
    """Whether the model is under a peft adapter."""
    import peft

    return isinstance(model, peft.PeftModel)


def _save_base(model: Any, folder: Path) -> None:
    """Writes the base of a LoRA model, whose layers peft has renamed, under the names it had."""
    base = model.get_base_model()
    state = {}
    for name, tensor in base.state_dict().items():
        if ".lora_" in name or ".modules_to_save." in name:
            continue
        state[name.replace(".base_layer.", ".").replace(".original_module.", ".")] = tensor
    with whole_folder(folder) as partial:
        base.save_pretrained(partial, state_dict=state)


def load_config(name: str | os.PathLike[str], *, trust_remote_code: bool = False) -> PretrainedConfig:
    """The config of a run, a checkpoint folder or a Hub id; code that comes with it runs only where it is trusted.

    Raises:
        InputError: no such model.
    """
    check_folder_of_files(str(name))
    try:
        config = AutoConfig.from_pretrained(str(name), trust_remote_code=trust_remote_code)
    except (OSError, *UNFIT) as error:  # of a config.json that was changed
        raise not_loadable(str(name), EXPECTED, error) from error
    refuse_kernel(str(name), config)
    return config


def load_run(
    folder: str | os.PathLike[str],
    auto_model: Any,
    *,
    quantized: bool = True,
    reads_text: bool = True,
    trust_remote_code: bool = False,
) -> tuple[Any, Any]:
    """Tokenizer and model of a run, a checkpoint folder or a Hub id, ready to predict.

    Args:
        folder: the model.
        auto_model: the transformers Auto class of the task.
        reads_text: False of a model that reads numbers: its tokenizer is None.
        quantized: load a quantized base in 4 or 8 bits, as it was trained and scored; False in full, for merging.
        trust_remote_code: run Python code that comes with the model or its tokenizer.

    Raises:
        InputError: no such model, its head was never trained, or its base is 4-bit and bitsandbytes is not installed.
    """
    name = str(folder)
    config = load_config(name, trust_remote_code=trust_remote_code)
    try:
        tokenizer = load_tokenizer(name, name, EXPECTED, trust_remote_code=trust_remote_code) if reads_text else None
        if tokenizer is not None:
            # A checkpoint made elsewhere may lack a pad token; in a run this changes nothing.
            family_of(config.model_type, name).prepare(tokenizer, config)
            check_pad_token(tokenizer, name)
        with without_loading_report():
            adapter = find_adapter_config_file(name)
            if adapter:
                cached_file(name, SAFETENSORS_WEIGHTS_NAME)  # else peft would take a pickle; it raises an OSError
                held = {"quantized": quantized, "trust_remote_code": trust_remote_code}
                adapted = _load_adapter(name, Path(adapter), config, tokenizer, auto_model, **held)
                say_code_run(name, config, tokenizer, adapted.get_base_model())
                return tokenizer, adapted
            model, report = auto_model.from_pretrained(
                name,
                config=config,
                use_safetensors=True,
                output_loading_info=True,
                trust_remote_code=trust_remote_code,
            )
    except InputError:
        raise
    except (OSError, RuntimeError, *UNFIT) as error:
        raise not_loadable(name, EXPECTED, error) from error
    if report["missing_keys"]:
        raise InputError(
            f"{name}: has no trained weights for {', '.join(sorted(report['missing_keys']))}; give a model that was "
            "fine-tuned for this task"
        )
    if tokenizer is not None and len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    say_code_run(name, config, tokenizer, model)
    return tokenizer, model.eval()


def _load_adapter(
    name: str,
    adapter: Path,
    config: PretrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    auto_model: Any,
    *,
    quantized: bool,
    trust_remote_code: bool,
) -> Any:
    """The base of a LoRA run with its adapter and head."""
    import peft

    kept = Path(name) / BASE_FOLDER
    said = read_contract(adapter, AdapterConfig, f"restore it, or give another model than {name}")
    # The config says how the base was held in training; left in it, transformers would take the file for 4-bit weights.
    quantization = config.to_dict().pop("quantization_config", None)
    if quantization:
        del config.quantization_config
    held = {}
    if quantization and quantized:
        bits = 8 if quantization.get("load_in_8bit") else 4
        held["quantization_config"] = quantization_config(bits, auto_model, config)
    base = auto_model.from_pretrained(
        str(kept) if kept.exists() else said["base_model_name_or_path"],
        revision=None if kept.exists() else said.get("revision"),
        config=config,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        trust_remote_code=trust_remote_code,
        **held,
    )
    if len(tokenizer) > base.get_input_embeddings().num_embeddings:
        base.resize_token_embeddings(len(tokenizer))
    if (Path(name) / GENERATION_CONFIG_NAME).exists():  # how a model that writes was asked, also once it is merged
        base.generation_config = GenerationConfig.from_pretrained(name)
    return peft.PeftModel.from_pretrained(base, name).eval()


def merge_run(
    run: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    auto_model: Any,
    *,
    trust_remote_code: bool = False,
) -> float:
    """Adds the adapter of a LoRA run to its base and writes plain weights that any `from_pretrained` loads.

    Added in float32, whatever the weights are stored in, and written in the dtype of the base.

    Returns:
        the largest difference of a logit between the adapter model, in float32, and the merged weights as read back, on
        random tokens.

    Raises:
        InputError: the run holds no adapter, the output exists, or the merged weights answer differently.
    """
    run, output = Path(run), Path(output_dir)
    if not (run / "adapter_config.json").exists():
        raise InputError(f"{run}: no adapter_config.json, so this is no LoRA run; its weights are already plain")
    check_new_folder(output)
    tokenizer, model = load_run(run, auto_model, quantized=False, trust_remote_code=trust_remote_code)
    dtype = model.dtype
    model = model.float()
    probe = torch.randint(0, len(tokenizer), (4, 16), generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": probe, "attention_mask": torch.ones_like(probe)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = probe
    with torch.no_grad():
        before = model(**inputs)[0]
    _untie_adapted_output(model)
    with whole_folder(output) as partial:
        model.merge_and_unload().to(dtype).save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        merged = auto_model.from_pretrained(partial, trust_remote_code=trust_remote_code).eval()
        with torch.no_grad():
            after = merged.float()(**inputs)[0]
        drift = float((before - after).abs().max())
        # Rounding of W + BA against Wx + BAx in float32, or of the weights to half precision; a lost head or layer
        # differs by orders more.
        relative = max(FLOAT32_TOLERANCE, MOST_ROUNDINGS * torch.finfo(dtype).eps)
        bound = relative * max(1.0, float(before.abs().max()))
        if not drift <= bound:
            raise InputError(
                f"{run}: the merged weights, in {str(dtype).removeprefix('torch.')}, answer differently: logits up to "
                f"{drift:.3g} apart, expected {bound:.3g} at most; nothing was written. Use the run as it is (llmtune "
                "evaluate, predict and push read adapters), or train without --use_peft"
            )
    return drift


def _untie_adapted_output(model: Any) -> None:
    """Gives an output layer that has an adapter, and shares its weights with the input embeddings, weights of its own.

    Merged into the shared weights, the adapter would change what the model reads too.
    """
    base = model.get_base_model()
    output = base.get_output_embeddings()
    if output is None or not hasattr(output, "base_layer"):
        return
    if output.base_layer.weight is base.get_input_embeddings().weight:
        output.base_layer.weight = torch.nn.Parameter(output.base_layer.weight.detach().clone())
        base.config.tie_word_embeddings = False
        base.tie_weights()
