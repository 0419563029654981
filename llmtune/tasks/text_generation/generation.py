"""How a model writes in an evaluation: the exact loss of the targets, and the answers, of each row by itself.

The stock Seq2SeqTrainer gives an `eval_loss` that depends on the batch size. Letters: m rows, t tokens.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from llmtune.metrics.core.base import IGNORED
from llmtune.models.checkpoints import is_adapter
from llmtune.tasks.losses import TokenCrossEntropy
from llmtune.tasks.text_generation.collator import prompts_of


class Generation:
    """Composed into `FineTuningTrainer(generation=…)` by tasks whose models write.

    Args:
        generation_config: of a model and its tokenizer, how it searches.
        tokenizer: of the model.
        decoder: whether the model goes on from a prompt.
    """

    def __init__(self, generation_config: Any, tokenizer: PreTrainedTokenizerBase, *, decoder: bool) -> None:
        self.generation_config, self.tokenizer, self.decoder = generation_config, tokenizer, decoder
        self.token_loss = TokenCrossEntropy(next_token=decoder)
        # Set by a Trainer: around a forward pass whose logits are read in pieces.
        self.without_whole_logits: Callable[[], AbstractContextManager[None]] = nullcontext

    def prepare(self, model: Any) -> None:
        """Sets the model's own search: what is None in one that is given, `generate` takes from there."""
        base = model.get_base_model() if is_adapter(model) else model
        base.generation_config = self.generation_config(base, self.tokenizer)

    def likelihoods(
        self, model: Any, inputs: dict[str, Any], labels: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Summed nats (m,) and count (m,) of each row's target tokens; 0 of rows without targets."""
        ids = inputs["input_ids"]
        if labels is None:
            return torch.zeros(len(ids), device=ids.device), torch.zeros(len(ids), dtype=torch.long, device=ids.device)
        with self.without_whole_logits():
            outputs = model(**inputs)
        return self.token_loss.nats(outputs, labels), (labels != IGNORED).sum(dim=1)

    def outputs(
        self, model: Any, unwrapped: Any, inputs: dict[str, Any], labels: torch.Tensor | None, *, writes: bool
    ) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """What an evaluation keeps of a batch: (ids, ended, nats), and the tokens that the nats are of, (m,).

        Args:
            model: as it is trained.
            unwrapped: the same without what shares it between processes, for `generate`.
            inputs: of the batch, without labels.
            labels: (m, t).
            writes: whether the rows are answered; else only their nats are told.
        """
        ids = inputs["input_ids"]
        nats, counts = self.likelihoods(model, inputs, labels)
        if not writes:
            return (ids.new_full((len(ids), 1), IGNORED), ids.new_zeros(len(ids)), nats), counts
        answers, ended = self.write(unwrapped, inputs, labels)
        return (answers, ended, nats), counts

    def samples(self, model: Any) -> list[dict[str, str]]:
        """What the model writes after fixed prompts; nothing where the rows themselves are answered."""
        return []

    def write(
        self, model: Any, inputs: dict[str, Any], labels: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The ids that the model writes, (m, t), without prompt and -100 after the end; whether each ended, (m,)."""
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        if self.decoder:
            ids, mask = prompts_of(ids, mask, labels, self.tokenizer.pad_token_id)
        config = model.generation_config
        written = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        written = written[:, ids.shape[1] :] if self.decoder else written[:, 1:]
        ends = torch.isin(written, torch.tensor(config.eos_token_id, device=written.device))
        after = ends.cumsum(dim=1) - ends.long() > 0
        return written.masked_fill(after, IGNORED), ends.any(dim=1).long()
