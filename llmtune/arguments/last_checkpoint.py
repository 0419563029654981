"""Which checkpoints are whole: `--resume_from_checkpoint auto` takes the last of them, and no other is trusted."""

import json
import re
import struct
import zipfile
from pathlib import Path

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from llmtune.errors import InputError


def last_whole_checkpoint(run: Path) -> tuple[Path | None, list[str]]:
    """The checkpoint of the most steps that training can go on from, and why later ones were passed over."""
    folders = [folder for folder in run.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if checkpoint_steps(folder) is not None]
    passed: list[str] = []
    for folder in sorted(folders, key=lambda folder: checkpoint_steps(folder) or 0, reverse=True):
        reason = broken_part(folder)
        if not reason:
            return folder, passed
        passed.append(f"{folder}: {reason}")
    return None, passed


def check_checkpoint(folder: Path, recipe: str) -> None:
    """Raises InputError for a folder of --resume_from_checkpoint that training can't go on from as it began."""
    where = f"--resume_from_checkpoint {folder}"
    if not (folder / "trainer_state.json").exists():
        reason = "has no trainer_state.json" if folder.is_dir() else "no such folder"
        raise InputError(f"{where}: {reason}; name a checkpoint, e.g. runs/{recipe}-1/checkpoint-500")
    if not list(folder.glob("optimizer*")):
        raise InputError(
            f"{where}: holds no optimizer, so training would go on otherwise than it began; name a checkpoint of a run "
            "without --save_only_model"
        )
    if reason := damaged_file(folder):
        raise InputError(
            f"{where}: {reason}, as a writer that was killed or a full disk leaves it, expected a whole checkpoint; "
            "name an earlier one, or auto with --output_dir for the last whole one"
        )


def broken_part(checkpoint: Path) -> str:
    """What of a checkpoint is missing or cut short, as a writer that was killed leaves it; empty where it is whole."""
    state = checkpoint / "trainer_state.json"
    if not state.exists():
        return f"has no {state.name}"
    optimizers = list(checkpoint.glob("optimizer*"))
    if not optimizers:
        return "holds no optimizer"
    if not list(checkpoint.glob("*.safetensors")):
        return "holds no weights"
    # Without one of these the stock Trainer would go on, with a schedule or random numbers that begin anew.
    if any(file.is_file() for file in optimizers) and not (checkpoint / "scheduler.pt").exists():
        return "has no scheduler.pt"
    if not list(checkpoint.glob("rng_state*.pth")):
        return "has no rng_state.pth"
    return damaged_file(checkpoint)


def damaged_file(checkpoint: Path) -> str:
    """Which file of a checkpoint is missing among its weights, or was not written to its end; empty where none is."""
    for file in sorted(checkpoint.glob("*.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:  # of JSON, and of what is not UTF-8
            return f"{file.name} is not readable"
        if file.name.endswith(".safetensors.index.json"):
            parts = content.get("weight_map", {}) if isinstance(content, dict) else {}
            missing = {name for name in parts.values() if not (checkpoint / name).exists()}
            if missing:
                return f"has no {min(missing)}"
    for file in sorted(checkpoint.glob("*.safetensors")):
        if file.stat().st_size != _written_size(file):
            return f"{file.name} is cut short"
    for file in sorted([*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth")]):
        if file.is_file() and not zipfile.is_zipfile(file):  # as torch.save writes: its list of contents comes last
            return f"{file.name} is cut short"
    return ""


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


def checkpoint_steps(folder: Path) -> int | None:
    """The optimizer steps that a checkpoint's name tells; None of any other folder."""
    match = re.fullmatch(rf"{PREFIX_CHECKPOINT_DIR}-(\d+)", folder.name)
    return int(match[1]) if match and folder.is_dir() else None
