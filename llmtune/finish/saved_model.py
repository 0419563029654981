"""A saved model is loaded in a fresh process, while the run goes on to its scores, and predicts rows of test again."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from transformers import PreTrainedModel

import llmtune
from llmtune.arguments.parser import Arguments
from llmtune.arguments.training import COMPUTED_IN
from llmtune.diagnosis.saved_model import Rescored
from llmtune.finish import fresh_process
from llmtune.finish.fresh_process import ANSWER, ROWS, TABLE, UNWRITTEN, Request, task_settings
from llmtune.models.checkpoints import FLOAT32_TOLERANCE, MOST_ROUNDINGS, is_adapter
from llmtune.predictions import Predictions, read_predictions
from llmtune.progress import waiting
from llmtune.runs.folder import RunFolder
from llmtune.tasks.task import Encoded, Task
from llmtune.training.hardware import free_memory

MOST_ROWS = 256
MOST_WRITTEN = 32  # rows that a model answers in its own words, a token at a time
MOST_ON_CPU = 16  # rows of a model of a billion parameters and more
MANY_PARAMETERS = 1_000_000_000
# In float32, of other batches and another padding; two devices are FLOAT32_TOLERANCE apart.
SAME_DEVICE_TOLERANCE = 1e-4
SECONDS = 1_800  # after which the run ends without the check
TOO_SLOW = f"it took more than {SECONDS:,} s"
ENDED_BY_SIGNAL = "its process was ended by signal"
OFF = "--check_saved_model False"
OWN_MODULE = "a module of your own has no config that from_pretrained could read"
NO_MEMORY = "there is no memory for a second copy of its weights; llmtune evaluate loads them alone"
OF_A_PROCESS = 2**31  # bytes that libraries and batches take
NO_ROOM = "the GPU has no room for a second copy of its quantized weights; llmtune evaluate loads them alone"
# What the launcher of several processes tells each of them: the fresh one is alone.
OF_LAUNCHERS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")
PREFIXES_OF_LAUNCHERS = ("TORCHELASTIC_", "ACCELERATE_", "FSDP_", "PARALLELISM_CONFIG_")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class FreshProcess:
    """A Python of its own that loads models from their folders; it imports its libraries while this one goes on.

    Args:
        device: the number of the GPU that it computes on; None for the CPU.
    """

    def __init__(self, device: int | None = None) -> None:
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - until `finish`
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", fresh_process.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            text=True,
            env=_environment(device),
        )

    def ask(self, folder: Path) -> None:
        """Hands it the request in `folder`."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{folder}\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # it has ended; `finish` tells why
            pass

    def finish(self) -> str:
        """Waits until everything is answered; why it is not, empty where it is."""
        try:
            self.process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return TOO_SLOW
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        self.errors.close()
        if self.process.returncode < 0:
            return f"{ENDED_BY_SIGNAL} {-self.process.returncode}, as where memory runs out"
        return "" if self.process.returncode == 0 else (lines or [f"exit code {self.process.returncode}"])[-1]


@dataclass(frozen=True)
class Rescoring:
    """A request that a fresh process works on.

    Args:
        folder: of the request and of what comes back.
        expected: the rows as the run predicted them.
        relative: by which they may differ.
        rows_of_test: how many the run predicted.
    """

    folder: Path
    expected: Predictions
    relative: float
    rows_of_test: int

    def result(self, ended: str) -> Rescored:
        """What came back, once the process has finished and said why not; the folder is deleted."""
        rescored = Rescored(self.expected, None, self.relative, self.rows_of_test)
        answer, table = self.folder / ANSWER, self.folder / TABLE
        if answer.exists():
            content: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
            reason, is_unfit = content["refused"], not content["no_room"]
            rescored = replace(
                rescored,
                again=read_predictions(table) if table.exists() else None,
                settings={name: (before, after) for name, (before, after) in content["settings"].items()},
                new_weights=content["new_weights"],
            )
        else:
            reason, is_unfit = ended, not ended.startswith((TOO_SLOW, ENDED_BY_SIGNAL, UNWRITTEN))
        rescored = replace(rescored, refused=reason) if is_unfit else replace(rescored, unchecked=reason)
        shutil.rmtree(self.folder)
        return rescored


