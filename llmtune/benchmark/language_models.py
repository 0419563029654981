"""What is asked of a language model, local or served: how probable a continuation is, and what it writes.

Letters: m rows of a batch, t tokens.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from llmtune.errors import InputError
from llmtune.metrics.core.base import IGNORED
from llmtune.metrics.perplexity import row_likelihoods
from llmtune.models.checkpoints import load_run
from llmtune.models.pending_logits import can_leave_logits_pending, pending_logits
from llmtune.progress import progress
from llmtune.stats import softmax
from llmtune.tasks.causal_lm.scoring import LikelihoodScoring
from llmtune.tasks.causal_lm.sequences import first_ids
from llmtune.tasks.control_tokens import encode_text
from llmtune.tasks.linear_cross_entropy import tokens_at_once


@dataclass(frozen=True)
class Likelihood:
    """Of a continuation after its context.

    Args:
        nats: its negative log-probability.
        tokens: of the continuation, those that were scored.
    """

    nats: float
    tokens: int


Pair = tuple[str, str]  # context and continuation


class LanguageModel(Protocol):
    """A model that is prompted."""

    @property
    def name(self) -> str:
        """As the user wrote it."""

    def likelihoods(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """Of each pair's continuation; the context may be empty."""

    def write(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        """The most probable answer to each prompt, token by token."""

    def decide(
        self, texts: Sequence[str], prompts: Sequence[str], labels: Sequence[str], separator: str
    ) -> list[list[float]]:
        """Of each text the probability of each label; a server asks in its own words, a local model by the prompts."""


class LocalModel:
    """A causal model of a folder or of the Hub.

    Args:
        name: a run, a checkpoint folder, an adapter or a Hub id.
        batch_size: rows at once.
        is_chat: whether prompts become the user's turn in the tokenizer's chat template.
        trust_remote_code: run Python code that comes with it.

    Attributes:
        truncated: prompts that were longer than the model reads; their beginnings were left out.

    Raises:
        InputError: no such model, a tokenizer that does not tell where its tokens stand, or one without a chat
            template where one is asked for.
    """

    def __init__(self, name: str, *, batch_size: int, is_chat: bool = False, trust_remote_code: bool = False) -> None:
        self.name, self.batch_size, self.is_chat = name, batch_size, is_chat
        self.tokenizer, model = load_run(name, AutoModelForCausalLM, trust_remote_code=trust_remote_code)
        self.model = model.to("cuda") if torch.cuda.is_available() else model
        if not self.tokenizer.is_fast:
            raise InputError(
                f"{name}: its tokenizer does not tell where in the text each token stands; give a model whose folder "
                "holds a tokenizer.json"
            )
        if is_chat and not self.tokenizer.chat_template:
            raise InputError(
                f"--use_chat_template: the tokenizer of {name} has no chat template; leave the flag out, or take the "
                "instruction-tuned checkpoint"
            )
        self.leaves_logits_pending = can_leave_logits_pending(self.model)
        self.limit = int(model.config.max_position_embeddings)
        self.truncated = 0

    def facts(self) -> dict[str, Any]:
        """For benchmark.json."""
        parameters = sum(weights.numel() for weights in self.model.parameters())
        return {"model_type": self.model.config.model_type, "parameters": parameters, "dtype": str(self.model.dtype)}

    def likelihoods(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """Of each continuation, from the model's own log-probabilities, longest first.

        Equal pairs are computed once: in another batch their floats would differ, and no tie be seen.
        """
        encoded = {pair: self._fitted(*self.encode(*pair)) for pair in dict.fromkeys(pairs)}
        order = sorted(encoded, key=lambda pair: -len(encoded[pair][0]))
        known: dict[Pair, Likelihood] = {}
        starts = range(0, len(order), self.batch_size)
        for start in progress(starts, "log-likelihoods", unit="batches"):
            some = order[start : start + self.batch_size]
            known |= dict(zip(some, self._batch([encoded[pair] for pair in some]), strict=True))
        return [known[pair] for pair in pairs]

    def write(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        """Greedy answers, without white space around them."""
        scoring = LikelihoodScoring(self.tokenizer, max_new_tokens)
        scoring.prepare(self.model)
        room = max(1, self.limit - max_new_tokens)
        ids = [self.prompt_ids(prompt) for prompt in prompts]
        self.truncated += sum(len(row) > room for row in ids)
        answers, _ = scoring.answers(self.model, [row[-room:] for row in ids])
        return [text.strip() for text in answers]

    def decide(
        self, texts: Sequence[str], prompts: Sequence[str], labels: Sequence[str], separator: str
    ) -> list[list[float]]:
        """The softmax of the labels' likelihoods after each prompt."""
        pairs = [(prompt, separator + label) for prompt in prompts for label in labels]
        nats = np.array([each.nats for each in self.likelihoods(pairs)]).reshape(-1, len(labels))
        probabilities: list[list[float]] = softmax(-nats).tolist()
        return probabilities

    def prompt_ids(self, prompt: str) -> list[int]:
        """The tokens of a prompt as the model reads it, without an end token that the tokenizer would add."""
        return self.encode(prompt, "")[0]

    def encode(self, context: str, continuation: str) -> tuple[list[int], int]:
        """The tokens of both together, and the place of the first one that is counted.

        A token that begins in the context and ends in the continuation is of the continuation, and so are spaces at
        the end of the context, as in lm-eval. Where nothing stands before the first token, the begin token does.
        """
        if self.is_chat:
            turn = [{"role": "user", "content": context}]
            context = str(
                self.tokenizer.apply_chat_template(
                    turn, tokenize=False, add_generation_prompt=True, enable_thinking=False
                )
            )
            encoded = self.tokenizer(
                context + continuation, add_special_tokens=False, return_offsets_mapping=True, verbose=False
            )
        else:
            encoded = encode_text(self.tokenizer, context + continuation, return_offsets_mapping=True, verbose=False)
        ids, ends = list(encoded["input_ids"]), [end for _, end in encoded["offset_mapping"]]
        if ids and not ends[-1] and ids[-1] == self.tokenizer.eos_token_id:  # some tokenizers end every text
            ids, ends = ids[:-1], ends[:-1]
        boundary = len(context.rstrip()) if continuation else len(context)
        begin = next((place for place, end in enumerate(ends) if end > boundary), len(ids))
        if begin == 0:
            first = first_ids(self.tokenizer)
            ids, begin = [*first, *ids], 1
        return ids, begin

    def _fitted(self, ids: list[int], begin: int) -> tuple[list[int], int]:
        lost = max(0, len(ids) - self.limit)
        self.truncated += bool(lost)
        return ids[lost:], max(1, begin - lost)

    def _batch(self, rows: Sequence[tuple[list[int], int]]) -> list[Likelihood]:
        width = max(len(ids) for ids, _ in rows)
        device = self.model.device
        padded = [[*ids, *[self.tokenizer.pad_token_id] * (width - len(ids))] for ids, _ in rows]
        mask = [[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in rows]
        labels = [[IGNORED] * begin + ids[begin:] + [IGNORED] * (width - len(ids)) for ids, begin in rows]
        with torch.no_grad():
            inputs = {"input_ids": torch.tensor(padded), "attention_mask": torch.tensor(mask)}
            with pending_logits(self.model) if self.leaves_logits_pending else nullcontext():
                logits = self.model(**{name: tensor.to(device) for name, tensor in inputs.items()}).logits
            at_once = tokens_at_once(logits.shape[-1], device)
            sums = row_likelihoods(logits, torch.tensor(labels, device=device), tokens_at_once=at_once).tolist()
        return [Likelihood(nats, int(tokens)) for nats, tokens, _ in sums]
