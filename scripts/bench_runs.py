"""What the benchmarks share: a command in a process of its own with the memory it took, and a share of a set's rows."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Ended:
    """A command that ended well.

    Args:
        output: what it printed.
        peak_mib: resident memory of its largest process, in MiB (`ru_maxrss` of Linux).
    """

    output: str
    peak_mib: float


def run_command(command: list[str]) -> Ended:
    """Runs a command to its end; ends this program with its last words where it fails."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        process = subprocess.Popen(command, stdout=said, stderr=complained)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        output = said.read()
        if process.returncode:
            complained.seek(0)
            last = (output + complained.read())[-3000:]
            sys.exit(f"{' '.join(command)} ended with exit code {process.returncode}:\n{last}")
    return Ended(output, usage.ru_maxrss / 1024)


def shortened(data: Path, size: int, folder: Path) -> Path:
    """A folder of the same splits with so many rows of train, drawn once."""
    folder.mkdir()
    for split in ("train", "validation", "test"):
        with (data / f"{split}.jsonl").open(encoding="utf-8") as file:  # splitlines would cut texts at U+2028
            lines = list(file)
        if split == "train":
            lines = [lines[place] for place in sorted(np.random.default_rng(0).permutation(len(lines))[:size])]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder
