"""A model that is ready to train, and what is known of it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from llmtune.text.shorten import join_names


@dataclass(frozen=True)
class ModelFacts:
    """What is told of a model at the terminal, and kept in run.json.

    Args:
        name: Hub id or folder; of a model from scratch its model_type, of a module of the user's its class.
        model_type: as its config says it; empty without a config.
        family: as `llmtune.models.families` names it; "own" of a module of the user's.
        from_scratch: whether no checkpoint holds its first weights.
        is_causal: whether a token sees only what stands left of it.
        new_weights: those that begin at random.
        pad_token: of the tokenizer.
        weights: their dtype, or 4-bit or 8-bit.
        parameters: how many.
        trainable_parameters: how many of them are trained.
        head: what became of the checkpoint's classification head, where it had one; None where the whole head is new.
        lora: rank, alpha and dropout of the adapter; None without one.
        adapter_method: LoRA, DoRA, rsLoRA or rsDoRA; None without one.
        frozen_layers: how many of the first layers keep the checkpoint's weights; None where all are trained.
        module: to import before transformers knows the model_type; None where it does by itself.
        remote_code: classes whose code came with the checkpoint and was run; None where none did.
    """

    name: str
    model_type: str
    family: str
    from_scratch: bool
    is_causal: bool
    new_weights: tuple[str, ...]
    pad_token: str | None
    weights: str
    parameters: int = 0
    trainable_parameters: int = 0
    head: str | None = None
    lora: dict[str, float] | None = None
    adapter_method: str | None = None
    frozen_layers: int | None = None
    module: str | None = None
    remote_code: str | None = None

    def counted(self, model: torch.nn.Module) -> "ModelFacts":
        """With the parameters of the model."""
        parameters = list(model.parameters())
        trained = sum(p.numel() for p in parameters if p.requires_grad)
        return replace(self, parameters=sum(p.numel() for p in parameters), trainable_parameters=trained)

    def lines(self) -> list[str]:
        """Which model, and how much of it is trained, for a person."""
        family = self.family + (", causal: reads only the left context" if self.is_causal else "")
        described = family if self.model_type in ("", self.family) else f"{self.model_type}, {family}"
        lines = [
            f"{self.name} ({described})",
            f"{self.parameters:,} parameters, {self.trainable_parameters:,} trained; new: "
            + (join_names(self.new_weights) or "none"),
        ]
        if self.remote_code:
            lines.append(f"ran code that came with the checkpoint (--trust_remote_code): {self.remote_code}")
        if self.head:
            lines.append(f"classification head: {self.head}")
        if self.lora:
            settings = ", ".join(f"{name} {value}" for name, value in self.lora.items())
            lines.append(f"{self.adapter_method} {settings}; new weights are trained whole, all others stay frozen")
        if self.frozen_layers is not None:
            lines.append(f"frozen: the embeddings and the first {self.frozen_layers} layers")
        return lines

    def to_json(self) -> dict[str, Any]:
        """For run.json."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class LoadedModel:
    """A tokenizer and a model that fit together, and what was done to make them so.

    Args:
        tokenizer: with a pad token, padding on the right; None of a model that reads numbers.
        model: the head is sized for the task; with LoRA a PeftModel.
        max_length: tokens that a text may have (of a series: steps): the least of what was asked and what the model
            reads.
        facts: said at the terminal and kept in run.json.
    """

    tokenizer: Any
    model: Any
    max_length: int
    facts: ModelFacts

    def with_module(self, make: Callable[[PreTrainedTokenizerBase], torch.nn.Module]) -> "LoadedModel":
        """Your own `torch.nn.Module` in the place of the model, made for its tokenizer.

        Its forward takes `input_ids` and `attention_mask`, (m, t) each, and returns {"logits": …} as the task's own
        models do. A run keeps its weights; `llmtune evaluate` and `predict`, which need a config, can't load them.
        """
        module = make(self.tokenizer)
        name = type(module).__name__
        own = ModelFacts(name, "", "own", True, False, ("every weight",), self.facts.pad_token, "float32")
        return replace(self, model=module, facts=own.counted(module))
