"""What a LoRA adapter trains: projections of the body, the whole head, and the embeddings of tokens that are new."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from llmtune.errors import InputError

ALL_LINEAR = "all-linear"


def target_modules(asked: Sequence[str], default: str, trained_whole: Sequence[str]) -> dict[str, Any]:
    """`target_modules` and `exclude_modules` of a peft config.

    Args:
        asked: --lora_target_modules; empty for the family's own.
        default: the family's own, a regular expression.
        trained_whole: modules that are trained without an adapter: the head, a new pooler.

    Raises:
        InputError: all-linear beside other names.
    """
    if ALL_LINEAR not in asked:
        return {"target_modules": list(asked) or default}
    if len(asked) > 1:
        others = ", ".join(name for name in asked if name != ALL_LINEAR)
        raise InputError(f"--lora_target_modules {ALL_LINEAR} already covers {others}; give {ALL_LINEAR} alone")
    # To peft it is a string of its own, and a list that holds it would name a module. Of heads peft leaves out those of
    # sequence classification only.
    whole = "|".join(re.escape(name) for name in trained_whole)
    return {"target_modules": ALL_LINEAR, "exclude_modules": rf"(.*\.)?({whole})(\..*)?" if whole else None}


def new_rows(model: PreTrainedModel, added: Sequence[int]) -> dict[str, list[int]] | None:
    """`trainable_token_indices` of a peft config: the rows of added tokens, in every table that is not tied to another.

    Args:
        model: its table is enlarged, without an adapter yet.
        added: ids of the tokens that the checkpoint's table lacked.
    """
    if not added:
        return None
    tables = [model.get_input_embeddings()]
    output = model.get_output_embeddings()
    if output is not None and output.weight is not tables[0].weight:
        tables.append(output)
    names = {module: name for name, module in model.named_modules()}
    return {names[table]: list(added) for table in tables}


def check_new_rows_are_trained(model: Any, added: Sequence[str], rows: int) -> None:
    """Raises `InputError` where a table of embeddings keeps the rows of added tokens as they were drawn.

    Args:
        model: under its adapter.
        added: the tokens.
        rows: of a table.
    """
    from peft.utils.other import TrainableTokensWrapper

    wrapped = {
        id(inner)
        for module in model.modules()
        if isinstance(module, TrainableTokensWrapper)
        for inner in module.modules()
    }
    for name, module in model.named_modules():
        is_table = isinstance(module, (torch.nn.Embedding, torch.nn.Linear)) and module.weight.shape[0] == rows
        if is_table and id(module) not in wrapped:
            table = name.removeprefix("base_model.model.")
            raise InputError(
                f"--use_peft: the tokenizer has {len(added)} tokens that the checkpoint has no embeddings for "
                f"({', '.join(added[:3])}), and in {table} of {model.config.model_type} an adapter would leave them as "
                "they were drawn; leave out --use_peft, or take the tokens out of the tokenizer"
            )
