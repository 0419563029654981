"""`llmtune export RUN --format onnx --output_dir D`: a run for onnxruntime, checked to be the measured model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from llmtune.arguments.ranges import check_number
from llmtune.benchmark.forward_speed import forward_speed
from llmtune.errors import InputError
from llmtune.finish.exported_model import ExportedModelCheck
from llmtune.finish.saved_model import spread_rows, tolerance, tolerance_of_run
from llmtune.models.checkpoints import FLOAT32_TOLERANCE, load_run
from llmtune.models.onnx_model import (
    EXPORT_PACKAGES,
    INT8_FILE,
    ONNX_FILE,
    OnnxModel,
    check_export_packages,
    export_onnx,
    megabytes,
    quantize_int8,
    random_drift,
)
from llmtune.predictions import Predictions
from llmtune.runs.folder import RunFolder, check_new_folder, hardware, write_json
from llmtune.runs.tables import open_table
from llmtune.tasks.registry import tasks
from llmtune.tasks.task import Task
from llmtune.tasks.text_windows import COUNTS
from llmtune.terminal.document import print_document, terminal_beside
from llmtune.text.shorten import join_names
from llmtune.trained_models import load_task
from llmtune.training.batching import LongestFirstSampler
from llmtune.training.hardware import configure_cpu
from llmtune.whole_files import whole_folder

EXPORT_RECORD = "export.json"
MOST_TIMED, MOST_ALONE = 256, 32  # rows
Inputs = tuple[list[dict[str, torch.Tensor]], list[dict[str, torch.Tensor]]]
PYTORCH, FP32, INT8 = "pytorch", "fp32", "int8"


@dataclass(frozen=True)
class LoadedRun:
    """A run as it is exported.

    Args:
        task: that its config says.
        tokenizer: of it.
        model: float32, the adapter added.
        inputs: names of what the model reads of each row.
        stored: dtype of its weights in the run.
    """

    task: Task
    tokenizer: Any
    model: Any
    inputs: tuple[str, ...]
    stored: str


def export(
    *,
    run_folder: str,
    output_dir: str,
    int8: bool = False,
    predictions: str | None = None,
    max_eval_samples: int | None = None,
    per_device_eval_batch_size: int = 32,
    cpu_threads: int | None = None,
    seed: int = 42,
    trust_remote_code: bool = False,
    output_format: str = "text",
) -> None:
    """Writes ONNX files, config, tokenizer and export.json; says what they lose and how fast they are."""
    check_export_packages()
    output = Path(output_dir)
    check_new_folder(output)
    check_number("per_device_eval_batch_size", per_device_eval_batch_size)
    check_number("cpu_threads", cpu_threads)
    task = exportable_task(run_folder, trust_remote_code=trust_remote_code)
    run = RunFolder(run_folder)
    terminal = terminal_beside(output_format)
    table = rows_to_score(run, task, predictions, max_eval_samples)
    configure_cpu(cpu_threads)
    loaded = load_whole(run, task, table, trust_remote_code=trust_remote_code)
    check = ExportedModelCheck(
        run_folder,
        task,
        table,
        relative=max(
            tolerance(loaded.stored, "fp32", FLOAT32_TOLERANCE), 0.0 if predictions else tolerance_of_run(run)
        ),
        most=max_eval_samples or len(table),
        cpu_threads=cpu_threads,
        trust_remote_code=trust_remote_code,
    )
    with whole_folder(output) as partial:
        files = write_files(loaded, partial, int8=int8)
        rescored = check.rescored(partial, list(files.values()))
        same = check.require_same(rescored[0])
        models = {
            name: {"file": file, "megabytes": round(megabytes(partial / file), 3)}
            | check.loss_of(answers, file, seed=seed)
            for (name, file), answers in zip(files.items(), rescored, strict=True)
        }
        drift = require_same_logits(loaded, partial, run_folder)
        weights = sum(each.numel() * each.element_size() for each in loaded.model.parameters())
        models = {PYTORCH: {"megabytes": round(weights / 1e6, 3)}, **models}
        for name, speed in measured_speed(loaded, table, partial, files, per_device_eval_batch_size).items():
            models[name] |= speed
        document = {
            "run": run_folder,
            "output_dir": output_dir,
            **facts_of_export(loaded, partial),
            "saved_model": same,
            "largest_relative_difference_of_random_tokens": drift,
            "models": models,
            "rows_at_once": per_device_eval_batch_size,
            "hardware": {**hardware(), "threads": torch.get_num_threads()},
        }
        write_json(partial / EXPORT_RECORD, document)
    terminal.block("Export", export_lines(document))
    print_document(document, output_format)


def exportable_task(run_folder: str, *, trust_remote_code: bool) -> Task:
    """The task of a run.

    Raises:
        InputError: no such run, or its models write, or read numbers.
    """
    if not Path(run_folder).is_dir():
        raise InputError(f"{run_folder}: no such folder; give the --output_dir of a recipe, or of llmtune merge")
    task = load_task(run_folder, trust_remote_code=trust_remote_code)
    if not task.onnx_outputs:
        served = [name for name, each in tasks().items() if each.onnx_outputs]
        raise InputError(
            f"{run_folder}: a {task.name} model is not exported to ONNX; exported are {', '.join(served)}, which read "
            "texts and answer in one pass. Use the run as it is (llmtune predict); a model that writes is served by "
            "transformers serve or vLLM, after llmtune merge where it is an adapter"
        )
    return task


def rows_to_score(run: RunFolder, task: Task, predictions: str | None, most: int | None) -> Predictions:
    """The test rows, as the run predicted them.

    Raises:
        InputError: there are none, they are of another task, or of weights in 4 or 8 bits.
    """
    check_number("max_eval_samples", most)
    if predictions is not None:
        table = open_table(Path(predictions))
        where = f"--predictions {predictions}"
    elif run.table_path("test").exists():
        if run.bits:
            raise InputError(
                f"{run.path}: was scored on weights of {run.bits} bits, which ONNX does not hold; llmtune merge it, "
                "run llmtune evaluate on the merged model, and export that with its table as --predictions"
            )
        table, where = run.table("test"), str(run.table_path("test"))
    else:
        raise InputError(
            f"{run.path}: holds no predictions/test.parquet that the exported model could be checked by; run llmtune "
            f"evaluate --model {run.path}, and give the predictions/test.parquet that it writes as --predictions"
        )
    unlike = unlike_table(table, task)
    if unlike:
        raise InputError(
            f"{where}: {unlike} of this {task.name} model; give the table that llmtune evaluate writes of it, or "
            f"restore {run.path}"
        )
    return table


def unlike_table(table: Predictions, task: Task) -> str:
    """What makes a table none that this task wrote of its test rows; empty of one that may be."""
    if table.kind != task.kind or not len(table):
        return f"holds {len(table):,} rows of kind {str(table.kind)!r}, expected {task.kind!r}"
    labels = task.example_table().label_names
    if set(labels) != set(table.label_names):
        return f"has the labels {', '.join(table.label_names)}, expected {', '.join(labels)}"
    computed = (*table.kind.number_columns, "probabilities", "probability", "score")
    if not any(table.has(name) for name in computed):
        return "has no probabilities, expected those"
    try:
        task.rescored(table)
    except KeyError as error:
        return f"lacks a column that is read again ({error.args[0]}), expected the rows"
    return ""


def load_whole(run: RunFolder, task: Task, table: Predictions, *, trust_remote_code: bool) -> LoadedRun:
    """The run's model in float32, its adapter added to the base, and what it reads of the rows of `table`."""
    tokenizer, model = load_run(run.path, task.auto_model, quantized=False, trust_remote_code=trust_remote_code)
    stored = str(model.dtype).removeprefix("torch.")
    model = model.float()
    plain = model.merge_and_unload() if isinstance(model, PeftModel) else model
    first, _ = model_inputs(task, tokenizer, table, [0], at_once=1)
    return LoadedRun(task, tokenizer, plain.eval(), tuple(first[0]), stored)


