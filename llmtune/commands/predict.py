"""`llmtune predict`: a trained model on rows without labels; leaves one table, written beside and then renamed."""

import csv
import json
import math
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from llmtune.arguments import DataArguments
from llmtune.commands.models import load_task, run_model
from llmtune.data.files import read_rows
from llmtune.data.rows import Rows, to_arrow
from llmtune.errors import InputError
from llmtune.terminal.console import Terminal

Columns = Mapping[str, list[Any]]
INPUT_NAMES = ("text", "question", "context", "source")  # of ours, those that the input may hold already


def predict(
    *,
    model: str,
    input_file: str,
    output_file: str,
    text_column: str = "text",
    question_column: str = "question",
    context_column: str = "context",
    source_column: str | None = None,
    prompt_column: str | None = None,
    messages_column: str | None = None,
    input_format: str | None = None,
    document_start: str | None = None,
    max_length: int | None = None,
    stride: int | None = None,
    per_device_eval_batch_size: int = 32,
    cpu_threads: int | None = None,
    overwrite: bool = False,
) -> None:
    """Predicts with the threshold and preprocessing that evaluation uses. Call it on every process.

    The output has every column of the input under its own name, then ours; `id` counts rows where the input has none.
    """
    output = Path(output_file)
    check_output(output, Path(input_file), overwrite=overwrite)
    reading = {"input_format": input_format, "document_start": document_start}
    task = load_task(model).read_as(**reading, max_length=max_length, stride=stride)
    columns = {"text": text_column, "question": question_column, "context": context_column, "answers": "answers"}
    named = {"source": source_column, "prompt": prompt_column, "messages": messages_column}
    columns |= {name: given for name, given in named.items() if given}
    rows, _ = task.read_split(DataArguments(test_file=input_file), columns, labeled=False)
    source = read_rows(input_file)
    carried = {name: carried_cells(source, name, output.suffix) for name in source.columns}
    terminal = Terminal()
    outputs = run_model(model, task, rows, batch_size=per_device_eval_batch_size, cpu_threads=cpu_threads)
    if not outputs.main_process:
        return
    answers, lines = task.predicted_columns(outputs.outputs, outputs.encoded)
    table, renamed = joined(carried, answers)
    write_table(table, output)
    notes = [f"the input has a column {name!r}: ours is {ours!r}" for name, ours in renamed.items()]
    said = [f"{len(rows):,} rows of {input_file}", *lines, outputs.truncation, *notes, f"written to {output}"]
    terminal.block("Predictions", said)


def carried_cells(source: Rows, name: str, ending: str) -> Any:
    """A column of the input as a file of this ending can hold it.

    Raises:
        InputError: a parquet column needs cells of one type, and these are not.
    """
    column = source.columns[name]
    if isinstance(column, pa.ChunkedArray) and name not in source.class_names and ending == ".parquet":
        return column  # times keep their precision
    cells = source.cells(name)
    return to_arrow(source, name, cells) if ending == ".parquet" else cells


def joined(carried: Mapping[str, Any], answers: Columns) -> tuple[dict[str, Any], dict[str, str]]:
    """The columns of the output, and the new names of ours whose name the input has.

    What the model read stands there once: under the user's name, where that is ours too.

    >>> joined({"id": ["a"], "score": [7]}, {"score": [0.5]})
    ({'id': ['a'], 'score': [7], 'llmtune_score': [0.5]}, {'score': 'llmtune_score'})
    """
    table: dict[str, Any] = dict(carried)
    if "id" not in table:
        table = {"id": list(range(len(next(iter(answers.values()))))), **table}
    renamed: dict[str, str] = {}
    for name, cells in answers.items():
        if name == "id":
            continue  # the input's own, or counted above
        if name not in carried:
            table[name] = cells
        elif name not in INPUT_NAMES or not any(_same(column, cells) for column in carried.values()):
            renamed[name] = free_name(f"llmtune_{name}", {*table, *answers})
            table[renamed[name]] = cells
    return table, renamed


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, numbered where it is taken: a table that was predicted on before.

    >>> free_name("llmtune_score", ["llmtune_score", "llmtune_score_2"])
    'llmtune_score_3'
    """
    number, free = 2, name
    while free in taken:
        number, free = number + 1, f"{name}_{number}"
    return free


def _same(column: Any, cells: list[Any]) -> bool:
    return (column.to_pylist() if isinstance(column, pa.Array | pa.ChunkedArray) else column) == cells


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
            row = dict(zip(columns, map(_as_json, values), strict=True))
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _as_json(value: Any) -> Any:
    """As JSON can hold it: no NaN; times, decimals and bytes of a parquet file as text."""
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _write_csv(columns: Columns, path: Path) -> None:
    """Lists and objects become JSON: csv has none."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for values in zip(*columns.values(), strict=True):
            writer.writerow(
                json.dumps(_as_json(value), ensure_ascii=False) if isinstance(value, list | dict) else value
                for value in values
            )


WRITERS: dict[str, Callable[[Columns, Path], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
}
