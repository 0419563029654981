"""How an effective batch is computed: whole where it fits, else in as few parts as fit.

`--per_device_train_batch_size` x `--gradient_accumulation_steps` says how large it is, and the loss does not see the
cut (tasks/losses.py). What is left is speed: on a GPU each part launches every kernel once more (bert-base on SMS:
32 x 1 up to ten times as fast as 8 x 4), on a CPU large products run nearer to the machine's rate, as far as its caches
hold them.
"""

import contextlib
import math
import sys
from collections.abc import Iterator
from typing import Any

import datasets
import numpy as np
import torch
from accelerate.utils import gather_object
from torch.utils.data import DataLoader

from llmtune.data.lengths import input_lengths
from llmtune.errors import InputError

# Tokens of a part on a CPU. MiniLM on two cores, 640 SMS of 24 tokens: four parts of 8 rows 9.9 s, two 7.6, one of 785
# tokens 6.5; 96 reviews of 200 tokens: 6.8 s in four parts of 1,600 tokens, in two and in one.
CPU_TOKENS = 2048
MOMENTS = 2  # float32 numbers that AdamW keeps of a trained weight


@contextlib.contextmanager
def in_fewest_parts(trainer: Any) -> Iterator[None]:
    """While training inside, the Trainer's arguments are those of the cut that is computed; after it the user's.

    Raises:
        InputError: not even one row fits on the device.
    """
    args = trainer.args
    asked = args.per_device_train_batch_size, args.gradient_accumulation_steps
    parts = asked[1] if args.n_gpu > 1 else _fewest_parts(trainer, *asked)
    args.per_device_train_batch_size, args.gradient_accumulation_steps = asked[0] * asked[1] // parts, parts
    trainer._train_batch_size = args.train_batch_size
    try:
        yield
    finally:
        args.per_device_train_batch_size, args.gradient_accumulation_steps = asked
        trainer._train_batch_size = args.train_batch_size


def _fewest_parts(trainer: Any, rows: int, parts: int) -> int:
    if not isinstance(trainer.train_dataset, datasets.Dataset):
        return parts
    effective = rows * parts
    cuts = [cut for cut in range(1, effective + 1) if effective % cut == 0]
    if trainer.args.device.type == "cuda":
        return max(gather_object([_fewest_that_fit(trainer, effective, cuts)]))
    if not trainer.is_padding_free:
        return parts
    tokens = float(np.mean(input_lengths(trainer.train_dataset))) * effective
    return min(parts, next((cut for cut in cuts if tokens / cut <= CPU_TOKENS), parts))


def _fewest_that_fit(trainer: Any, effective: int, cuts: list[int]) -> int:
    """The first of the cuts whose longest part goes through the model and back on this device."""
    longest = np.argsort(-input_lengths(trainer.train_dataset), kind="stable")
    dataset = trainer._remove_unused_columns(trainer.train_dataset)
    for cut in cuts:
        size = min(effective // cut, len(longest))
        rows = [dataset[int(place)] for place in longest[:size]]
        if _fits(trainer, trainer.data_collator(rows)):
            return cut
        torch.cuda.empty_cache()
    tokens = int(input_lengths(trainer.train_dataset)[longest[0]])
    memory = torch.cuda.mem_get_info(trainer.args.device)[1] / 2**30
    raise InputError(
        f"{torch.cuda.get_device_name(trainer.args.device)}: out of memory, {memory:.0f} GiB, with one row of "
        f"{tokens:,} tokens at once; lower --max_length, or take --use_peft, --activation_checkpointing, "
        "--dtype bfloat16 or a smaller model"
    )


def _fits(trainer: Any, batch: dict[str, Any]) -> bool:
    """Whether a batch is learned from within the device's memory, gradients and the optimizer's state beside it."""
    device, model, precision = trainer.args.device, trainer.model, trainer.args.precision
    states = torch.get_rng_state(), torch.cuda.get_rng_state(device)
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    was_training = model.training
    try:
        held = torch.empty(MOMENTS * trained, dtype=torch.float32, device=device)
        with torch.autocast("cuda", half, enabled=half is not None):
            loss = trainer.compute_loss(model.train(), trainer._prepare_inputs(batch))
        loss.backward()
        del held, loss
    except torch.OutOfMemoryError:
        return False
    finally:
        model.train(was_training)
        model.zero_grad(set_to_none=True)
        torch.set_rng_state(states[0])
        torch.cuda.set_rng_state(states[1], device)
    return True


def out_of_memory(trainer: Any, error: torch.OutOfMemoryError) -> InputError:
    """What a device that ran out of memory in training says."""
    args = trainer.args
    effective = args.per_device_train_batch_size * args.gradient_accumulation_steps
    smaller = max(1, args.per_device_train_batch_size // 2)
    found = str(error).partition(". ")[0]
    return InputError(
        f"{found}, after {trainer.state.global_step} optimizer steps of {effective} rows; give "
        f"--per_device_train_batch_size {smaller} --gradient_accumulation_steps {math.ceil(effective / smaller)}, "
        "--activation_checkpointing or a lower --max_length"
    )


def with_smaller_batches(trainer: Any, loader: DataLoader, error: torch.OutOfMemoryError) -> DataLoader:
    """The rows of an evaluation that ran out of memory, in batches of half as many; it stays at that.

    Raises:
        InputError: batches are of one row, or other processes would wait for this one.
    """
    args, found = trainer.args, str(error).partition(". ")[0]
    if args.per_device_eval_batch_size == 1 or args.world_size > 1:
        smaller = max(1, args.per_device_eval_batch_size // 2)
        remedy = f"give --per_device_eval_batch_size {smaller}, or" if args.world_size > 1 else "take"
        raise InputError(
            f"{found}, in an evaluation in batches of {args.per_device_eval_batch_size}; {remedy} a lower --max_length"
        ) from error
    args.per_device_eval_batch_size //= 2
    torch.cuda.empty_cache()
    told = f"{found}: the evaluation begins again in batches of {args.per_device_eval_batch_size} rows"
    print(f"{told} (--per_device_eval_batch_size {args.per_device_eval_batch_size})", file=sys.stderr, flush=True)
    return trainer.get_test_dataloader(loader.dataset)
