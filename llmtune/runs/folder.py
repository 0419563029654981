"""A run on disk: each of its files is read at most once, and written whole or not at all."""

import json
import math
import os
import platform
import resource
import sys
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from llmtune.arguments.run_folder import RUN_MARKER
from llmtune.diagnosis.check import Check
from llmtune.diagnosis.context import TrainingLog
from llmtune.diagnosis.verdict import Verdict
from llmtune.errors import InputError
from llmtune.metrics import Score, metrics_to_json
from llmtune.predictions import Predictions
from llmtune.runs.contracts import Metrics, Run, RunScore, RunVerdict
from llmtune.runs.tables import open_table, with_positive_label
from llmtune.text.contracts import read_contract
from llmtune.whole_files import whole_file

# A LoRA run whose base was built from scratch keeps the base here: it lies nowhere else.
BASE_FOLDER = "base_model"
CONTINUATIONS = Path("predictions", "continuations", "test.parquet")  # what a language model writes, beside its scores

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


class RunFolder:
    """What a run, `llmtune evaluate` or `llmtune report` left in a folder; each file is read at most once.

    Args:
        path: of the folder.

    Raises:
        InputError: by the properties, of a file that is not what its name says.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._tables: dict[Path, Predictions] = {}

    @property
    def name(self) -> str:
        """Of the folder, without the way there."""
        return self.path.resolve().name

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The content of run.json; empty where there is none."""
        return self._read_json("run.json", Run, f"restore it, or name the tables in {self.path} one by one")

    @cached_property
    def metrics(self) -> dict[str, dict[str, Score]]:
        """Split → metric → score, as metrics.json has them, without reasons; empty where there is none."""
        content = self._read_json("metrics.json", Metrics, f"delete it and run llmtune report {self.path}")
        names = RunScore.model_fields
        return {
            split: {name: Score(**{key: score[key] for key in names}) for name, score in scores.items()}
            for split, scores in content.items()
        }

    @cached_property
    def verdict(self) -> Verdict | None:
        """That of verdict.json; None where there is none."""
        content = self._read_json("verdict.json", RunVerdict, f"delete it and run llmtune report {self.path}")
        return Verdict(content["verdict"], tuple(Check(**check) for check in content["checks"])) if content else None

    @property
    def leakage(self) -> Check | None:
        """What the run said of its own rows, which may be gone by now."""
        return self._check("leakage")

    @property
    def saved_model(self) -> Check | None:
        """What the run said of the model that it saved."""
        return self._check("saved_model")

    def _check(self, name: str) -> Check | None:
        checks = self.verdict.checks if self.verdict else ()
        return next((check for check in checks if check.check == name), None)

    def arguments(self, group: str) -> Mapping[str, Any]:
        """The run's arguments of a group; empty where there are none."""
        arguments: Mapping[str, Any] = self.settings.get("arguments", {}).get(group, {})
        return arguments

    @property
    def bits(self) -> int | None:
        """Of quantized base weights, 4 or 8; None where they are whole."""
        model = self.arguments("model")
        return next((bits for bits in (4, 8) if model.get(f"load_in_{bits}bit")), None)

    @property
    def training(self) -> TrainingLog:
        """What training left."""
        return TrainingLog.from_run(self.settings.get("training", {}))

    @cached_property
    def continuations(self) -> Predictions | None:
        """What a language model wrote after the beginnings of test rows; None where there is no such table."""
        path = self.path / CONTINUATIONS
        return open_table(path) if path.exists() else None

    @property
    def fold(self) -> str | None:
        """`i/K` where the run tested a fold."""
        fold: str | None = self.arguments("data").get("fold")
        return fold

    @property
    def is_own(self) -> bool:
        """Whether a recipe made the folder, with results that nobody else may replace."""
        return (self.path / RUN_MARKER).exists()

    def refuse_results(self, argument: str) -> None:
        """Raises InputError where the results of another table would replace the run's own, or can't lie at all."""
        if self.path.is_file():
            raise InputError(f"{argument}: is a file; name a folder")
        if self.is_own:
            raise InputError(f"{argument}: is a run with results of its own; name another folder")

    @property
    def is_adapter(self) -> bool:
        """Whether its weights are a LoRA adapter."""
        return (self.path / "adapter_config.json").exists()

    @property
    def holds_base(self) -> bool:
        """Whether the adapter's base lies in it."""
        return (self.path / BASE_FOLDER).exists()

    def table_path(self, split: str) -> Path:
        """Of a split's predictions table."""
        return self.path / "predictions" / f"{split}.parquet"

    def table(self, split: str, positive_label: str | None = None) -> Predictions:
        """The predictions of a split.

        Args:
            split: of the run.
            positive_label: of two labels, the one that precision, recall and F1 are about; default the run's own.

        Raises:
            InputError: there is no such table, or no such label in it.
        """
        if not self.table_path(split).exists():
            raise InputError(
                f"{self.path}: no predictions/{split}.parquet in this folder; give a run, an --output_dir of llmtune "
                "evaluate, or a predictions table"
            )
        return self._open(self.table_path(split), positive_label)

    def baselines(self, split: str, positive_label: str | None = None) -> dict[str, Predictions]:
        """By the name that a person reads, the simple models that the run compared with on this split."""
        paths = sorted((self.path / "predictions" / "baselines").glob("*.parquet"))
        tables = [(path.stem, self._open(path, positive_label)) for path in paths]
        return {str(table.settings.get("name", stem)): table for stem, table in tables if table.split == split}

    def _open(self, path: Path, positive_label: str | None) -> Predictions:
        if path not in self._tables:
            self._tables[path] = open_table(path)
        return with_positive_label(self._tables[path], str(path), positive_label)

    def _read_json(self, name: str, schema: type[BaseModel], remedy: str) -> dict[str, Any]:
        path = self.path / name
        return read_contract(path, schema, remedy) if path.exists() else {}


def make_folder(path: str | os.PathLike[str]) -> Path:
    """The folder for results, made if it is not there.

    Raises:
        InputError: a file stands in its place, or it may not be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: can't be made a folder ({error.strerror}); name another folder") from error
    return folder


def check_new_folder(folder: Path) -> None:
    """Raises InputError where the folder of `--output_dir` holds something, or is none."""
    if folder.is_file():
        raise InputError(f"--output_dir {folder}: is a file; name a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"--output_dir {folder}: exists and is not empty; name a new folder")


def write_json(path: Path, content: Any) -> None:
    """Writes JSON. NaN and infinity are refused: they are no JSON."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_text(path: Path, content: str) -> None:
    """Writes beside, then renames: a reader never finds half a file.

    Raises:
        DiskFault: it can't be written.
    """
    with whole_file(path, needed=len(content)) as partial:
        partial.write_text(content, encoding="utf-8")


def write_metrics(folder: str | os.PathLike[str], scores: Mapping[str, Mapping[str, Score]]) -> None:
    """metrics.json: {split: {metric: {value, low, high, n, signature}}}; a baseline is the split `test/majority`."""
    content = {split: metrics_to_json(dict(of_split)) for split, of_split in scores.items()}
    write_json(Path(folder) / "metrics.json", content)


def baseline_splits(split: str, baselines: Mapping[str, Mapping[str, Score]]) -> dict[str, Mapping[str, Score]]:
    """The scores of the simple models on a split's rows, as metrics.json names them."""
    return {f"{split}/{name}": scores for name, scores in baselines.items()}


def run_content(arguments: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The content of run.json.

    Args:
        arguments: of the run, by group; secrets are left out.
        facts: what was measured: data, model, training.
    """
    stated = {
        group: {key: value for key, value in values.items() if key not in SECRETS and value is not None}
        for group, values in arguments.items()
    }
    return {
        "arguments": _plain(stated),
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
