"""The HF Trainer with what it lacks: batches by length, predictions in file order, evaluation in full precision."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader
from transformers import EvalPrediction, PreTrainedModel
from transformers.trainer_utils import EvalLoopOutput, PredictionOutput

from llmtune.metrics.core.base import IGNORED
from llmtune.models import cpu_dropout
from llmtune.models.cpu_embeddings import kept_gradients
from llmtune.models.padding_free import install
from llmtune.models.pending_logits import can_leave_logits_pending, pending_logits
from llmtune.models.row_attention import SHORT_ROW
from llmtune.tasks.causal_lm.collator import without_mask
from llmtune.tasks.losses import TokenCrossEntropy
from llmtune.tasks.task import ValidationMetrics
from llmtune.tasks.text_generation.generation import Generation
from llmtune.tasks.text_windows import COUNTS, PooledRows, WindowCollator, train_in_pieces
from llmtune.training.batching import LongestFirstSampler, reordered
from llmtune.training.callbacks import EvaluationLogger
from llmtune.training.clipping import ClippingWhereNeeded
from llmtune.training.cuda_graphs import replayed_updates
from llmtune.training.curves import LearningCurves, train_subset
from llmtune.training.hung_process import HungProcessWatch
from llmtune.training.interruption import StopAfterSaving, lost_processes_told
from llmtune.training.loaders import EffectiveBatchLoaders
from llmtune.training.resume import RECORD, Resumption, describe_run
from llmtune.training.tensorboard import show_evaluation, show_samples
from llmtune.training.whole_batches import in_fewest_parts, out_of_memory, with_smaller_batches
from llmtune.training.whole_checkpoints import WholeCheckpoints
from llmtune.training.without_autocast import without_autocast

SO_FAR = "llmtune"  # where a checkpoint's trainer_state.json keeps what the run took


class FineTuningTrainer(WholeCheckpoints, EffectiveBatchLoaders, ClippingWhereNeeded):
    """transformers.Trainer, changed where its own hooks allow.

    Training batches are cut by length inside a random effective batch (`--train_sampling_strategy batch_rebalance`) and
    hold every row once, on any number of processes. Evaluation runs longest row first; `compute_metrics` and `predict`
    get the rows in the order of the data set. Half precision is for training only. Each evaluation in training also
    scores a fixed sample of train, for the curves that show overfitting. With a `generation` an evaluation writes.
    Models that can (`models/padding_free.py`) compute real tokens alone. Of windows the pooled logits go into loss.

    Args:
        generation: of a task whose models write: how. Outputs are then the ids of the answers (n, t), -100 where a row
            is shorter, whether each ended (n,), the nats of its targets (n,); the labels are their tokens (n,).
        evaluation_lines: what is printed and kept of each evaluation; default as `compute_metrics` tells.

    Attributes:
        resumption: what is known of the checkpoint that training went on from.
    """

    compute_metrics: Any  # transformers ships no types

    def __init__(
        self,
        *args: Any,
        generation: Generation | None = None,
        evaluation_lines: EvaluationLogger | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.described_run: dict[str, Any] | None = None
        self.generation = generation
        self.writes = generation is not None
        if generation is not None:
            generation.prepare(self.model)
            generation.without_whole_logits = self._without_whole_logits
        self.label_names = ["labels"]  # for question answering transformers would look for start_positions
        self.is_padding_free = self.args.why_padded is None and install(self.model) is None
        # Divided between devices, copied to them or compiled, a weight is whole and in place in its own module alone.
        bound = self.is_fsdp_enabled or self.is_deepspeed_enabled or self.args.n_gpu > 1 or self.args.torch_compile
        # DDP that looks for unused parameters walks the forward pass's tensors, and takes the projection for one.
        bound = bound or (self.args.world_size > 1 and self.args.ddp_find_unused_parameters is not False)
        reads_words = isinstance(self.compute_loss_func, TokenCrossEntropy) or generation is not None
        self.leaves_logits_pending = reads_words and not bound and can_leave_logits_pending(self.model)
        self.real_tokens = torch.zeros((), dtype=torch.long, device=self.args.device)
        self.padded_tokens = torch.zeros_like(self.real_tokens)
        self.has_short_rows = False
        self._weights_of_products: int | None = None
        self.evaluation_seconds = 0.0
        self.earlier = {"real_tokens": 0, "padded_tokens": 0, "train_seconds": 0.0}
        self._seconds_here = 0.0  # not the log's, which are those of a clock that may be set
        self.resumption = Resumption(self)
        self._started = time.perf_counter()
        for stock in (transformers.ProgressCallback, transformers.PrinterCallback):
            self.remove_callback(stock)
        if evaluation_lines is None and isinstance(self.compute_metrics, ValidationMetrics):
            evaluation_lines = EvaluationLogger.of_metrics(self.compute_metrics)
        self.evaluation_lines = evaluation_lines or EvaluationLogger()
        # Of this process, for all: the sampler gives each the same share, and a line of the log waits for none.
        self.evaluation_lines.tokens_here = lambda: int(self.real_tokens) * self.args.world_size
        self.curves = LearningCurves(getattr(self.compute_loss_func, "row_losses", None))
        self._last_output: EvalLoopOutput | None = None
        self.stop_after_saving = StopAfterSaving(self)
        self.watch = HungProcessWatch(self.args.process_index, self.args.world_size, self.args.ddp_timeout)
        for callback in (self.stop_after_saving, self.watch, self.evaluation_lines):
            self.add_callback(callback)
        if self.args.early_stopping_patience:
            patience, threshold = self.args.early_stopping_patience, self.args.early_stopping_threshold
            self.add_callback(transformers.EarlyStoppingCallback(patience, threshold))

    def init_hf_repo(self, token: str | None = None) -> None:
        """Nothing: --push_to_hub publishes a run once, after its report; the stock one sends the stock card."""

    def push_to_hub(self, *args: Any, **kwargs: Any) -> None:
        """Nothing, likewise, when the weights are saved."""

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Nothing, likewise, at a checkpoint."""

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """The stock step; counts real and padded tokens on the way."""
        labels = inputs["labels"]
        # Every step of a window of a series is real.
        mask = (
            inputs["attention_mask"]
            if "attention_mask" in inputs
            else torch.ones_like(inputs["past_values"])[..., 0].long()
        )
        self.has_short_rows = mask.shape[1] <= SHORT_ROW
        is_padding_example = (labels == IGNORED).reshape(len(labels), -1).all(dim=1)
        if COUNTS in inputs:
            is_padding_example = is_padding_example.repeat_interleave(inputs[COUNTS])
        tokens = mask.sum(dim=1)
        self.real_tokens += (tokens * ~is_padding_example).sum()
        self.padded_tokens += tokens.sum() if self.is_padding_free else mask.numel()
        if "decoder_input_ids" in inputs:  # what a decoder side reads is counted too
            self.real_tokens += (labels != IGNORED).sum()
            self.padded_tokens += labels.numel()
        if "position_ids" in inputs:  # packed rows
            inputs = without_mask(inputs)
        # Around the whole step: what --activation_checkpointing computes again in the backward pass must take the same
        # kernels as the forward pass did. (Autocast is carried over by torch itself.)
        with self._attention_kernels():
            return super().training_step(model, inputs, num_items_in_batch)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """As transformers' own estimate, 6 a weight and token, its weights counted once: each time takes 5 ms."""
        if self._weights_of_products is None:
            plain = getattr(self.model, "num_parameters", None)
            self._weights_of_products = 0 if plain is None else plain(exclude_embeddings=True)
        ids = inputs.get("input_ids")
        return 0 if ids is None else 6 * ids.numel() * self._weights_of_products

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The stock loss; of rows of windows that of their pooled logits, of language models without whole logits."""
        with self._without_whole_logits():
            return super().compute_loss(self._of_rows(model), inputs, *args, **kwargs)

    def _without_whole_logits(self) -> contextlib.AbstractContextManager[None]:
        return pending_logits(self.model) if self.leaves_logits_pending else contextlib.nullcontext()

    def _of_rows(self, model: Any) -> Any:
        """The model, or where rows are windows what asks it and pools; evaluation takes few of them at once."""
        if not isinstance(self.data_collator, WindowCollator):
            return model
        at_once = None if self.model.training else self.args.eval_batch_size
        return PooledRows(model, self.data_collator.windows, at_once)

    def _attention_kernels(self) -> contextlib.AbstractContextManager[Any]:
        """Plain products for short rows in bfloat16 on a CPU, else torch's own choice."""
        if self.args.cpu_autocast and self.has_short_rows:
            return sdpa_kernel(SDPBackend.MATH)
        return contextlib.nullcontext()

    def tokens_trained(self) -> dict[str, int]:
        """Real and padded tokens that training has computed, over all processes. Call it on every process.

        Those before the checkpoint that training was resumed from are counted too.
        """
        counts = {"real_tokens": self.real_tokens, "padded_tokens": self.padded_tokens}
        return {name: int(self.earlier[name]) + int(self.accelerator.reduce(count)) for name, count in counts.items()}

    @property
    def arithmetic(self) -> str:
        """What training and evaluation compute in, in words; the precision that was asked for is half of it."""
        quantized = next((bits for bits in (4, 8) if getattr(self.model, f"is_loaded_in_{bits}bit", False)), None)
        weights = f"{quantized}-bit" if quantized else str(next(self.model.parameters()).dtype).removeprefix("torch.")
        return str(self.args.describe_precision(weights))

    @property
    def train_seconds(self) -> float:
        """What training took, with its evaluations and checkpoints, and with the parts before it was resumed."""
        return self.earlier["train_seconds"] + self._seconds_here

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """The stock training; its start is kept for the seconds that a checkpoint tells.

        Raises:
            InputError: a checkpoint to resume from is of a run that trained otherwise.
            LostProcess: another process of this run has ended.
            KeyboardInterrupt: Ctrl-C or SIGTERM, after a checkpoint; it says what is kept and how to go on.
        """
        if resume_from_checkpoint:
            self.resumption.check(resume_from_checkpoint)
        cpu_dropout.install(self)
        train_in_pieces(self.model, self.data_collator)
        self._started = time.perf_counter()
        try:
            with (
                self.watch.watching(),
                lost_processes_told(self.what_is_kept),
                self.stop_after_saving.listening(),
                in_fewest_parts(self),
                replayed_updates(self),
                kept_gradients(self),
            ):
                output = super().train(resume_from_checkpoint, **kwargs)
            self._seconds_here += time.perf_counter() - self._started
        except torch.OutOfMemoryError as error:
            raise out_of_memory(self, error) from error
        except KeyboardInterrupt as interrupt:
            raise type(interrupt)(self.what_is_kept()) from None
        if self.has_whole_copies and self.args.load_best_model_at_end:
            for tensor in self.accelerator.unwrap_model(self.model).state_dict().values():
                torch.distributed.broadcast(tensor, src=0)
        return output

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """The stock epoch; none where training had ended at the checkpoint that was resumed: it would take a step."""
        patience = self.args.early_stopping_patience
        stoppers = (
            each for each in self.callback_handler.callbacks if isinstance(each, transformers.EarlyStoppingCallback)
        )
        is_stopped = patience and any(stopper.early_stopping_patience_counter >= patience for stopper in stoppers)
        if is_stopped or self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """The stock saving; what the run took so far is kept with the Trainer's state, for a run that resumes there."""
        least = self.curves.least
        self.described_run = self.described_run or describe_run(self)
        self.state.stateful_callbacks[SO_FAR] = {
            RECORD: self.described_run,
            **self.tokens_trained(),
            "train_seconds": self.earlier["train_seconds"] + time.perf_counter() - self._started,
            "evaluation_seconds": self.evaluation_seconds,
            "evaluations": self.evaluation_lines.history,
            "least_validation_losses": None if least is None else least.tolist(),
            "mismatches": self.resumption.mismatches,
        }
        super()._save_checkpoint(*args, **kwargs)

    def evaluation_loop(
        self, dataloader: DataLoader, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any
    ) -> EvalLoopOutput:
        """The stock loop; `compute_metrics` gets the rows in the order of the data set.

        It adds its seconds to `evaluation_seconds`, and keeps an output in training for `evaluate`. The sample of train
        is not answered by a model that writes: only its loss is told.
        """
        start = time.perf_counter()
        self.writes = self.generation is not None and metric_key_prefix != "train"
        metrics = self.compute_metrics
        if metrics is not None and not self.args.batch_eval_metrics:
            self.compute_metrics = self._in_row_order(metrics, dataloader.dataset)
        output = None
        while output is None:
            try:
                output = super().evaluation_loop(dataloader, *args, metric_key_prefix=metric_key_prefix, **kwargs)
            except torch.OutOfMemoryError as error:
                dataloader = with_smaller_batches(self, dataloader, error)
        self.compute_metrics = metrics
        if self.generation is not None and self.writes and self.is_in_train and isinstance(metrics, ValidationMetrics):
            metrics.written = self.generation.samples(self.accelerator.unwrap_model(self.model))
        self.evaluation_seconds += time.perf_counter() - start
        self._last_output = output if self.is_in_train else None
        return output

    def _in_row_order(self, metrics: Any, dataset: datasets.Dataset) -> Callable[[EvalPrediction], dict[str, float]]:
        """The metrics of outputs that come longest row first; of a model that writes the exact loss beside them."""
        back = np.argsort(LongestFirstSampler(dataset).order)

        def computed(outputs: EvalPrediction) -> dict[str, float]:
            loss = {}
            if self.generation is not None:
                nats = outputs.predictions[-1].astype(np.float64).sum()
                loss = {"loss": float(nats / outputs.label_ids.sum())}
            ordered = (reordered(part, back) for part in (outputs.predictions, outputs.label_ids))
            return {**loss, **metrics(EvalPrediction(*ordered))}

        return computed

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Any, Any, Any]:
        """The stock step; of a model with a `generation` (None, what it keeps with the nats last, counts) of a batch.

        Nothing of the size of the vocabulary is kept.
        """
        unwrapped = self.accelerator.unwrap_model(self.model)
        exact = contextlib.nullcontext() if self.args.autocasts_evaluation else without_autocast(unwrapped)
        if self.generation is None:
            with exact:
                rows = self._of_rows(model)
                step: tuple[Any, Any, Any] = super().prediction_step(rows, inputs, prediction_loss_only, ignore_keys)
                return step
        inputs = self._prepare_inputs(inputs)
        labels = inputs.pop("labels", None)
        with torch.no_grad(), exact, self.compute_loss_context_manager():
            outputs, counts = self.generation.outputs(model, unwrapped, inputs, labels, writes=self.writes)
        return None, outputs, counts

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The stock evaluation; in training the sample of train is scored after it, and the history keeps both."""
        metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        best = f"eval_{str(self.args.metric_for_best_model).removeprefix('eval_')}"
        if self.is_in_train:
            # Undefined for these predictions (precision, where nothing is predicted): no better than any checkpoint.
            metrics.setdefault(best, float("nan"))
        validation = self._last_output
        if not self.is_in_train or validation is None or self.train_dataset is None:
            return metrics
        sample = train_subset(self.train_dataset, len(self.eval_dataset))
        # Metrics are made for validation: some know its rows.
        metrics_of_validation = self.compute_metrics
        self.compute_metrics = None
        train = self.evaluation_loop(self.get_eval_dataloader(sample), "Train sample", metric_key_prefix="train")
        self.compute_metrics = metrics_of_validation
        entry = self.curves.entry(train, validation)
        if "hits" not in entry["validation"] and self.args.greater_is_better and best in metrics:
            entry["validation"]["score"] = metrics[best]
        self._last_output = None
        if self.evaluation_lines.history:
            matrix = self.evaluation_lines.history[-1].get("confusion_matrix")
            # Without a confusion matrix: the labels of rows that have several.
            sets = self.compute_metrics.label_set_names() if isinstance(self.compute_metrics, ValidationMetrics) else ()
            show_evaluation(
                self.callback_handler.callbacks,
                matrix,
                validation,
                sets or self.evaluation_lines.matrix_names,
                self.state.global_step,
                positive_id=self.evaluation_lines.positive_id(),
                several=bool(sets),
            )
            samples = self.evaluation_lines.history[-1].get("samples", [])
            show_samples(self.callback_handler.callbacks, samples, self.state.global_step)
            step = {"step": self.state.global_step, "epoch": self.state.epoch}
            self.evaluation_lines.history[-1]["curves"] = {**step, **entry}
        return metrics

    def _load_callback_state(self) -> None:
        """The stock restoring, which is off by default; early stopping and what the run took go on where they were."""
        so_far = self.state.stateful_callbacks.pop(SO_FAR, None)
        super()._load_callback_state()
        if so_far:
            self.earlier = {name: so_far[name] for name in self.earlier}
            self.evaluation_seconds = so_far["evaluation_seconds"]
            if self.is_world_process_zero():
                self.evaluation_lines.history[:] = so_far["evaluations"]
            if so_far["least_validation_losses"] is not None:
                self.curves.least = np.array(so_far["least_validation_losses"])
            self.resumption.mismatches = so_far["mismatches"]
        if not self.resumption.settle():
            return
        saved = self.state.stateful_callbacks.get("EarlyStoppingCallback")
        for callback in self.callback_handler.callbacks:
            if saved and isinstance(callback, transformers.EarlyStoppingCallback):
                callback.early_stopping_patience_counter = saved["attributes"]["early_stopping_patience_counter"]

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """The stock warnings, but not of weights that a checkpoint holds under another name or that are computed."""
        state = self.model.state_dict()
        held = {tensor.data_ptr() for name, tensor in state.items() if name not in load_result.missing_keys}
        computed = (self.model._keys_to_ignore_on_save or ()) if isinstance(self.model, PreTrainedModel) else ()
        missing = [
            name for name in load_result.missing_keys if name not in computed and state[name].data_ptr() not in held
        ]
        super()._issue_warnings_after_load(load_result._replace(missing_keys=missing))

    def predict(
        self, test_dataset: datasets.Dataset, ignore_keys: list[str] | None = None, metric_key_prefix: str = "test"
    ) -> PredictionOutput:
        """As transformers.Trainer.predict, each row once and in the order of the data set."""
        with self.watch.watching(), lost_processes_told(self.what_is_kept):
            output = super().predict(test_dataset, ignore_keys, metric_key_prefix)
        back = np.argsort(LongestFirstSampler(test_dataset).order)
        ordered = (reordered(part, back) for part in (output.predictions, output.label_ids))
        return PredictionOutput(*ordered, output.metrics)

    def autocast_smart_context_manager(
        self, cache_enabled: bool | None = True
    ) -> contextlib.AbstractContextManager[Any]:
        """Around a forward pass: bfloat16 in training on a CPU that does it well, float32 in evaluation there."""
        if self.args.cpu_autocast and self.model.training:
            return torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=bool(cache_enabled))
        return contextlib.nullcontext()
