"""Kills runs at random moments, resumes them, and compares what they end with to the run that nobody killed.

    python scripts/kill_matrix.py --moments 100
    python scripts/kill_matrix.py --moments 20 --recipes spam ner --signal TERM --seed 7

Each run is a process of its own, forked from this one after the libraries are imported, so that a kill costs a second
and not ten. It is killed at a moment between its start and its end, drawn evenly over both; then the same command is
given with `--resume_from_checkpoint auto` until it ends, killed once more half of the time. Compared are the bytes of
the weights and of metrics.json, and the tables of predictions. After each kill and at the end every file of the folder
whose name is not hidden must be readable; at the end nothing hidden may be left of a writer.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pyarrow.parquet  # noqa: E402 - the environment comes first
from safetensors import SafetensorError, safe_open  # noqa: E402 - the environment comes first

from llmtune.arguments.run_folder import RUN_MARKER  # noqa: E402 - the environment comes first
from llmtune.errors import run_command  # noqa: E402 - the environment comes first
from llmtune.whole_files import PARTIAL, partial_files  # noqa: E402 - the environment comes first

ROOT = Path(__file__).parents[1]
SMALL = "hidden_size=16,num_attention_heads=2,intermediate_size=32,num_hidden_layers=1"
# Enough dropout, schedule and evaluations that a step computed otherwise would show; a checkpoint every other step.
COMMON = (
    *("--max_steps", "12", "--eval_strategy", "steps", "--eval_steps", "4", "--save_strategy", "steps"),
    *("--save_steps", "2", "--load_best_model_at_end", "False", "--save_only_model", "False", "--precision", "fp32"),
    *(
        "--lr_scheduler_type",
        "constant",
        "--report_to",
        "none",
        "--check_saved_model",
        "False",
        "--cpu_threads",
        "1",
        "--use_cpu",
        "True",
    ),
)
BEST = (
    *("--load_best_model_at_end", "True", "--metric_for_best_model", "loss"),
    *("--eval_steps", "2", "--early_stopping_patience", "50"),
)
RECIPES = {
    "spam": ("--model_type", "bert", "--config_overrides", SMALL, *BEST),
    "ner": ("--model_type", "bert", "--config_overrides", SMALL),
    "translation": (
        *("--model_type", "marian", "--num_beams", "1", "--config_overrides"),
        "d_model=16,encoder_layers=1,decoder_layers=1,encoder_attention_heads=2,decoder_attention_heads=2,"
        "encoder_ffn_dim=32,decoder_ffn_dim=32",
    ),
    "causal_lm": (
        *("--model_type", "llama", "--config_overrides"),
        "hidden_size=16,num_attention_heads=2,num_key_value_heads=2,intermediate_size=32,num_hidden_layers=1",
    ),
    "forecasting": ("--model_type", "lstm", "--config_overrides", "hidden_size=8,bidirectional=false,dropout=0.1"),
}
ROWS = 240  # of train; validation and test have 60 each
FINISHED, MOST_RUNS = 0, 8


@dataclass
class Outcome:
    """What became of one moment.

    Args:
        recipe: of the run.
        seconds: after its start, that it was killed at, one for each kill.
        phases: what lay in its folder then.
        failures: what is not as it must be; empty where all is.
    """

    recipe: str
    seconds: list[float] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """In a line."""
        kills = [f"{at} s ({phase})" for at, phase in zip(self.seconds, self.phases, strict=True)]
        event = f"killed at {', '.join(kills)}" if kills else "it had ended"
        return f"{event}: {'; '.join(self.failures) or 'equal'}"


def load_main(recipe: str) -> Any:
    """The `main` of a recipe."""
    spec = importlib.util.spec_from_file_location(f"recipe_{recipe}", ROOT / "recipes" / f"{recipe}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def few_rows(recipe: str, folder: Path) -> list[str]:
    """Flags that name the first rows of the recipe's demo, written to the folder; of a series the whole."""
    demo = ROOT / "recipes" / "demo" / recipe
    flags = ["--config", str(folder / "demo.yaml")]
    folder.mkdir(parents=True, exist_ok=True)
    lines = (demo / "demo.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    # What a run is to end with is no matter here.
    kept = [line for line in lines if not line.startswith(("targets:", "num_train_epochs:", "save_only_model:"))]
    named = [re.sub(r"_file: (?=\w+\.)", f"_file: {folder}/", line) for line in kept]
    (folder / "demo.yaml").write_text("".join(named), encoding="utf-8")
    for source in demo.iterdir():
        if source.suffix in (".csv", ".jsonl"):
            rows = source.read_text(encoding="utf-8").splitlines(keepends=True)
            count = len(rows) if source.stem == "series" else ROWS if source.stem == "train" else ROWS // 4
            (folder / source.name).write_text("".join(rows[: count + (source.suffix == ".csv")]), encoding="utf-8")
    return flags


def start(main: Any, argv: Sequence[str], log: Path) -> int:
    """Forks a process that runs a recipe, its output in `log`; returns its id."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        run_command(lambda: main(list(argv)) and None)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def wait(process: int, seconds: float | None, number: signal.Signals) -> int:
    """The exit code, negative of a signal; signals it after these seconds, where it still runs then."""
    ends = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if ends is not None and time.monotonic() >= ends:
            os.kill(process, number)
            ends = None
        time.sleep(0.002)


def phase_of(folder: Path) -> str:
    """How far a run had come, by what lies in its folder."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    for name, phase in (
        ("README.md", "written"),
        ("run.json", "reporting"),
        ("predictions", "reporting"),
        ("config.json", "saved"),
        (PARTIAL, "writing weights"),
    ):
        if name in names:
            return phase
    if any(name.startswith("checkpoint-") for name in names):
        return "training"
    return "before a checkpoint" if RUN_MARKER in names else "before its folder"


