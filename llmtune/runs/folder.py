"""The files that a run leaves beside its weights: metrics.json, run.json. Each is written whole or not at all."""

import json
import math
import os
import platform
import resource
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llmtune.diagnosis.verdict import Verdict
from llmtune.metrics import Score, metrics_to_json

# A LoRA run whose base was built from scratch keeps the base here: it lies nowhere else.
BASE_FOLDER = "base_model"

# The packages whose version can change a number.
VERSIONED = (
    "llmtune",
    "torch",
    "transformers",
    "accelerate",
    "datasets",
    "peft",
    "tokenizers",
    "numpy",
    "scikit-learn",
)
SECRETS = ("hub_token", "push_to_hub_token")


def write_json(path: Path, content: Any) -> None:
    """Writes JSON. NaN and infinity are refused: they are no JSON."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_text(path: Path, content: str) -> None:
    """Writes beside, then renames: a reader never finds half a file."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(content, encoding="utf-8")
    os.replace(partial, path)


def write_metrics(folder: str | os.PathLike[str], scores: Mapping[str, Mapping[str, Score]]) -> None:
    """metrics.json: {split: {metric: {value, low, high, n, signature}}}; a baseline is the split `test/majority`."""
    write_json(Path(folder) / "metrics.json", {split: metrics_to_json(dict(of)) for split, of in scores.items()})


def baseline_splits(split: str, baselines: Mapping[str, dict[str, Score]]) -> dict[str, dict[str, Score]]:
    """The scores of the simple models on a split's rows, as metrics.json names them."""
    return {f"{split}/{name}": scores for name, scores in baselines.items()}


def describe_run(arguments: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The content of run.json.

    Args:
        arguments: of the run, by group; secrets are left out.
        facts: what was measured: data, model, training.
    """
    kept = {
        group: {key: value for key, value in values.items() if key not in SECRETS and value is not None}
        for group, values in arguments.items()
    }
    return {
        "arguments": _plain(kept),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
        "hardware": hardware(),
        **_plain(dict(facts)),
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }


def hardware() -> dict[str, Any]:
    """Processor, cores and accelerators of this machine."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    cpuinfo = Path("/proc/cpuinfo")
    models = (
        [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")] if cpuinfo.exists() else []
    )
    name = models[0].partition(":")[2].strip() if models else platform.processor()
    return {
        "cpu": name,
        "cores": len(os.sched_getaffinity(0)),
        "gpus": gpus,
        "system": f"{platform.system()} {platform.machine()}",
    }


def peak_memory_mib() -> float:
    """The most memory this process held so far, in MiB: on the GPU where it used one, else resident."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**20
    # ru_maxrss is in KiB, on macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _plain(value: Any) -> Any:
    """JSON values of dataclass dictionaries: enums, paths and numbers that are not finite become text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))  # the loss of a run that diverged: JSON has no NaN
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return str(value)


def write_verdict(folder: Path, verdict: Verdict) -> None:
    """verdict.json."""
    write_json(folder / "verdict.json", verdict.to_json())
