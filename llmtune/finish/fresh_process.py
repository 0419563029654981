"""`python -m llmtune.finish.fresh_process`: loads saved models as a stranger would, and predicts rows with them.

Each line of stdin names a folder that holds `request.json` and `rows.parquet`; `answer.json` and, where the model could
be used, `table.parquet` are written there. The models are loaded by the lines that a card tells, from what lies in
their folder alone: not by `load_run`, which knows what our runs may lack.
"""

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import datasets
import torch
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, GenerationConfig
from transformers.utils import GENERATION_CONFIG_NAME

from llmtune.errors import DiskFault, InputError
from llmtune.inference import inference_trainer, predict
from llmtune.models.loading import quantization_config, without_loading_report
from llmtune.models.onnx_model import OnnxModel
from llmtune.predictions import write_predictions
from llmtune.runs.folder import BASE_FOLDER
from llmtune.tasks.task import Task
from llmtune.trained_models import load_task
from llmtune.training.hardware import be_killed_first, configure_cpu
from llmtune.whole_files import whole_file

REQUEST, ROWS, ANSWER, TABLE = "request.json", "rows.parquet", "answer.json", "table.parquet"
UNWRITTEN = "its answer could not be written"  # begins the last line of stderr where the disk refuses
# What loaders and tokenizers say of files that don't fit each other; anything else ends the process, and is told too.
REFUSALS = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, IndexError, SafetensorError)


@dataclass(frozen=True)
class Request:
    """What the fresh process is asked.

    Args:
        model: the folder of the saved model.
        split: that the rows are of.
        settings: of the task, as the config shall hold them.
        bits: of the base's weights, 4 or 8, as they were in training; None for full ones.
        trust_remote_code: run Python code that came with the checkpoint.
        cpu_threads: of this process; None for all.
        batch_size: rows at once.
        onnx: the file of the folder that onnxruntime computes, in the place of its weights.
    """

    model: str
    split: str
    settings: dict[str, Any]
    bits: int | None = None
    trust_remote_code: bool = False
    cpu_threads: int | None = None
    batch_size: int = 8
    onnx: str | None = None

    def write(self, folder: Path) -> None:
        """Into its folder."""
        (folder / REQUEST).write_text(json.dumps(asdict(self)), encoding="utf-8")


def main() -> None:
    """Answers one request after another, until stdin ends."""
    be_killed_first()
    datasets.disable_progress_bars()
    for line in sys.stdin:
        folder = Path(line.rstrip("\n"))
        request = Request(**json.loads((folder / REQUEST).read_text(encoding="utf-8")))
        content = json.dumps(answer(request, folder))
        try:
            with whole_file(folder / ANSWER) as partial:
                partial.write_text(content, encoding="utf-8")
        except DiskFault as error:
            sys.exit(f"{UNWRITTEN}: {error}")


def answer(request: Request, folder: Path) -> dict[str, Any]:
    """Writes the table; what is to be said of it: `settings` that differ, `new_weights`, and why it is `refused`.

    `no_room`: that is no fault of the model, but of memory or disk.
    """
    said: dict[str, Any] = {"settings": {}, "new_weights": [], "refused": "", "no_room": False}
    configure_cpu(request.cpu_threads)
    try:
        task = load_task(request.model, trust_remote_code=request.trust_remote_code)
        said["settings"] = different(request.settings, task_settings(task))
        rows = datasets.Dataset.from_parquet(str(folder / ROWS), keep_in_memory=True)
        with without_loading_report():
            tokenizer, model, said["new_weights"] = load_plainly(request, task)
        search = search_settings(model)
        write_predictions(scored(task, tokenizer, model, rows, request), folder / TABLE)
        # The task has set the search of the run by now; a plain `generate` reads what was saved.
        said["settings"] |= different(search_settings(model), search)
    except torch.OutOfMemoryError as error:
        said |= {"refused": str(error).split("\n")[0], "no_room": True}
    except DiskFault as error:
        said |= {"refused": error.finding, "no_room": True}
    except REFUSALS as error:
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        said["refused"] = kind + " ".join(str(error).split())[:600]
    return said


def load_plainly(request: Request, task: Task) -> tuple[Any, Any, list[str]]:
    """Tokenizer, model, and the weights that its files do not hold."""
    name, auto = request.model, task.auto_model
    trusted = {"trust_remote_code": request.trust_remote_code}
    tokenizer = AutoTokenizer.from_pretrained(name, **trusted) if task.reads_text else None
    if request.onnx is not None:
        return tokenizer, OnnxModel(Path(name, request.onnx), AutoConfig.from_pretrained(name, **trusted)), []
    if not (Path(name) / "adapter_config.json").exists():
        model, report = auto.from_pretrained(name, output_loading_info=True, **trusted)
        new = {*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])}
        return tokenizer, model.eval(), sorted(new)
    config = AutoConfig.from_pretrained(name, **trusted)
    held = {}
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    if request.bits:
        held["quantization_config"] = quantization_config(request.bits, auto, config)
    adapter, own = PeftConfig.from_pretrained(name), Path(name) / BASE_FOLDER
    base = auto.from_pretrained(
        str(own) if own.exists() else str(adapter.base_model_name_or_path),
        revision=None if own.exists() else adapter.revision,
        config=config,
        ignore_mismatched_sizes=True,
        **held,
        **trusted,
    )
    if tokenizer is not None and len(tokenizer) > base.get_input_embeddings().num_embeddings:
        base.resize_token_embeddings(len(tokenizer))
    if (Path(name) / GENERATION_CONFIG_NAME).exists():
        base.generation_config = GenerationConfig.from_pretrained(name)
    return tokenizer, PeftModel.from_pretrained(base, name).eval(), []


def scored(task: Task, tokenizer: Any, model: Any, rows: datasets.Dataset, request: Request) -> Any:
    """The predictions table of the rows, computed with their padding: as any program does."""
    encoded = task.encode(rows, tokenizer, request.split)
    with tempfile.TemporaryDirectory(prefix="llmtune-") as scratch:
        trainer = inference_trainer(
            model, tokenizer, task, output_dir=scratch, batch_size=request.batch_size, padding_free=False
        )
        return task.tabulate(predict(trainer, task, encoded), encoded)


def search_settings(model: Any) -> dict[str, Any]:
    """How the model writes, but for the version that says so; empty of one that writes nothing."""
    config = getattr(model, "generation_config", None)
    settings = {} if config is None else json.loads(config.to_json_string(use_diff=True))
    return {name: value for name, value in settings.items() if name != "transformers_version"}


def task_settings(task: Task) -> dict[str, Any]:
    """What the config of a model of this task says of it, as JSON gives it back."""
    settings: dict[str, Any] = json.loads(json.dumps({**task.head_config(), **task.to_config()}))
    return settings


def different(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By name the settings that are not the same; one within another is named after both, `scales.a`."""
    pairs = {name: (before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after])}
    unlike: dict[str, tuple[Any, Any]] = {}
    for name, (old, new) in pairs.items():
        if isinstance(old, dict) and isinstance(new, dict):
            unlike |= {f"{name}.{inner}": pair for inner, pair in different(old, new).items()}
        elif old != new:
            unlike[name] = (old, new)
    return unlike


if __name__ == "__main__":
    main()