def unreadable(folder: Path) -> list[str]:
    """The files, hidden ones apart, that are not whole."""
    broken = []
    for path in folder.rglob("*") if folder.is_dir() else ():
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or path.is_dir():
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".safetensors":
                with safe_open(path, "pt") as file:
                    for name in file.keys():  # noqa: SIM118 - it is no dict
                        file.get_tensor(name)
            elif path.suffix == ".parquet":
                pyarrow.parquet.read_table(path)
            elif path.suffix in (".pt", ".pth"):
                if zipfile.ZipFile(path).testzip() is not None:
                    broken.append(f"{path.relative_to(folder)} is damaged")
            elif not path.stat().st_size and path.name != "__init__.py":
                broken.append(f"{path.relative_to(folder)} is empty")
        except FileNotFoundError:
            continue
        except (OSError, ValueError, zipfile.BadZipFile, SafetensorError) as error:
            broken.append(f"{path.relative_to(folder)}: {type(error).__name__} {error}")
    return broken


def differences(expected: Path, folder: Path) -> list[str]:
    """What the folder's results differ in from those of the run that nobody killed."""
    unlike = []
    for path in sorted(expected.glob("*.safetensors")) + [expected / "metrics.json"]:
        other = folder / path.name
        if not other.exists() or other.read_bytes() != path.read_bytes():
            unlike.append(f"{path.name} differs")
    for path in sorted((expected / "predictions").rglob("*.parquet")):
        other = folder / path.relative_to(expected)
        if not other.exists() or not pyarrow.parquet.read_table(other).equals(pyarrow.parquet.read_table(path)):
            unlike.append(f"{path.relative_to(expected)} differs")
    evaluations = [json.loads((run / "run.json").read_text())["training"]["evaluations"] for run in (expected, folder)]
    if [entry["step"] for entry in evaluations[0]] != [entry["step"] for entry in evaluations[1]]:
        unlike.append("other evaluations in run.json")
    return unlike