def model_inputs(task: Task, tokenizer: Any, table: Predictions, rows: Sequence[int], *, at_once: int) -> Inputs:
    """What a model reads of some rows: in batches, the longest first, as evaluation has them; and the first ones alone.

    Of rows that are cut into windows a batch is of so many windows, or of all windows of so many rows.
    """
    whole = task.rescored(table)
    assert whole is not None, "a table of rows that are answered in one pass holds them"
    dataset = task.encode(whole.select(rows), tokenizer).dataset
    collate = task.data_collator(tokenizer)

    def batch(places: Sequence[int]) -> dict[str, torch.Tensor]:
        tensors = collate([dataset[int(place)] for place in places])
        return {name: tensor for name, tensor in tensors.items() if name not in ("labels", COUNTS)}

    order = list(LongestFirstSampler(dataset).order)
    batches = [batch(order[begin : begin + at_once]) for begin in range(0, len(order), at_once)]
    return batches, [batch([place]) for place in range(min(MOST_ALONE, len(dataset)))]


def write_files(loaded: LoadedRun, folder: Path, *, int8: bool) -> dict[str, str]:
    """Config, tokenizer and ONNX files; the names of these by what they hold."""
    loaded.model.config.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    outputs = loaded.task.onnx_outputs
    export_onnx(loaded.model, loaded.tokenizer, folder / ONNX_FILE, inputs=loaded.inputs, outputs=outputs)
    if not int8:
        return {FP32: ONNX_FILE}
    quantize_int8(folder / ONNX_FILE, folder / INT8_FILE)
    return {FP32: ONNX_FILE, INT8: INT8_FILE}


