"""The Auto class of models that write: sequence to sequence, decoder, or a pair of BERTs as encoder and decoder.

A pair (Rothe et al. 2020, "Leveraging Pre-trained Checkpoints for Sequence Generation Tasks") starts from one encoder's
weights on both sides; the attention of its decoder to its encoder is new. Once trained it is an `EncoderDecoderModel`,
which transformers loads by itself.
"""

import copy
from typing import Any

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    PretrainedConfig,
)

PAIRED_TYPES = ("bert", "roberta", "xlm-roberta")


class AutoModelForGeneration:
    """AutoModelForSeq2SeqLM, AutoModelForCausalLM or a pair of encoders, as the config says."""

    @staticmethod
    def from_config(config: PretrainedConfig, **settings: Any) -> Any:
        """A model with random weights."""
        if config.model_type not in PAIRED_TYPES:
            return _auto(config).from_config(config, **settings)
        decoder = _as_decoder(config)
        pair = EncoderDecoderModel(
            encoder=AutoModel.from_config(config, **settings),
            decoder=AutoModelForCausalLM.from_config(decoder, **settings),
        )
        _name_special_tokens(pair, config)
        return pair

    @staticmethod
    def from_pretrained(name: str, *, config: PretrainedConfig | None = None, **settings: Any) -> Any:
        """A model with the weights of a checkpoint; of an encoder, a pair that starts from it twice.

        With `output_loading_info` (model, info), where info has `missing_keys` and `mismatched_keys`.
        """
        if config is None:
            config = AutoConfig.from_pretrained(name, trust_remote_code=settings.get("trust_remote_code", False))
        if config.model_type not in PAIRED_TYPES:
            return _auto(config).from_pretrained(name, config=config, **settings)
        settings = {**settings, "output_loading_info": True}
        encoder, of_encoder = AutoModel.from_pretrained(name, config=config, **settings)
        decoder, of_decoder = AutoModelForCausalLM.from_pretrained(name, config=_as_decoder(config), **settings)
        pair = EncoderDecoderModel(encoder=encoder, decoder=decoder)
        _name_special_tokens(pair, config)
        info = {
            "missing_keys": {f"encoder.{key}" for key in of_encoder["missing_keys"]}
            | {f"decoder.{key}" for key in of_decoder["missing_keys"]},
            "mismatched_keys": [*of_encoder["mismatched_keys"], *of_decoder["mismatched_keys"]],
        }
        return pair, info


def _auto(config: PretrainedConfig) -> Any:
    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM


def _as_decoder(config: PretrainedConfig) -> PretrainedConfig:
    decoder = copy.deepcopy(config)
    decoder.is_decoder = True
    decoder.add_cross_attention = True
    return decoder


def _name_special_tokens(pair: EncoderDecoderModel, config: Any) -> None:
    """The pair starts an answer with the encoder's first token and ends it with its last: [CLS] and [SEP]."""
    if pair.encoder.pooler is not None:  # answers don't read it: on several processes it would be waited for
        pair.encoder.pooler.requires_grad_(False)
    joint: EncoderDecoderConfig = pair.config
    for holder in (joint, pair.generation_config):
        holder.pad_token_id = config.pad_token_id
        holder.decoder_start_token_id = config.cls_token_id
        holder.bos_token_id = config.cls_token_id
        holder.eos_token_id = config.sep_token_id
    joint.vocab_size = config.vocab_size