def try_moment(
    main: Any, recipe: str, flags: Sequence[str], expected: Path, whole: float, draw: random.Random,
    number: signal.Signals, work: Path,
) -> Outcome:  # fmt: skip
    """Kills a run at a random moment, resumes it to its end, and compares.

    Args:
        main: of the recipe.
        recipe: its name.
        flags: of the run.
        expected: the folder of the run that nobody killed.
        whole: its seconds.
        draw: of the moments.
        number: the signal.
        work: for this run alone.
    """
    outcome, folder = Outcome(recipe), work / "run"
    argv = [*flags, "--output_dir", str(folder)]
    again = [*argv, "--resume_from_checkpoint", "auto"]
    kills, log = [draw.uniform(0, whole)], work / "log.txt"
    if draw.random() < 0.5:
        kills.append(draw.uniform(0, whole))
    code = None
    for attempt in range(MOST_RUNS):
        seconds = kills[attempt] if attempt < len(kills) else None
        code = wait(start(main, again if attempt else argv, log), seconds, number)
        if seconds is not None and code != FINISHED:
            outcome.seconds.append(round(seconds, 2))
            outcome.phases.append(phase_of(folder))
            outcome.failures += [f"after the kill {broken}" for broken in unreadable(folder)]
            if code not in (-number, 128 + number):
                outcome.failures.append(f"exit code {code} after the signal: {tail(log)}")
        elif code != FINISHED:
            outcome.failures.append(f"resumed, exit code {code}: {tail(log)}")
            break
        else:
            break
    if code == FINISHED:
        outcome.failures += unreadable(folder)
        outcome.failures += differences(expected, folder)
        outcome.failures += [f"{path.name} is left" for path in partial_files(folder)]
        outcome.failures += [f"{path.name} is left" for path in folder.rglob(".tmp*")]
    return outcome


def tail(log: Path) -> str:
    """The end of what a run printed."""
    return " | ".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-6:])[-1500:]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--moments", type=int, default=100, help="kills in all, spread over the recipes")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--signal", choices=("KILL", "TERM", "INT"), default="KILL")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--output_dir", type=Path, help="keeps the folders of runs that failed")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the matrix, prints a table; the number of moments that failed, at most 1."""
    given = parse(argv)
    number = signal.Signals[f"SIG{given.signal}"]
    draw, outcomes = random.Random(given.seed), []
    with tempfile.TemporaryDirectory(prefix="llmtune-kills-") as scratch:
        for place, recipe in enumerate(given.recipes):
            work = Path(scratch) / recipe
            flags = [*few_rows(recipe, work), *COMMON, *RECIPES[recipe]]
            main_of_recipe = load_main(recipe)
            began = time.monotonic()
            log = work / "log.txt"
            code = wait(start(main_of_recipe, [*flags, "--output_dir", str(work / "expected")], log), None, number)
            whole = time.monotonic() - began
            assert code == FINISHED, f"{recipe}: the run that nobody kills ended with {code}: {tail(log)}"
            share = len(range(place, given.moments, len(given.recipes)))
            for moment in range(share):
                inside = work / f"{moment}"
                inside.mkdir()
                outcome = try_moment(main_of_recipe, recipe, flags, work / "expected", whole, draw, number, inside)
                outcomes.append(outcome)
                print(f"{recipe} {moment + 1} of {share}: {outcome.words}", flush=True)
                if outcome.failures and given.output_dir:
                    shutil.copytree(inside, given.output_dir / f"{recipe}-{moment}", dirs_exist_ok=True)
                shutil.rmtree(inside)
    print(f"\nSIG{given.signal}, seed {given.seed}\n{'recipe':<13}{'moments':>8}{'kills':>7}{'equal':>7}  killed while")
    for recipe in given.recipes:
        mine = [outcome for outcome in outcomes if outcome.recipe == recipe]
        phases = Counter(phase for outcome in mine for phase in outcome.phases)
        told = ", ".join(f"{phase} {count}" for phase, count in phases.most_common())
        equal = sum(not outcome.failures for outcome in mine)
        print(f"{recipe:<13}{len(mine):>8}{sum(phases.values()):>7}{equal:>7}  {told}")
    failed = sum(bool(outcome.failures) for outcome in outcomes)
    print(f"all: {len(outcomes)} moments, {sum(len(each.seconds) for each in outcomes)} kills, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
