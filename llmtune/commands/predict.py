"""`llmtune predict`: a trained model on rows without labels; leaves one table, written beside and then renamed."""

import csv
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from llmtune.arguments import DataArguments
from llmtune.commands.models import load_task, run_model
from llmtune.errors import InputError
from llmtune.terminal.console import Terminal

Columns = Mapping[str, list[Any]]


def predict(
    *,
    model: str,
    input_file: str,
    output_file: str,
    text_column: str = "text",
    question_column: str = "question",
    context_column: str = "context",
    source_column: str | None = None,
    per_device_eval_batch_size: int = 32,
    cpu_threads: int | None = None,
    overwrite: bool = False,
) -> None:
    """Predicts with the threshold and preprocessing that evaluation uses. Call it on every process."""
    output = Path(output_file)
    check_output(output, Path(input_file), overwrite=overwrite)
    task = load_task(model)
    columns = {"text": text_column, "question": question_column, "context": context_column, "answers": "answers"}
    columns |= {"source": source_column} if source_column else {}
    rows, _ = task.read_split(DataArguments(test_file=input_file), columns, labelled=False)
    terminal = Terminal()
    outputs = run_model(model, task, rows, batch_size=per_device_eval_batch_size, cpu_threads=cpu_threads)
    if not outputs.main_process:
        return
    answers, lines = task.predicted_columns(outputs.outputs, outputs.encoded)
    write_table({"id": list(range(len(rows))), **answers}, output)
    terminal.block(
        "Predictions", [f"{len(rows):,} rows of {input_file}", *lines, outputs.truncation, f"written to {output}"]
    )


def check_output(output: Path, source: Path, *, overwrite: bool) -> None:
    """Refuses an unknown ending, the input itself, and (without --overwrite) a file that exists."""
    if output.suffix not in WRITERS:
        raise InputError(f"--output {output}: ending {output.suffix!r} is not one of {', '.join(WRITERS)}")
    if not output.exists():
        return
    if output.is_dir():
        raise InputError(f"--output {output}: is a folder; name a file")
    if source.exists() and output.samefile(source):
        raise InputError(f"--output {output}: is the input itself; name another file")
    if not overwrite:
        raise InputError(f"--output {output}: exists; name another file, or give --overwrite to replace it")


def write_table(columns: Columns, output: Path) -> None:
    """Writes by the file's ending, whole or not at all."""
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    WRITERS[output.suffix](columns, partial)
    os.replace(partial, output)


def _write_parquet(columns: Columns, path: Path) -> None:
    pa.parquet.write_table(pa.table(dict(columns)), path)


def _write_jsonl(columns: Columns, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True))
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _write_csv(columns: Columns, path: Path) -> None:
    """Lists become JSON: csv has none."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for values in zip(*columns.values(), strict=True):
            writer.writerow(
                json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value for value in values
            )


WRITERS: dict[str, Callable[[Columns, Path], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
}
