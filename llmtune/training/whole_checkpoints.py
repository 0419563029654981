"""Checkpoints that are whole or not there, whose order is that of their steps: no kill, full disk or clock tells more.

The stock Trainer writes a checkpoint file by file where it shall lie, deletes others likewise, and takes the one whose
folder was changed last for the newest: after a clock that was set back it deletes what it has just written.
"""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from llmtune.arguments.last_checkpoint import checkpoint_steps, last_whole_checkpoint
from llmtune.errors import Writing
from llmtune.whole_files import PARTIAL, move_files, remove_folder


class WholeCheckpoints(transformers.Trainer):
    """transformers.Trainer that writes a checkpoint, and its model at the end, beside, then renames."""

    _writes_beside = False

    def _get_output_dir(self, trial: Any) -> str:
        """The run's folder; while a checkpoint is written a hidden one in it."""
        folder = super()._get_output_dir(trial)
        return str(Path(folder) / PARTIAL) if self._writes_beside else folder

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """The stock saving, without its pickle of the arguments: it holds --hub_token, and run.json says the rest."""
        super()._save(output_dir, state_dict)
        (Path(output_dir or str(self.args.output_dir)) / TRAINING_ARGS_NAME).unlink(missing_ok=True)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """The stock saving, then the checkpoint is renamed to its name, and earlier ones that nobody needs are deleted.

        Raises:
            DiskFault: it can't be written; the earlier ones are there.
        """
        run = Path(self._get_output_dir(trial))
        checkpoint = run / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"

        def write(partial: Path) -> None:
            self._writes_beside = True
            try:
                super(WholeCheckpoints, self)._save_checkpoint(model, trial)
            finally:
                self._writes_beside = False
            if self.args.should_save:
                # The stock saving looked for the best checkpoint where this one is written.
                best = run / f"{PREFIX_CHECKPOINT_DIR}-{self.state.best_global_step}"
                if best == checkpoint or best.is_dir():
                    self.state.best_model_checkpoint = str(best)
                self.state.save_to_json(str(partial / checkpoint.name / TRAINER_STATE_NAME))

        with Writing(checkpoint, needed=self._checkpoint_bytes(), partial=run / PARTIAL, remedy=resume_remedy(run)):
            self._write_beside(run, write, lambda partial: self._publish(partial / checkpoint.name, checkpoint))
        if self.args.should_save:
            self._rotate(run)

    def save_model_files(self, write: Callable[[str], None]) -> None:
        """Writes the files of the model that is left in the run's folder, each whole or not at all.

        Call it on every process.

        Args:
            write: is given the folder to write to.

        Raises:
            DiskFault: they can't be written.
        """
        run = Path(str(self.args.output_dir))
        with Writing(run, needed=self._weight_bytes(), partial=run / PARTIAL, remedy=resume_remedy(run)):
            self._write_beside(run, lambda partial: write(str(partial)), lambda partial: move_files(partial, run))

    def _write_beside(self, run: Path, write: Callable[[Path], None], publish: Callable[[Path], None]) -> None:
        """Writes to a hidden folder of the run, which is gone then; `publish` is called by who holds files."""
        partial = run / PARTIAL
        if self.args.should_save:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        self.accelerator.wait_for_everyone()
        write(partial)
        self.accelerator.wait_for_everyone()
        # The first process before those of hosts with a disk of their own: on a common one nothing is left to do.
        if self.args.process_index == 0:
            publish(partial)
        self.accelerator.wait_for_everyone()
        if self.args.process_index > 0 and self.args.local_process_index == 0 and partial.is_dir():
            with contextlib.suppress(OSError):  # a network's disk may still show what is gone
                publish(partial)
        self.accelerator.wait_for_everyone()
        shutil.rmtree(partial, ignore_errors=True)

    def _publish(self, partial: Path, checkpoint: Path) -> None:
        if self.args.process_index == 0:
            remove_folder(checkpoint)  # of an earlier attempt
            os.replace(partial, checkpoint)
        else:  # on this host's own disk
            checkpoint.mkdir(exist_ok=True)
            move_files(partial, checkpoint)

    def _rotate(self, run: Path) -> None:
        """Keeps the checkpoint that was just written, the best one, and the latest others up to --save_total_limit."""
        limit, now = self.args.save_total_limit, self.state.global_step
        if not limit or limit < 0:
            return
        steps = {checkpoint_steps(folder): folder for folder in run.glob(f"{PREFIX_CHECKPOINT_DIR}-*")}
        # Those of more steps were left by a training that went on from an earlier one too, and is given up.
        order = sorted((step for step in steps if step is not None), key=lambda step: (step <= now, step))
        protected = {now, self.state.best_global_step if self.state.best_model_checkpoint else now}
        excess = len(order) - max(limit, len(protected))
        for step in [step for step in order if step not in protected][: max(0, excess)]:
            remove_folder(steps[step])

    def _load_best_model(self) -> None:
        """The stock loading, by the first process alone: another host may see no checkpoint, and takes its weights.

        Other checkpoints, which the stock Trainer deletes next where one is to be kept, are deleted here.
        """
        if not self.has_whole_copies or self.args.process_index == 0:
            super()._load_best_model()
        best = Path(str(self.state.best_model_checkpoint))
        if self.args.should_save and self.args.save_total_limit == 1:
            for folder in Path(str(self.args.output_dir)).glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
                if checkpoint_steps(folder) is not None and folder.resolve() != best.resolve():
                    remove_folder(folder)

    def what_is_kept(self) -> str:
        """Of a training that was stopped, in a sentence, with how to go on."""
        folder = self.args.output_dir
        done = f"training stopped after {self.state.global_step} of {self.state.max_steps} optimizer steps"
        last, _ = last_whole_checkpoint(Path(str(folder)))
        if last is None:
            return f"{done}, before the first checkpoint; start again with --output_dir {folder} --overwrite"
        return (
            f"{done}; {folder} keeps its checkpoints; the same command with --output_dir {folder} "
            f"--resume_from_checkpoint {last} continues from there"
        )

    @property
    def has_whole_copies(self) -> bool:
        """Whether every process holds all of the model."""
        return self.args.world_size > 1 and not self.is_fsdp_enabled and not self.is_deepspeed_enabled

    def _weight_bytes(self) -> int:
        """Of what is saved: all weights, or those of an adapter."""
        weights = list(self.model.parameters())
        saved = (
            [weight for weight in weights if weight.requires_grad] if hasattr(self.model, "peft_config") else weights
        )
        return sum(weight.numel() * weight.element_size() for weight in saved)

    def _checkpoint_bytes(self) -> int:
        """Of weights and optimizer, on this process."""
        states = self.optimizer.state.values() if self.optimizer is not None else ()
        tensors = [cell for state in states for cell in state.values() if isinstance(cell, torch.Tensor)]
        return self._weight_bytes() + sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def resume_remedy(run: Path) -> str:
    """What to do once a run can't write: how it goes on from what it has."""
    last, _ = last_whole_checkpoint(run)
    again = f"make room there, then give the same command with --output_dir {run} --resume_from_checkpoint auto"
    if last is None:
        return f"{again}: it begins anew, there is no checkpoint yet; or name another --output_dir"
    return (
        f"{again}: it goes on from {last.name}; or on another disk with --output_dir FOLDER "
        f"--resume_from_checkpoint {last}"
    )
