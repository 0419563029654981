"""Trained models for commands and benchmarks: the task one was trained for, and its outputs for rows."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import datasets

from llmtune.arguments.ranges import check_number
from llmtune.errors import InputError
from llmtune.inference import inference_trainer, predict
from llmtune.models.checkpoints import load_config, load_run
from llmtune.runs.contracts import ModelHead, ModelSettings
from llmtune.tasks.registry import task_of_architecture, tasks
from llmtune.tasks.task import Encoded, Task
from llmtune.text.contracts import check_contract
from llmtune.training.hardware import configure_cpu
from llmtune.training.trainer import FineTuningTrainer


@dataclass(frozen=True)
class InferenceResult:
    """What a model said of n rows.

    Args:
        outputs: in the order of the inputs, the same on every process.
        encoded: the rows as the model read them.
        seconds: that prediction took, without loading.
        processes: that shared it.
        main_process: whether this one writes and prints.
        facts: of the model, for run.json.
        latencies: seconds of single model inputs, where they were asked for.
    """

    outputs: Any
    encoded: Encoded
    seconds: float
    processes: int
    main_process: bool
    facts: dict[str, Any]
    latencies: Sequence[float] = ()

    @property
    def truncation(self) -> str:
        """What did not fit, as one line."""
        return "; ".join(self.encoded.notes)


def load_task(model: str, *, trust_remote_code: bool = False) -> Task:
    """The task that a run, a checkpoint folder or a Hub id was trained for, and its settings; weights are not read.

    Raises:
        InputError: no such model, or a task that is not served.
    """
    config = load_config(model, trust_remote_code=trust_remote_code)
    remedy = "restore config.json, or delete its entry llmtune: the model is then read as one made elsewhere"
    head = check_contract(head_of(config), ModelHead, f"{model}: config.json", "restore config.json")
    settings = config.to_dict().get("llmtune", {})
    where = f"{model}: config.json, entry llmtune"
    checked = check_contract(settings, ModelSettings, where, remedy)
    named, positive = checked.get("task"), checked.get("positive_label")
    if positive is not None and positive not in head["id2label"]:
        raise InputError(
            f"{where}: field positive_label: found {positive!r}, expected one of the model's labels "
            f"{', '.join(head['id2label'])}; {remedy}"
        )
    architectures = config.architectures or []
    # Cross-encoders often leave problem_type out; of one output it can be nothing else.
    problem_type = "regression" if config.num_labels == 1 else config.problem_type
    by_architecture = (task_of_architecture(architecture, problem_type) for architecture in architectures)
    task = tasks().get(named) if named else next((task for task in by_architecture if task is not None), None)
    if task is None:
        told = f"its task is {named!r}" if named else f"its architecture is {', '.join(architectures) or 'not named'}"
        endings = ", ".join(f"…{task.architecture}" for task in tasks().values() if "architecture" in vars(task))
        raise InputError(
            f"{model}: {told}; served are {', '.join(tasks())} ({endings}). Give a model that was fine-tuned for one "
            "of them"
        )
    try:
        return task.from_config(config, model)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{model}: its config.json does not describe a {task.name} model ({type(error).__name__}: {error}); "
            f"{remedy}"
        ) from error


def head_of(config: Any) -> dict[str, Any]:
    """Of a config what tells its task and its classes."""
    names = config.id2label
    return {"architectures": config.architectures, "id2label": list(names.values()) if names else []}


def run_model(
    model: str,
    task: Task,
    rows: datasets.Dataset,
    *,
    batch_size: int,
    cpu_threads: int | None,
    timed: int = 0,
    trust_remote_code: bool = False,
) -> InferenceResult:
    """Loads the model and predicts the rows, on one process or several. Call it on every process.

    Of `timed` model inputs each is then answered alone, for its latency.
    """
    check_number("per_device_eval_batch_size", batch_size)
    check_number("cpu_threads", cpu_threads)
    configure_cpu(cpu_threads)
    tokenizer, loaded = load_run(
        model, task.auto_model, reads_text=task.reads_text, trust_remote_code=trust_remote_code
    )
    facts = {
        "name": model,
        "model_type": loaded.config.model_type,
        "parameters": sum(weights.numel() for weights in loaded.parameters()),
        **task.to_config(),
    }
    encoded = task.encode(rows, tokenizer)
    # The Trainer insists on a folder of its own, and makes it.
    with tempfile.TemporaryDirectory(prefix="llmtune-") as scratch:
        trainer = inference_trainer(loaded, tokenizer, task, output_dir=scratch, batch_size=batch_size)
        start = time.perf_counter()
        outputs = predict(trainer, task, encoded)
        seconds = time.perf_counter() - start
        latencies = single_latencies(trainer, task, encoded, timed)
        trainer.accelerator.wait_for_everyone()
    return InferenceResult(
        outputs, encoded, seconds, trainer.args.world_size, trainer.is_world_process_zero(), facts, latencies
    )


def single_latencies(trainer: FineTuningTrainer, task: Task, encoded: Encoded, count: int) -> list[float]:
    """Seconds of each of the first model inputs alone, without those of the very first, which warms up."""
    inputs = encoded.dataset.select(range(min(count + 1, len(encoded.dataset)))) if count else None
    if inputs is None:
        return []
    if not task.reads_labels and "labels" in inputs.column_names:
        inputs = inputs.remove_columns(["labels"])
    trainer.args.per_device_eval_batch_size = 1
    seconds = []
    for batch in trainer.get_test_dataloader(inputs):
        start = time.perf_counter()
        trainer.prediction_step(trainer.model, batch, prediction_loss_only=False)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]