class SavedModelCheck:
    """The check of a run. Make it on the first process, before the model is saved.

    Args:
        args: of the run.
        trainer: of the run.
        weights: their dtype, or 4-bit or 8-bit.
    """

    def __init__(self, args: Arguments, trainer: Any, weights: str) -> None:
        self.args, self.trainer, self.weights = args, trainer, weights
        self.model = trainer.accelerator.unwrap_model(trainer.model)
        self.parameters = sum(weights.numel() for weights in self.model.parameters())
        self.held = sum(weights.numel() * weights.element_size() for weights in self.model.parameters())
        device = self._free_gpu()
        self.on_cpu = device is None
        free = free_memory()
        self.unchecked = ""
        if not args.training.check_saved_model:
            self.unchecked = OFF
        elif not isinstance(self.model, PreTrainedModel) and not is_adapter(self.model):
            self.unchecked = OWN_MODULE
        elif self.on_cpu and args.model.bits and trainer.args.device.type == "cuda":
            self.unchecked = NO_ROOM
        elif free is not None and free < 2 * self.held + OF_A_PROCESS:
            self.unchecked = NO_MEMORY
        self.process = None if self.unchecked else FreshProcess(device)

    def begin(self, task: Task, encoded: Encoded, test: Predictions) -> None:
        """Asks for test rows of the model that now is saved."""
        self.test = test
        if self.process is None:
            return
        request = Request(
            str(Path(str(self.args.training.output_dir)).resolve()),
            test.split,
            task_settings(task),
            bits=self.args.model.bits,
            trust_remote_code=self.args.model.trust_remote_code,
            cpu_threads=self.args.training.cpu_threads,
        )
        large = self.on_cpu and self.parameters >= MANY_PARAMETERS
        most = min(most_rows(test), MOST_ON_CPU if large else MOST_ROWS)
        moved = self.on_cpu and self.trainer.args.device.type != "cpu"
        least = FLOAT32_TOLERANCE if moved else SAME_DEVICE_TOLERANCE
        relative = tolerance(self.weights, self.args.training.evaluation_precision(self.weights), least)
        try:
            self.rescoring = begin_rescoring(request, task, encoded.rows, test, relative=relative, most=most)
        except OSError as error:  # the run goes on to its results
            self.unchecked = f"its rows could not be written for the fresh process ({error.strerror})"
            self.process.finish()
            self.process = None
            return
        self.process.ask(self.rescoring.folder)

    @waiting("loading the saved model again")
    def result(self) -> Rescored:
        """What the saved model said, or why it was not asked."""
        if self.process is None:
            return Rescored(self.test, None, 0.0, len(self.test), unchecked=self.unchecked)
        return self.rescoring.result(self.process.finish())

    def _free_gpu(self) -> int | None:
        """The GPU of this process, where it has room for the model once more; else None."""
        if self.trainer.args.device.type != "cuda":
            return None
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info()
        # Twice the weights, for what is computed of them.
        return torch.cuda.current_device() if free > 2 * self.held + OF_A_PROCESS else None


def begin_rescoring(
    request: Request, task: Task, rows: datasets.Dataset, table: Predictions, *, relative: float, most: int = MOST_ROWS
) -> Rescoring:
    """A request to predict some rows of a table again, spread over its lengths and classes.

    Args:
        request: which model, and how it is set.
        task: of the model.
        rows: that the table is of; one a row, but for series.
        table: as the run predicted them.
        relative: by which logits, nats and numbers may differ.
        most: rows at most.
    """
    expected = table
    if task.answers_rows and len(table) > most:
        chosen = spread_rows(table, most)
        rows, expected = rows.select(chosen), replace(table, table=table.table.take(chosen))
    folder = Path(tempfile.mkdtemp(prefix="llmtune-saved-"))
    rows.to_parquet(str(folder / ROWS))
    request.write(folder)
    return Rescoring(folder, expected, relative, len(table))


def most_rows(table: Predictions) -> int:
    """How many rows of a table are predicted again at most."""
    is_written = table.kind.free_text and not table.has("score")
    return MOST_WRITTEN if is_written else MOST_ROWS


def spread_rows(table: Predictions, most: int, seed: int = 0) -> np.ndarray:
    """The places of `most` rows, rising: as many of each class and length as their share, at least one of a class."""
    classes = [str(cell) for cell in table.column("reference")] if table.kind.single_label else [""] * len(table)
    name = "length" if table.has("length") else "tokens" if table.has("tokens") else None
    lengths = table.column(name) if name else [len(str(cell)) for cell in table.column(table.kind.required[0])]
    order = np.lexsort((np.random.default_rng(seed).permutation(len(table)), _ranks(lengths), _ranks(classes)))
    firsts = np.unique(np.array(classes)[order], return_index=True)[1]
    evenly = np.linspace(0, len(order) - 1, most).astype(int)
    places = dict.fromkeys([*firsts[:most].tolist(), *np.random.default_rng(seed).permutation(evenly).tolist()])
    return np.sort(order[list(places)[:most]])


def tolerance(weights: str, evaluation: str, least: float = SAME_DEVICE_TOLERANCE) -> float:
    """By how much logits may differ, relative to the largest: rounding, and never the loss of a layer.

    Args:
        weights: their dtype, or 4-bit or 8-bit.
        evaluation: fp32, bf16 or fp16.
        least: in float32.
    """
    # In 8 bits what is rounded depends on the other rows of a batch.
    computed = "bf16" if weights.endswith("bit") else COMPUTED_IN[weights]
    steps = [torch.finfo(DTYPES[name]).eps for name in (computed, evaluation)]
    return max(least, MOST_ROUNDINGS * max(steps))


def tolerance_of_run(run: RunFolder) -> float:
    """What the run's own check allowed for the precision that its table was computed in; 0 where it made none."""
    check = run.saved_model
    return 0.0 if check is None else float(check.numbers.get("relative_tolerance", 0.0))


def _ranks(values: Sequence[Any]) -> np.ndarray:
    return np.unique(np.array([str(v) if isinstance(v, list) else v for v in values]), return_inverse=True)[1]


def _environment(device: int | None) -> dict[str, str]:
    """Of this process, without its part among several, and with one GPU or none."""
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in OF_LAUNCHERS and not name.startswith(PREFIXES_OF_LAUNCHERS)
    }
    # `-P` keeps modules of the working directory away: there llmtune may lie beside a script, and not be installed.
    paths = [str(Path(llmtune.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
    shown = "" if device is None else names[device]
    return {**own, "PYTHONPATH": os.pathsep.join(paths), "CUDA_VISIBLE_DEVICES": shown}
