"""Trains and scores tiny causal models on however many processes started it, and writes what it saw as JSON.

    python on_processes.py OUT.json FOLDER
    accelerate launch --multi_gpu --num_processes 2 on_processes.py OUT.json FOLDER

Run by test_processes.py in both ways.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers

from llmtune.imports import imports_done
from llmtune.inference import predict
from llmtune.tasks.causal_lm.task import CausalLM
from llmtune.tasks.losses import TokenCrossEntropy
from llmtune.training.trainer import FineTuningTrainer
from tests.tasks.causal_lm.models import TEXTS, model_of, tokenizer_of
from tests.training.run_on_processes import SPLITS, arguments, logged_updates

MODELS = ("llama", "mistral")
LENGTH = 20


def trainer_of(model_type: str, folder: Path, *, packing: bool, **options: Any) -> FineTuningTrainer:
    """A Trainer of the texts, twice over."""
    tokenizer = tokenizer_of(model_type)
    model, task = model_of(model_type, tokenizer, initializer_range=0.1), CausalLM(max_length=LENGTH, packing=packing)
    rows = datasets.Dataset.from_dict({"text": TEXTS * 2})
    return FineTuningTrainer(
        model=model,
        args=arguments(folder, **options),
        train_dataset=task.encode(rows, tokenizer, "train").dataset,
        processing_class=tokenizer,
        data_collator=task.data_collator(tokenizer),
        compute_loss_func=TokenCrossEntropy(True),
        generation=task.generation(tokenizer),
    )


def exact(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Loss and gradient norm of each step, packed or not, for cuts of an effective batch of 8 rows."""
    for model_type in MODELS:
        for packing in (True, False):
            for micro, accumulation in SPLITS[processes]:
                options = {"per_device_train_batch_size": micro, "gradient_accumulation_steps": accumulation}
                trainer = trainer_of(model_type, folder, packing=packing, **options)
                split = f"{processes} x {micro} x {accumulation}"
                case = f"{model_type}, {'packed' if packing else 'alone'}"
                yield {"case": case, "split": split, "updates": logged_updates(trainer)}


def whole(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Two steps, each of all rows: packed or not they are the same tokens."""
    for model_type in MODELS:
        for packing in (True, False):
            micro = 64 // processes
            options = {"per_device_train_batch_size": micro, "num_train_epochs": 2}
            trainer = trainer_of(model_type, folder, packing=packing, **options)
            yield {"model": model_type, "packing": packing, "updates": logged_updates(trainer)}


def scored(processes: int, folder: Path) -> Iterator[dict[str, Any]]:
    """The texts' nats and tokens at several batch sizes."""
    for model_type in MODELS:
        trainer = trainer_of(model_type, folder, packing=True)
        task, tokenizer = CausalLM(max_length=LENGTH), tokenizer_of(model_type)
        encoded = task.encode(datasets.Dataset.from_dict({"text": TEXTS}), tokenizer)
        for batch in (1, 8, 32):
            trainer.args.per_device_eval_batch_size = batch
            table = task.tabulate(predict(trainer, task, encoded), encoded)
            columns = {name: table.column(name) for name in ("nll", "tokens", "correct")}
            yield {"model": model_type, "batch": batch, **columns}


def main(out: Path, folder: Path) -> None:
    """Every section on this many processes; the first process writes."""
    imports_done()  # each training asks for a full collection
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    processes = arguments(folder).world_size
    seen: dict[str, Any] = {section.__name__: list(section(processes, folder)) for section in (exact, whole, scored)}
    if os.environ.get("RANK", "0") == "0":
        out.write_text(json.dumps({"processes": processes, **seen}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
