"""What a run must share with the one that wrote a checkpoint, for training to go on as if it had never stopped.

The stock Trainer loads optimizer and schedule, and goes on with whatever it is given: another learning rate is ignored
(the schedule's is used, transformers#9099), more epochs let it jump, other rows or classes are learned from the middle.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import datasets
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from llmtune.data.fingerprint import fingerprint
from llmtune.errors import InputError
from llmtune.models.checkpoints import is_adapter
from llmtune.runs.contracts import TrainerStateFile
from llmtune.text.contracts import check_contract
from llmtune.text.shorten import join_names

# Fields of TrainingArguments on which the weights at the end depend, which of them are taken, and when training stops:
# the best value so far is a number of the metric and the rows before. Batches are compared by their product.
COMPARED = (
    *("learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "num_train_epochs", "max_steps"),
    *("optim", "optim_args", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm"),
    *("label_smoothing_factor", "neftune_noise_alpha", "precision", "seed", "data_seed", "train_sampling_strategy"),
    *("metric_for_best_model", "greater_is_better", "early_stopping_patience", "early_stopping_threshold"),
    *("eval_strategy", "eval_steps", "save_strategy", "save_steps"),
)
# What weights and optimizer of a checkpoint fit, and nothing else: --allow_resume_mismatch can't let these differ.
FITTING = ("trained parameters", "type of the weights", "LoRA", "DoRA, rsLoRA", "LoRA's layers", "--optim")
# What the best value so far is a number of: where one of these changes, it can't be compared any more.
JUDGING = (
    *("rows of validation", "sha256 of the tokens of validation", "class names"),
    *("--metric_for_best_model", "--greater_is_better"),
)
# What trainer_state.json of any Trainer tells, where a checkpoint holds no record of ours.
STOCK = ("num_train_epochs", "max_steps")
RECORD = "run"  # of what `describe_run` gives, in the part of a checkpoint's trainer_state.json that is llmtune's


def describe_run(trainer: Any) -> dict[str, Any]:
    """What is compared, as JSON values: {flag or thing: value}.

    Args:
        trainer: before training, or in it.
    """
    args, model = trainer.args, trainer.accelerator.unwrap_model(trainer.model)
    described: dict[str, Any] = {f"--{name}": plain_value(getattr(args, name)) for name in COMPARED}
    described["rows of an optimizer step"] = (
        args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    )
    described["processes"] = args.world_size
    for split, rows in (("train", trainer.train_dataset), ("validation", trainer.eval_dataset)):
        if isinstance(rows, datasets.Dataset):
            described[f"rows of {split}"] = len(rows)
            described[f"sha256 of the tokens of {split}"] = fingerprint(rows)
    # A module of the user's has no config.
    names = (model.config.id2label or {}) if hasattr(model, "config") else {}
    described["class names"] = ", ".join(str(names[place]) for place in sorted(names))
    if is_dataclass(trainer.compute_loss_func):  # a function's own repr is its address
        described["loss"] = repr(trainer.compute_loss_func)
    if is_adapter(model):
        config = next(iter(model.peft_config.values()))
        described["LoRA"] = f"r {config.r}, alpha {config.lora_alpha}, dropout {config.lora_dropout}"
        described["DoRA, rsLoRA"] = f"{config.use_dora}, {config.use_rslora}"
        targets = config.target_modules
        described["LoRA's layers"] = targets if isinstance(targets, str) else ", ".join(sorted(targets or ()))
        described["LoRA's base"] = config.base_model_name_or_path
    described["type of the weights"] = str(next(model.parameters()).dtype).removeprefix("torch.")
    described["trained parameters"] = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return described


def check_same_run(checkpoint: Path, trainer: Any) -> dict[str, str]:
    """What differs from the run that wrote a checkpoint, by name; only --allow_resume_mismatch lets something.

    Args:
        checkpoint: a folder.
        trainer: that would go on from it.

    Raises:
        InputError: the run trained otherwise, with each difference.
    """
    if not (checkpoint / "trainer_state.json").exists():
        return {}  # the stock Trainer says so
    state = _read_state(checkpoint / "trainer_state.json")
    before = state.stateful_callbacks.get("llmtune", {}).get(RECORD)
    now = describe_run(trainer)
    if before is None:
        steps = {f"--{name}": getattr(state, name) for name in STOCK}
        now = {name: value for name, value in now.items() if name in steps and value not in (-1, 0)}
        before = {name: steps[name] for name in now}
    differences = _differences(before, now)
    unfit = [name for name in differences if name in FITTING]
    if differences and (unfit or not trainer.args.allow_resume_mismatch):
        others = "" if unfit else "; go on all the same with --allow_resume_mismatch, which the report tells"
        if unfit and trainer.args.allow_resume_mismatch:
            others = f"; --allow_resume_mismatch does not help: weights and optimizer fit the same {join_names(unfit)}"
        raise InputError(
            f"--resume_from_checkpoint {checkpoint}: this run differs from the one that wrote it: "
            f"{'; '.join(differences.values())}. Give what that run was given{others}; or begin a new run with its "
            f"weights: --model_name_or_path {checkpoint}"
        )
    return differences


def _read_state(path: Path) -> TrainerState:
    """The state of a checkpoint, whose file is JSON: what the stock Trainer reads next, it can read.

    Raises:
        InputError: a field is not what it should be.
    """
    where, remedy = f"--resume_from_checkpoint {path}", "name another checkpoint, or restore the file"
    check_contract(json.loads(path.read_text(encoding="utf-8")), TrainerStateFile, where, remedy)
    try:
        return TrainerState.load_from_json(str(path))
    except TypeError as error:
        raise InputError(f"{where}: holds fields that this transformers does not know ({error}); {remedy}") from error


class Resumption:
    """How training goes on from a checkpoint.

    Args:
        trainer: that does.

    Attributes:
        mismatches: a sentence for each time that it went on with other data, another batch, seed …
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.mismatches: list[str] = []
        self._checkpoint: Path | None = None
        self._differences: dict[str, str] = {}

    def check(self, checkpoint: str | bool) -> None:
        """Refuses that of another run, but for what --allow_resume_mismatch lets differ, which is said.

        Args:
            checkpoint: a folder; True for the last one of the run's own folder.
        """
        last = get_last_checkpoint(self.trainer.args.output_dir) if checkpoint is True else str(checkpoint)
        if last is None:
            return  # the stock Trainer says so
        self._checkpoint = Path(last)
        self._differences = check_same_run(self._checkpoint, self.trainer)
        if self._differences and self.trainer.is_world_process_zero():
            print(f"--allow_resume_mismatch: {self._sentence()}", file=sys.stderr)

    def settle(self) -> bool:
        """Once the Trainer's state is read: whether the best checkpoint so far still counts.

        It lies beside the one that is resumed also where the run was moved. Judged by other rows or another metric it
        is forgotten: its value can't be compared.
        """
        state = self.trainer.state
        if self._checkpoint is not None:
            best = self._checkpoint.parent / f"{PREFIX_CHECKPOINT_DIR}-{state.best_global_step}"
            state.best_model_checkpoint = str(best) if best.is_dir() else state.best_model_checkpoint
        if self._differences:
            self.mismatches = [*self.mismatches, self._sentence()]
        if self._differences.keys().isdisjoint(JUDGING):
            return True
        state.best_metric = state.best_global_step = state.best_model_checkpoint = None
        self.trainer.curves.least = None
        return False

    def _sentence(self) -> str:
        differences = "; ".join(self._differences.values())
        return f"training went on from {self._checkpoint} otherwise than it began: {differences}"


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    every = dict.fromkeys([*before, *now])
    return {
        name: f"{name} {now.get(name)} (before: {before.get(name)})"
        for name in every
        if before.get(name) != now.get(name)
    }


def plain_value(value: Any) -> Any:
    """An argument as it is read back from JSON."""
    return json.loads(json.dumps(value.value if isinstance(value, Enum) else value, default=str))
