"""Feeds changed files and arguments to every reader, and counts what becomes of them.

    python scripts/fuzz_readers.py [--inputs 1000] [--seed 0] [--only csv run.json …] [--findings FOLDER]
    python scripts/fuzz_readers.py --engine atheris --only jsonl   # guided by coverage, one target; pip install atheris

Each input is a valid file of which bytes, values, cells or columns were changed, or a command line with odd values. It
is read by the command that would read it, in a process of its own, for ten seconds at most. Asked: every one is read,
or refused in one message (`InputError`); no traceback, no signal, no hang, no more than a GiB of memory.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzzing.mutations import mutate

if TYPE_CHECKING:
    from fuzzing.targets import Target
    from fuzzing.worker import Outcome

FAULTS = ("traceback", "signal", "hang", "memory", "left over")


def main() -> int:
    """Draws, reads, counts; 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="TARGET", help="default: all of scripts/fuzzing/targets.py")
    parser.add_argument("--engine", choices=["mutations", "atheris"], default="mutations")
    parser.add_argument("--findings", type=Path, help="where inputs that ended in a fault are kept")
    options = parser.parse_args()
    with instrumented(options.engine):  # before llmtune is imported: it is then that lines are marked
        from fuzzing.targets import TARGETS

        next(iter(TARGETS.values())).call_once()  # imports what it reads with
    unknown = [name for name in options.only or () if name not in TARGETS]
    if unknown:
        parser.error(f"--only {unknown[0]!r}: expected one of {', '.join(TARGETS)}")
    names = options.only or list(TARGETS)
    if options.engine == "atheris":
        return guided(TARGETS[names[0]], options.inputs, options.seed)
    from fuzzing.worker import Worker

    draw = random.Random(options.seed)
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    faults: Counter[str] = Counter()
    worker = Worker()
    start = time.perf_counter()
    with suppress(KeyboardInterrupt):  # Ctrl-C shows what was counted so far
        for number in range(options.inputs):
            name = names[number % len(names)]
            content = mutate(draw, TARGETS[name].form, TARGETS[name].seeds)
            outcome = worker.read(name, content)
            counts[name][outcome.what] += 1
            if outcome.what in FAULTS:
                faults[f"{name}: {outcome.what}: {outcome.detail}"] += 1
                keep(options.findings, f"{number}-{name}", content, outcome)
    worker.close()
    show(counts, faults, time.perf_counter() - start)
    return int(bool(faults))


def instrumented(engine: str) -> Any:
    """What marks the lines of llmtune that an input reaches, while it is imported."""
    if engine != "atheris":
        return nullcontext()
    import atheris

    return atheris.instrument_imports(include=["llmtune"])


def keep(folder: Path | None, name: str, content: bytes, outcome: "Outcome") -> None:
    """Writes an input and what became of it, to be tried again."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name.replace("/", "-")).write_bytes(content)
    (folder / f"{name.replace('/', '-')}.txt").write_text(f"{outcome.what}: {outcome.detail}\n{outcome.trace}")


def show(counts: dict[str, Counter[str]], faults: Counter[str], seconds: float) -> None:
    """A line a target, the sum, and the faults."""
    columns = ("read", "refused", *FAULTS)
    print(f"{'target':<24}" + "".join(f"{column:>11}" for column in columns))
    for name, counted in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        print(f"{name:<24}" + "".join(f"{counted[column]:>11,}" for column in columns))
    for fault, count in faults.most_common():
        print(f"{count:>4} x {fault}")
    print(f"{sum(sum(counted.values()) for counted in counts.values()):,} inputs in {seconds:.0f} s")


def guided(target: "Target", inputs: int, seed: int) -> int:
    """The same for one target, its inputs led by the lines of llmtune that they reach (libFuzzer through atheris)."""
    import atheris
    from fuzzing.worker import attempt

    counts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    draw = random.Random(seed)
    start = time.perf_counter()

    def test(content: bytes) -> None:
        outcome = attempt(target, content)
        counts[outcome.what] += 1
        if outcome.what in FAULTS:
            faults[f"{target.name}: {outcome.what}: {outcome.detail}"] += 1
        if sum(counts.values()) == inputs:
            show({target.name: counts}, faults, time.perf_counter() - start)
            sys.stdout.flush()
            os._exit(int(bool(faults)))  # libFuzzer ends no run by itself

    def change(content: bytes, max_size: int, mutation_seed: int) -> bytes:
        draw.seed(mutation_seed)
        return (
            mutate(draw, target.form, target.seeds, content)[:max_size]
            if draw.random() < 0.5
            else atheris.Mutate(content, max_size)
        )

    with tempfile.TemporaryDirectory() as corpus:
        for number, content in enumerate(target.seeds):
            Path(corpus, str(number)).write_bytes(content)
        atheris.Setup([sys.argv[0], f"-seed={seed + 1}", "-max_len=65536", corpus], test, custom_mutator=change)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
