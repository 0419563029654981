"""`llmtune predict`: a trained model on rows without labels; leaves one table, written beside and then renamed."""

import csv
import json
import math
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from llmtune.data.columns import empty_text
from llmtune.data.files import read_lines, read_rows
from llmtune.data.in_memory import InMemoryData
from llmtune.data.rows import Rows, to_arrow
from llmtune.errors import InputError
from llmtune.tasks.sequence_task import SequenceTask
from llmtune.terminal.document import JSON, print_document, terminal_beside
from llmtune.text.shorten import row_count
from llmtune.trained_models import load_task, run_model
from llmtune.whole_files import whole_file

Columns = Mapping[str, list[Any]]
INPUT_NAMES = ("text", "text_pair", "question", "context", "source")  # of ours, those that the input may hold already


def predict(
    *,
    model: str,
    input_file: str | None = None,
    texts: Sequence[str] = (),
    text_pairs: Sequence[str] = (),
    output_file: str | None = None,
    text_column: str = "text",
    text_pair_column: str | None = None,
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
    trust_remote_code: bool = False,
    cpu_threads: int | None = None,
    overwrite: bool = False,
    output_format: str = "text",
) -> None:
    """Predicts with the threshold and preprocessing that evaluation uses. Call it on every process.

    The output has every column of the input under its own name, then ours; `id` counts rows where the input has none.
    A row without text gets null and a `reason`. Without `output_file` each row is a line of JSON on stdout.
    """
    output = None if output_file is None else Path(output_file)
    if (input_file is None) == (not texts):
        raise InputError("llmtune predict: give the rows with --input FILE, --input - for stdin, or --text TEXT …")
    if text_pairs and len(text_pairs) != len(texts):
        raise InputError(
            f"--text_pair: found {len(text_pairs)}, and {len(texts)} of --text; give a second text for each, in order"
        )
    if output is not None:
        check_output(output, Path(input_file or ""), overwrite=overwrite)
    task = load_task(model, trust_remote_code=trust_remote_code)
    if text_pairs and isinstance(task, SequenceTask) and task.is_foreign:  # the command tells that it reads pairs
        text_pair_column = text_pair_column or "text_pair"
    reading = {"input_format": input_format, "document_start": document_start, "text_pair_column": text_pair_column}
    task = task.read_as(**reading, max_length=max_length, stride=stride)
    columns = {"text": text_column, "question": question_column, "context": context_column, "answers": "answers"}
    named = {
        "text_pair": text_pair_column,
        "source": source_column,
        "prompt": prompt_column,
        "messages": messages_column,
    }
    columns |= {name: given for name, given in named.items() if given}
    inputs = task.input_columns(columns)
    source = open_source(input_file, texts, inputs, text_pairs)
    filled, reasons = fill_empty(source, inputs)
    rows, _ = task.read_split(InMemoryData.of_rows(filled, "test"), columns, labeled=False)
    ending = ".jsonl" if output is None else output.suffix
    carried = {name: carried_cells(source, name, ending) for name in source.columns} if task.answers_rows else {}
    terminal = terminal_beside(JSON if output is None else output_format)
    # Where no row has text, one is read in their place: which columns there are is the model's to say.
    kept = [row for row, reason in enumerate(reasons) if reason is None] or [0]
    outputs = run_model(
        model,
        task,
        rows.select(kept),
        batch_size=per_device_eval_batch_size,
        cpu_threads=cpu_threads,
        trust_remote_code=trust_remote_code,
    )
    if not outputs.main_process:
        return
    answers, lines = task.predicted_columns(outputs.outputs, outputs.encoded)
    if any(reasons):
        read = {name: source.cells(column) for name, column in inputs.items()}
        answers = {name: spread(cells, kept, reasons, read.get(name)) for name, cells in answers.items()}
        answers["reason"] = reasons
        lines.append(f"no prediction for {row_count(sum(map(bool, reasons)))} without text; column reason says so")
    table, renamed = joined(carried, answers)
    if output is not None:
        write_table(table, output)
    elif output_format != JSON:
        sys.stdout.writelines(json_lines(table))
    notes = [f"the input has a column {name!r}: ours is {ours!r}" for name, ours in renamed.items()]
    written = [] if output is None else [f"written to {output}"]
    said = [f"{row_count(len(rows))} of {source.source}", *lines, outputs.truncation, *notes, *written]
    terminal.block("Predictions", said)
    shown = [json.loads(line) for line in json_lines(table)] if output is None and output_format == JSON else None
    document = {"rows": len(rows), "notes": said, "output": output and str(output), "predictions": shown}
    print_document(document, output_format)


