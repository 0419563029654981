"""A decoder classifier as a model for `pipeline("decision")` and `transformers serve`'s decision endpoint.

These score the options of a question by the next-token logits of their labels (transformers.decision). A decoder
classifier reads its classes at the last token too, so its head becomes rows of an output layer that is zero elsewhere:
the same numbers, divided by the temperature of `decision.json`. It writes no texts any more.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.decision import DecisionConfig

from llmtune.errors import InputError

CHOICE = "choice"  # the type of question whose options are the labels


def save_decision_model(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    temperature: float,
    ours: Mapping[str, Any],
) -> None:
    """Writes weights, tokenizer, `decision.json` and its template.

    Args:
        folder: to write to.
        model: a decoder with a classification head of c classes, without adapters.
        tokenizer: of it.
        temperature: that logits are divided by.
        ours: what transformers has no place for and ignores, as a threshold; under the key `llmtune`.

    Raises:
        InputError: a model that is no such decoder, or a tokenizer with fewer single-token labels than classes.
    """
    if not isinstance(getattr(model, "score", None), torch.nn.Linear):
        raise InputError(
            f"--decision: a {model.config.model_type} model has no head over a decoder's last token, expected a "
            "decoder such as Llama; leave the flag out, an encoder is served by pipeline('text-classification')"
        )
    ids = label_ids(tokenizer, model.score.out_features)
    config = copy.deepcopy(model.config)
    config.tie_word_embeddings = False
    if hasattr(config, "llmtune"):  # what our own commands would read as a classifier of theirs
        del config.llmtune
    causal = AutoModelForCausalLM.from_config(config, dtype=model.dtype)
    setattr(causal, causal.base_model_prefix, model.base_model)
    weight = torch.zeros_like(causal.lm_head.weight)
    weight[ids] = model.score.weight.detach().to(weight)
    causal.lm_head.weight = torch.nn.Parameter(weight)
    causal.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    DecisionConfig(
        labels={CHOICE: [tokenizer.decode([token]) for token in ids]},
        temperature={CHOICE: temperature},
        chat_template=decision_template(tokenizer),
    ).save_pretrained(folder)
    path = folder / "decision.json"
    content = {**json.loads(path.read_text(encoding="utf-8")), "llmtune": dict(ours)}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def label_ids(tokenizer: PreTrainedTokenizerBase, c: int) -> Sequence[int]:
    """The first c tokens that a tokenizer reads back alone from their texts, which is all that labels must be."""
    ids: list[int] = []
    for token in range(len(tokenizer)):
        text = tokenizer.decode([token])
        if text.strip() and token not in tokenizer.all_special_ids:
            ids += [token] if tokenizer(text, add_special_tokens=False)["input_ids"] == [token] else []
        if len(ids) == c:
            return ids
    raise InputError(f"--decision: {c} classes, and the tokenizer has {len(ids)} tokens to name them; leave it out")


def decision_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The text between the special tokens that the tokenizer sets around one, read at the last token."""
    ids = tokenizer("a")["input_ids"]
    special = [token in tokenizer.all_special_ids for token in ids]
    first = special.index(False)
    end = len(ids) - special[::-1].index(False)
    return f"{tokenizer.decode(ids[:first])}{{{{ state }}}}{tokenizer.decode(ids[end:])}<|mark|>"
