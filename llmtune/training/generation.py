"""The Trainer of models that write: evaluation makes the answers, and their exact loss beside them.

Each row once and in order, on any number of processes, longest source first; the stock Seq2SeqTrainer scores padded
duplicates on several processes and gives an `eval_loss` that depends on the batch size.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import torch
from transformers import EvalPrediction, GenerationConfig
from transformers.trainer_utils import EvalLoopOutput

from llmtune.metrics.core.base import IGNORED
from llmtune.models.checkpoints import is_adapter
from llmtune.tasks.losses import TokenCrossEntropy
from llmtune.tasks.text_generation.collator import prompts_of
from llmtune.tasks.text_generation.task import TextGeneration
from llmtune.training.batching import LongestFirstSampler
from llmtune.training.trainer import Trainer


class GenerationTrainer(Trainer):
    """Trainer, whose evaluation gives for each row the ids of the answer, and nats and count of the target's tokens.

    `predict` gives predictions (ids (n, t) padded with -100, nats (n,)) and as label_ids the counts (n,); of rows
    without targets the nats are 0.

    Args:
        task: of the model.
        tokenizer: of the model.
    """

    def __init__(self, *args: Any, task: TextGeneration, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.task = task
        # The model's own too: what is None in one that is given, `generate` takes from there.
        base = self.model.get_base_model() if is_adapter(self.model) else self.model
        base.generation_config = task.generation_config(base, self.processing_class)
        self.token_loss = TokenCrossEntropy(next_token=task.decoder)
        self.writes = True

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """The step; what a decoder side reads is counted too."""
        if "decoder_input_ids" in inputs:
            self.real_tokens += (inputs["labels"] != IGNORED).sum()
            self.padded_tokens += inputs["labels"].numel()
        return super().training_step(model, inputs, num_items_in_batch)

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> EvalLoopOutput:
        """As of Trainer; the sample of train is not answered, only its loss is told."""
        self.writes = metric_key_prefix != "train"
        return super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[None, tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        """(None, (ids, nats), counts) of a batch; nothing of the size of the vocabulary is kept."""
        inputs = self._prepare_inputs(inputs)
        labels = inputs.pop("labels", None)
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        nats = torch.zeros(len(ids), device=ids.device)
        counts = torch.zeros(len(ids), dtype=torch.long, device=ids.device)
        with torch.no_grad(), self.compute_loss_context_manager():
            if labels is not None:
                nats = self.token_loss.nats(model(**inputs), labels)
                counts = (labels != IGNORED).sum(dim=1)
            answers = self._write(ids, mask, labels) if self.writes else ids.new_full((len(ids), 1), IGNORED)
        return None, (answers, nats), counts

    def _write(self, ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """The ids that the model writes, (m, t): without the prompt, -100 after the end."""
        model, tokenizer = self.accelerator.unwrap_model(self.model), self.processing_class
        config: GenerationConfig = model.generation_config
        if self.task.decoder:
            ids, mask = prompts_of(ids, mask, labels, tokenizer.pad_token_id)
        written = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        written = written[:, ids.shape[1] :] if self.task.decoder else written[:, 1:]
        ends = torch.isin(written, torch.tensor(config.eos_token_id, device=written.device))
        after = ends.cumsum(dim=1) - ends.long() > 0
        return written.masked_fill(after, IGNORED)

    def answer(self, rows: datasets.Dataset) -> tuple[list[str], np.ndarray]:
        """The answer to each row, and whether it came to its end within max_new_tokens. Call it on every process."""
        metrics, self.compute_metrics = self.compute_metrics, None
        written = self.predict(rows).predictions[0]
        self.compute_metrics = metrics
        ends = self.accelerator.unwrap_model(self.model).generation_config.eos_token_id
        ended = np.asarray(np.isin(written, ends).any(axis=1))
        return self.task.decode(written.tolist(), self.processing_class), ended


class GenerationMetrics:
    """`compute_metrics` of a WritingTrainer: exact loss, and the scores of the answers.

    Args:
        task: of the model.
        tokenizer: that reads the ids.
        inputs: of the validation rows; their order is the Trainer's longest first.
        score: (answers in row order) → values by metric.
    """

    def __init__(self, task: TextGeneration, tokenizer: Any, inputs: datasets.Dataset, score: Any) -> None:
        self.task, self.tokenizer, self.score = task, tokenizer, score
        self.back = np.argsort(LongestFirstSampler(inputs).order)
        self.answers: Sequence[str] = ()

    def __call__(self, outputs: EvalPrediction) -> dict[str, float]:
        """`loss` in nats a token, and the scores."""
        ids, nats = outputs.predictions
        self.answers = self.task.decode(ids[self.back].tolist(), self.tokenizer)
        return {"loss": float(nats.astype(np.float64).sum() / outputs.label_ids.sum()), **self.score(self.answers)}