def open_source(
    input_file: str | None, texts: Sequence[str], inputs: Mapping[str, str], text_pairs: Sequence[str] = ()
) -> Rows:
    """The rows of a file, of stdin or of the command line; texts alone are the column that the model reads."""
    if input_file is not None and input_file != "-":
        return read_rows(input_file)
    column = next(iter(inputs.values()))
    if texts:
        if text_pairs and "text_pair" not in inputs:
            raise InputError(f"--text_pair: this model reads {' and '.join(inputs)} alone; leave it out")
        if len(inputs) > 1 and not text_pairs:
            remedy = "the second of each with --text_pair, or " if "text_pair" in inputs else ""
            raise InputError(
                f"--text: this model reads {' and '.join(inputs)}; give {remedy}rows that have both with --input FILE"
            )
        pairs = {inputs["text_pair"]: list(text_pairs)} if text_pairs else {}
        return Rows("--text", {column: list(texts), **pairs})
    return read_lines("stdin", sys.stdin.buffer.read(), column)


def fill_empty(source: Rows, inputs: Mapping[str, str]) -> tuple[Rows, list[str | None]]:
    """The rows with a word where there is no text, so that the others can be read; and why a row has none to predict.

    >>> fill_empty(Rows("f", {"text": ["words", ""]}), {"text": "text"})[1]
    [None, "no text ('') in column 'text'"]
    """
    reasons: list[str | None] = [None] * len(source)
    columns = dict(source.columns)
    for name in inputs.values():
        if name not in columns:
            continue  # said when the rows are read
        cells = source.cells(name)
        for row, finding in enumerate(map(empty_text, cells)):
            if finding:
                reasons[row] = reasons[row] or f"{finding} in column {name!r}"
                cells[row] = "-"
        columns[name] = cells
    class_names = {name: names for name, names in source.class_names.items() if name not in inputs.values()}
    return replace(source, columns=columns, class_names=class_names), reasons


def spread(cells: list[Any], kept: Sequence[int], reasons: Sequence[str | None], own: list[Any] | None) -> list[Any]:
    """Cells of the kept rows as cells of all rows: null, or the input's `own`, where there is a reason for none."""
    spread_cells = [None] * len(reasons) if own is None else list(own)
    for row, cell in zip(kept, cells, strict=True):
        if reasons[row] is None:
            spread_cells[row] = cell
    return spread_cells


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

    What the model read stands there once, under the user's name.

    >>> joined({"id": ["a"], "score": [7]}, {"score": [0.5]})
    ({'id': ['a'], 'score': [7], 'llmtune_score': [0.5]}, {'score': 'llmtune_score'})
    >>> joined({"id": [0], "message": ["hello"]}, {"text": ["hello"], "prediction": ["ham"]})
    ({'id': [0], 'message': ['hello'], 'prediction': ['ham']}, {})
    """
    table: dict[str, Any] = dict(carried)
    if "id" not in table:
        table = {"id": list(range(len(next(iter(answers.values()))))), **table}
    renamed: dict[str, str] = {}
    for name, cells in answers.items():
        if name == "id":
            continue  # the input's own, or counted above
        if name in INPUT_NAMES and any(_same(column, cells) for column in carried.values()):
            continue
        if name not in carried:
            table[name] = cells
        else:
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
    """Writes by the file's ending, whole or not at all.

    Raises:
        DiskFault: it can't be written.
    """
    with whole_file(output) as partial:
        WRITERS[output.suffix](columns, partial)


def _write_parquet(columns: Columns, path: Path) -> None:
    pa.parquet.write_table(pa.table(dict(columns)), path)


def _write_jsonl(columns: Columns, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json_lines(columns))


def json_lines(columns: Columns) -> Iterator[str]:
    """Each row as an object on a line."""
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, map(_as_json, values), strict=True))
        yield json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


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
