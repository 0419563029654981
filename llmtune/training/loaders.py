"""Which rows a batch of training or evaluation has, and what it says of them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import datasets
import torch
import transformers
from torch.utils.data import DataLoader

from llmtune.data.lengths import input_lengths
from llmtune.models.padding_free import SlotsOfRealTokens
from llmtune.tasks.text_windows import WindowCollator
from llmtune.training.batching import (
    EffectiveBatchSampler,
    LongestFirstSampler,
    TokenBudgetSampler,
    with_padding_example,
)


class EffectiveBatchLoaders(transformers.Trainer):
    """transformers.Trainer with batches cut from a random effective batch, and evaluation longest row first."""

    is_padding_free = False
    generation: Any = None
    data_collator: Any  # transformers ships no types

    def get_train_dataloader(self) -> DataLoader:
        """The stock loader, over the rows and, where the sampler asks for it, the filler row."""
        with self._slots_on_the_way():
            if self.args.train_sampling_strategy != "batch_rebalance":
                return super().get_train_dataloader()
            return self._loader_of_effective_batches()

    def _loader_of_effective_batches(self) -> DataLoader:
        sampler = self._get_train_sampler(self.train_dataset)
        loader = self._get_dataloader(
            dataset=with_padding_example(self.train_dataset) if sampler.needs_padding_example else self.train_dataset,
            description="Training",
            batch_size=self._train_batch_size,
            sampler_fn=lambda _: sampler,
            is_training=True,
        )
        if loader.batch_sampler is not sampler:
            # On several processes accelerate wraps it, and once more to skip batches on resume. Its set_epoch reaches
            # through both by this name only; else the resumed epoch would take the rows in the first epoch's order.
            loader.batch_sampler.sampler = sampler
        return loader

    @contextlib.contextmanager
    def _slots_on_the_way(self) -> Iterator[None]:
        """Batches made inside say where their real tokens are, so that nobody must ask a GPU and wait for it."""
        collator = self.data_collator
        if self.is_padding_free and self.args.device.type == "cuda":
            self.data_collator = SlotsOfRealTokens(collator)
        try:
            yield
        finally:
            self.data_collator = collator

    def _get_train_sampler(self, train_dataset: datasets.Dataset | None = None) -> Any:
        if self.args.train_sampling_strategy != "batch_rebalance":
            return super()._get_train_sampler(train_dataset)
        return EffectiveBatchSampler(
            input_lengths(self.train_dataset),
            micro_batch=self._train_batch_size,
            accumulation=self.args.gradient_accumulation_steps,
            processes=self.args.world_size,
            rank=self.args.process_index,
            seed=self.args.seed if self.args.data_seed is None else self.args.data_seed,
        )

    def _get_eval_sampler(self, eval_dataset: datasets.Dataset) -> torch.utils.data.Sampler[Any]:
        # Answers need memory by the row, rows of windows are cut elsewhere, processes must take steps together.
        if self.generation is not None or isinstance(self.data_collator, WindowCollator) or self.args.world_size > 1:
            return LongestFirstSampler(eval_dataset)
        return TokenBudgetSampler(eval_dataset, self.args.eval_batch_size)