def require_same_logits(loaded: LoadedRun, folder: Path, run_folder: str) -> float:
    """The largest relative difference of random tokens, of lengths that no test row may have.

    Raises:
        InputError: it is more than rounding.
    """
    exported = OnnxModel(folder / ONNX_FILE)
    length = int(loaded.task.to_config()["max_length"])
    drift = random_drift(loaded.model, exported, loaded.tokenizer, loaded.inputs, length)
    if not drift <= FLOAT32_TOLERANCE:
        raise InputError(
            f"{run_folder}: exported, it answers random tokens otherwise: logits are up to {drift:.3g} of the largest "
            f"apart, expected {FLOAT32_TOLERANCE:g} at most; nothing was written. Use the run as it is (llmtune "
            "predict), and report this as a bug of llmtune"
        )
    return drift


def measured_speed(
    loaded: LoadedRun, table: Predictions, folder: Path, files: Mapping[str, str], at_once: int
) -> dict[str, dict[str, Any]]:
    """Of PyTorch and of each file, in turn on the same padded batches of test rows and on as many threads."""
    rows = spread_rows(table, min(len(table), MOST_TIMED)).tolist()
    batches, alone = model_inputs(loaded.task, loaded.tokenizer, table, rows, at_once=at_once)
    exported = {name: OnnxModel(folder / file) for name, file in files.items()}
    return forward_speed({PYTORCH: loaded.model, **exported}, batches, alone, rows=len(rows))


def facts_of_export(loaded: LoadedRun, folder: Path) -> dict[str, Any]:
    """What export.json says of the model."""
    import onnx

    graph = onnx.load(str(folder / ONNX_FILE), load_external_data=False)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {
        "format": "onnx",
        "task": loaded.task.name,
        "model_type": config["model_type"],
        "settings": loaded.task.to_config(),
        "inputs": list(loaded.inputs),
        "outputs": list(loaded.task.onnx_outputs),
        "opset": next(each.version for each in graph.opset_import if not each.domain),
        "versions": {name: version(name) for name in ("torch", "transformers", *EXPORT_PACKAGES)},
    }


def export_lines(document: Mapping[str, Any]) -> list[str]:
    """The block at the terminal."""
    models = document["models"]
    files = ", ".join(f"{models[name]['file']} ({name})" for name in models if name != PYTORCH)
    inputs = join_names(document["inputs"])
    return [
        f"{document['run']} → {document['output_dir']}: {files}, of {inputs} (rows, tokens), opset {document['opset']}",
        f"saved_model: {document['saved_model']}",
        *(f"{name}: {agreement_words(models[name])}" for name in models if name != PYTORCH),
        *(f"{name}: {speed_words(facts)}" for name, facts in models.items()),
    ]


def agreement_words(facts: Mapping[str, Any]) -> str:
    """What a file decides otherwise, and what that costs."""
    alike = ""
    if "rows_decided_alike" in facts:
        share = facts["share_decided_alike"]
        alike = (
            f"{facts['rows_decided_alike']:,} of {facts['rows']:,} rows are decided as by the run "
            f"({share['value']:.2%} [{share['low']:.2%}, {share['high']:.2%}]); "
        )
    if facts["value"] is None or facts["of_run"] is None:
        return f"{alike}{facts['metric']} is undefined"
    if facts["identical"]:
        return f"{alike}{facts['metric']} is the run's, {facts['value']:.4g}"
    values = f"{facts['metric']} {facts['value']:.4g}, of the run {facts['of_run']:.4g}"
    if facts["low"] is None or facts["high"] is None:
        return f"{alike}{values} (no interval: {facts['reason']})"
    interval = f"{100 * facts['level']:g} % CI [{facts['low']:+.3g}, {facts['high']:+.3g}]"
    return f"{alike}{values}, difference {facts['difference']:+.3g}, {interval}"


def speed_words(facts: Mapping[str, Any]) -> str:
    """Size and speed."""
    words = f"{facts['megabytes']:,.1f} MB, {facts['rows_per_second']:,.0f} rows/s"
    latency = facts["latency"]
    return words if latency is None else f"{words}, a row alone {1000 * latency['p50']:.3g} ms (median)"
