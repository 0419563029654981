"""Seconds from a command to the end of its first optimizer step: ours and the stock Trainer's, first and second run.

    python scripts/bench_startup.py --data ../shared/data/sms_spam --model MINILM_FOLDER [--rounds 3]

Ours is `recipes/spam.py`, by `llmtune train` and by `accelerate launch`; the peer is the HF docs' recipe as in
bench_training.py, by `python` and by `accelerate launch`, on the same rows with the same model. A first run finds no
tokens of an earlier one, the second those of the first. One round before the others is not counted: it compiles
modules and brings files into memory. Without --data ours alone trains its embedded demo.

Prints wall time, and the CPU seconds (user and system) of all processes of the command, which other programs on the
machine change less; the ratios are of CPU seconds, round by round.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch"]
RATIOS = {"python, stock": "llmtune train", "accelerate launch, stock": "accelerate launch, llmtune"}
RUNS = ("first", "second")
# Python imports it at its start, in both alike: the process ends with the first optimizer step.
SITE = """
import os, sys, time

class EndWithTheFirstStep:
    def find_spec(self, name, path=None, target=None):
        if name == "transformers.trainer":
            sys.meta_path.remove(self)
            from torch.optim.optimizer import register_optimizer_step_post_hook
            register_optimizer_step_post_hook(end)

def end(optimizer, *_):
    if sum(weight.numel() for group in optimizer.param_groups for weight in group["params"]) < 1000:
        return  # settings are tried on one number before a model is loaded
    with open(os.environ["BENCH_STEP"], "w") as file:
        file.write(str(time.time()))
    os._exit(0)

sys.meta_path.insert(0, EndWithTheFirstStep())
"""

Seconds = dict[str, float]  # wall, cpu


def main() -> None:
    """Runs the rounds and prints what each command took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with train, validation and test .jsonl")
    parser.add_argument("--model", help="checkpoint folder")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if (arguments.data is None) != (arguments.model is None):
        parser.error("--data and --model go together")
    results: dict[str, dict[str, list[Seconds]]] = {}
    for turn in range(arguments.rounds + 1):
        with tempfile.TemporaryDirectory() as scratch:
            commands = list(commands_of(arguments.data, arguments.model, Path(scratch)).items())
            for name, command in commands if turn % 2 == 0 else reversed(commands):
                cache = Path(scratch) / f"cache of {name}"
                for run in RUNS:
                    seconds = first_step(command, Path(scratch), cache)
                    if turn:  # the round before the first is not counted
                        results.setdefault(name, {}).setdefault(run, []).append(seconds)
                        print(f"round {turn} {run:<7}{name:<28}{describe([seconds])}", file=sys.stderr, flush=True)
    for name, runs in results.items():
        for run, measured in runs.items():
            print(f"{name:<28}{run:<7}{describe(measured)}")
    for peer, ours in RATIOS.items():
        for run in RUNS if peer in results else ():
            pairs = zip(results[peer][run], results[ours][run], strict=True)
            ratios = [stock["cpu"] / own["cpu"] for stock, own in pairs]
            print(f"{peer} / {ours}, {run} run: {spread(ratios)} in CPU seconds")


def commands_of(data: Path | None, model: str | None, scratch: Path) -> Mapping[str, Sequence[str]]:
    """What is timed, by name."""
    flags = ["--output_dir", str(scratch / "run"), "--overwrite"]
    if data is not None:
        files = [f"--{split}_file={data / split}.jsonl" for split in ("train", "validation", "test")]
        flags += ["--model_name_or_path", str(model), *files, "--per_device_train_batch_size=8"]
        flags += ["--gradient_accumulation_steps=4"]
    recipe = str(ROOT / "recipes" / "spam.py")
    commands = {
        "llmtune train": [sys.executable, "-m", "llmtune", "train", "spam", *flags],
        "accelerate launch, llmtune": [*LAUNCH, recipe, *flags],
    }
    if data is None:
        return commands
    stock = [str(ROOT / "scripts" / "bench_training.py"), "--data", str(data), "--model", str(model), "--run_peer"]
    return {
        **commands,
        # Its cache lies in the folder that it is given: the second run finds that of the first.
        "python, stock": [sys.executable, *stock, str(scratch / "stock")],
        "accelerate launch, stock": [*LAUNCH, *stock, str(scratch / "stock by accelerate")],
    }


def first_step(command: Sequence[str], scratch: Path, cache: Path) -> Seconds:
    """Wall and CPU seconds of a command until its first optimizer step has been made."""
    (scratch / "sitecustomize.py").write_text(SITE)
    step = scratch / "step"
    step.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(scratch), str(ROOT)]),
        "HF_DATASETS_CACHE": str(cache),
        "BENCH_STEP": str(step),
    }
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not step.exists():
        sys.exit(f"{' '.join(command)} made no optimizer step (exit code {done.returncode}):\n{done.stderr[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": json.loads(step.read_text()) - began, "cpu": cpu}


def describe(measured: Sequence[Seconds]) -> str:
    """Medians and ranges."""
    return "; ".join(f"{name} {spread([seconds[name] for seconds in measured])} s" for name in ("wall", "cpu"))


def spread(values: Sequence[float]) -> str:
    """The median, and of several values the least and the greatest."""
    range_of_values = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{statistics.median(values):.2f}{range_of_values}"


if __name__ == "__main__":
    main()
