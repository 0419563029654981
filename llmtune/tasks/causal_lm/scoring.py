"""How a language model is scored in an evaluation: its own log-probabilities of each window, and what it writes.

Letters: m rows, t tokens.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase

from llmtune.metrics.core.base import IGNORED
from llmtune.metrics.perplexity import row_likelihoods
from llmtune.tasks.causal_lm.collator import without_mask
from llmtune.tasks.causal_lm.sequences import unscored_ids
from llmtune.tasks.linear_cross_entropy import tokens_at_once
from llmtune.tasks.text_generation.generation import Generation

WRITTEN_AT_ONCE = 16  # prompts
FEWEST_NEW_TOKENS = 8  # tokens of a continuation
SEED = 42  # of the draws
TOP_P = 0.9  # nucleus sampling (Holtzman et al. 2020): greedy continuations of a text repeat themselves


class LikelihoodScoring(Generation):
    """Composed into `FineTuningTrainer(generation=…)`: rows with labels are scored, prompts are answered.

    Args:
        tokenizer: of the model.
        max_new_tokens: of an answer.
        draws: whether it is drawn (a text goes on in many ways) or the most probable one (a question is answered).
        prompts: that are answered after each evaluation in training.
        prompt_ids: the same as the model reads them.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        max_new_tokens: int,
        *,
        draws: bool = False,
        prompts: Sequence[str] = (),
        prompt_ids: Sequence[Sequence[int]] = (),
    ) -> None:
        super().__init__(self._search, tokenizer, decoder=True)
        self.max_new_tokens, self.draws = max_new_tokens, draws
        self.prompts, self.prompt_ids = prompts, prompt_ids
        self.unscored = unscored_ids(tokenizer)

    def _search(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
        own = model.generation_config.eos_token_id
        fewest = min(FEWEST_NEW_TOKENS, self.max_new_tokens)
        ends = {*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id} - {None}
        return GenerationConfig(
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=sorted(ends) or None,
            pad_token_id=tokenizer.pad_token_id,
            max_new_tokens=self.max_new_tokens,
            do_sample=self.draws,
            # That a text ends right after its beginning is no fault of a model, and shows nothing.
            **({"top_p": TOP_P, "top_k": 0, "min_new_tokens": fewest} if self.draws else {}),
        )

    def outputs(
        self, model: Any, unwrapped: Any, inputs: dict[str, Any], labels: torch.Tensor | None, *, writes: bool
    ) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """(tokens ranked first, tokens, nats) of what is scored, (m,) each, and the tokens; without labels answers."""
        if labels is None:
            return super().outputs(model, unwrapped, inputs, labels, writes=writes)
        unscored = torch.tensor(self.unscored, device=labels.device)
        scored = labels.masked_fill(torch.isin(labels, unscored), IGNORED)
        inputs = without_mask(inputs) if "position_ids" in inputs else inputs
        with self.without_whole_logits():
            logits = model(**inputs)["logits"]
        at_once = tokens_at_once(logits.shape[-1], labels.device)
        rows = row_likelihoods(logits, scored, tokens_at_once=at_once)
        return (rows[:, 2], rows[:, 1], rows[:, 0]), rows[:, 1].long()

    def samples(self, model: Any) -> list[dict[str, str]]:
        """What the model writes after each of its prompts."""
        answers, _ = self.answers(model, self.prompt_ids)
        return [{"prompt": prompt, "answer": answer} for prompt, answer in zip(self.prompts, answers, strict=True)]

    def answers(self, model: Any, prompts: Sequence[Sequence[int]]) -> tuple[list[str], list[bool]]:
        """What the model writes after each prompt, and whether it came to an end; the same for the same weights."""
        device = next(model.parameters()).device
        texts: list[str] = []
        ended: list[bool] = []
        was_training = model.training
        model.eval()
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(SEED)
            for start in range(0, len(prompts), WRITTEN_AT_ONCE):
                some = prompts[start : start + WRITTEN_AT_ONCE]
                width = max(map(len, some))
                pad = self.tokenizer.pad_token_id
                ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in some], device=device)
                mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in some], device=device)
                written, ends = self.write(model, {"input_ids": ids, "attention_mask": mask}, None)
                rows = [[token for token in row if token >= 0] for row in written.tolist()]
                texts += self.tokenizer.batch_decode(rows, skip_special_tokens=True)
                ended += [bool(end) for end in ends.tolist()]
        model.train(was_training)
        return texts, ended
