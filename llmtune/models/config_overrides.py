"""`--config_overrides key=value,…`: settings of a model's config, each a value of the type that the config holds."""

import difflib
import math
import re
from argparse import ArgumentTypeError
from typing import Any

import yaml
from transformers import PretrainedConfig
from transformers.hf_argparser import string_to_bool

from llmtune.arguments.yaml_values import typed_value
from llmtune.errors import InputError

DROPOUT = re.compile("dropout|drop$")  # also classifier_dropout, hidden_dropout_prob, resid_pdrop
# What --config_overrides can't set, and what does.
SETTLED = {
    "vocab_size": "the tokenizer (from scratch: --tokenizer_vocab_size)",
    **dict.fromkeys((f"{name}_token_id" for name in ("pad", "bos", "eos", "cls", "sep")), "the tokenizer"),
    **dict.fromkeys(("num_labels", "id2label", "label2id", "problem_type"), "the labels of train"),
    "model_type": "the checkpoint (from scratch: --model_type)",
    "dtype": "--dtype",
}


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
        overrides[key] = _read_as(known[key], key, value)
        _check_share(key, overrides[key])
    return overrides


def _check_share(key: str, value: Any) -> None:
    """Refuses a dropout, under any of the names that transformers has for it, that is no share below 1."""
    is_share = DROPOUT.search(key) is not None and isinstance(value, int | float) and not isinstance(value, bool)
    if is_share and not 0 <= value < 1:
        raise InputError(
            f"--config_overrides: {key}={value}: expected 0 or more and below 1, the share that is set to 0"
        )


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
