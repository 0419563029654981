"""`--resume_from_checkpoint auto`: the last checkpoint of a run that is whole."""

import json
import struct
from pathlib import Path

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR


def last_whole_checkpoint(run: Path) -> tuple[Path | None, list[str]]:
    """The checkpoint of the most steps that training can go on from, and why later ones were passed over."""
    folders = [folder for folder in run.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if _steps(folder) is not None]
    passed: list[str] = []
    for folder in sorted(folders, key=lambda folder: _steps(folder) or 0, reverse=True):
        reason = broken_part(folder)
        if not reason:
            return folder, passed
        passed.append(f"{folder}: {reason}")
    return None, passed


def broken_part(checkpoint: Path) -> str:
    """What of a checkpoint is missing or cut short, as a writer that was killed leaves it; empty where it is whole."""
    state = checkpoint / "trainer_state.json"
    try:
        json.loads(state.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"has no {state.name}"
    except ValueError:  # of JSON, and of what is not UTF-8
        return f"{state.name} is not readable"
    optimizers = list(checkpoint.glob("optimizer*"))
    if not optimizers:
        return "holds no optimizer"
    weights = list(checkpoint.glob("*.safetensors"))
    if not weights:
        return "holds no weights"
    cut = [file.name for file in weights if file.stat().st_size != _written_size(file)]
    cut += [file.name for file in optimizers if file.is_file() and not file.stat().st_size]
    return f"{cut[0]} is cut short" if cut else ""


def _written_size(path: Path) -> int | None:
    """The bytes that the header of a safetensors file promises; None where it has no whole header."""
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            return None
        (length,) = struct.unpack("<Q", start)
        if length > path.stat().st_size:
            return None
        try:
            header = json.loads(file.read(length))
        except ValueError:
            return None
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return 8 + length + max(ends, default=0)


def _steps(folder: Path) -> int | None:
    number = folder.name.rpartition("-")[2]
    return int(number) if number.isdigit() and folder.is_dir() else None
