"""Trained models for commands: the task one was trained for, and its outputs for rows."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import datasets
from transformers import PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.commands.question_answering import ServedQuestionAnswering, ServedWrittenAnswers
from llmtune.commands.text_classification import ServedTextClassification
from llmtune.commands.text_generation import ServedSummarization, ServedTranslation
from llmtune.commands.token_classification import ServedTokenClassification
from llmtune.data import Fingerprint
from llmtune.errors import InputError
from llmtune.inference import inference_trainer, predict_rows
from llmtune.models.checkpoints import load_config, load_run
from llmtune.predictions import Predictions
from llmtune.training.hardware import configure_cpu


class Served(Protocol):
    """What commands need of a task; made by `from_config(config, model)`."""

    task: Any
    """With auto_model, collator and settings."""

    def read(
        self, data: DataArguments, columns: Mapping[str, str], *, labelled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """The test split of `data`; `columns`: canonical name → the user's name."""

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> tuple[Any, str]:
        """The model's inputs, and a line on what was cut."""

    def table(self, outputs: Any, rows: datasets.Dataset, inputs: Any) -> Predictions:
        """The predictions table of labelled rows."""

    def answers(self, outputs: Any, rows: datasets.Dataset, inputs: Any) -> tuple[dict[str, list[Any]], list[str]]:
        """The columns that `llmtune predict` writes, and lines on them."""


# By the task's name in the model's config (`llmtune["task"]`). A new task is one line here.
TASKS: dict[str, Any] = {
    "text-classification": ServedTextClassification,
    "token-classification": ServedTokenClassification,
    "question-answering": ServedQuestionAnswering,
    "generative-question-answering": ServedWrittenAnswers,
    "translation": ServedTranslation,
    "summarization": ServedSummarization,
}

# Checkpoints made elsewhere don't name their task; the end of their architecture's name does.
ARCHITECTURES = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
}


@dataclass(frozen=True)
class Outputs:
    """What a model said of n rows.

    Args:
        outputs: in row order, the same on every process.
        inputs: the rows as the model read them.
        cut: a line on what was cut.
        seconds: that prediction took, without loading.
        processes: that shared it.
        main_process: whether this one writes and prints.
        facts: of the model, for run.json.
    """

    outputs: Any
    inputs: Any
    cut: str
    seconds: float
    processes: int
    main_process: bool
    facts: dict[str, Any]


def open_task(model: str) -> Served:
    """The task that a run, a checkpoint folder or a Hub id was trained for, and its settings; weights are not read.

    Raises:
        InputError: no such model, or a task that is not served.
    """
    config = load_config(model)
    named = config.to_dict().get("llmtune", {}).get("task")
    architectures = config.architectures or []
    found = named or next((ARCHITECTURES[end] for end in ARCHITECTURES for name in architectures if end in name), None)
    if found not in TASKS:
        told = f"its task is {named!r}" if named else f"its architecture is {', '.join(architectures) or 'not named'}"
        raise InputError(
            f"{model}: {told}; served are {', '.join(TASKS)} ({', '.join(f'…{end}' for end in ARCHITECTURES)}). Give a "
            "model that was fine-tuned for one of them"
        )
    served: Served = TASKS[found].from_config(config, model)
    return served


def run_model(
    model: str, served: Served, rows: datasets.Dataset, *, batch_size: int, cpu_threads: int | None
) -> Outputs:
    """Loads the model and predicts the rows, on one process or several. Call it on every process."""
    if batch_size < 1:
        raise InputError(f"--per_device_eval_batch_size {batch_size}: expected 1 or more")
    if cpu_threads is not None and cpu_threads < 1:
        raise InputError(f"--cpu_threads {cpu_threads}: expected 1 or more")
    configure_cpu(cpu_threads)
    tokenizer, loaded = load_run(model, served.task.auto_model)
    facts = {
        "name": model,
        "model_type": loaded.config.model_type,
        "parameters": sum(weights.numel() for weights in loaded.parameters()),
        **served.task.settings(),
    }
    inputs, cut = served.encode(rows, tokenizer)
    # The Trainer insists on a folder of its own, and makes it.
    with tempfile.TemporaryDirectory(prefix="llmtune-") as scratch:
        trainer = inference_trainer(loaded, tokenizer, served.task, output_dir=scratch, batch_size=batch_size)
        start = time.perf_counter()
        outputs = predict_rows(trainer, inputs)
        seconds = time.perf_counter() - start
        trainer.accelerator.wait_for_everyone()
    return Outputs(outputs, inputs, cut, seconds, trainer.args.world_size, trainer.is_world_process_zero(), facts)
