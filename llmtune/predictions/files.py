"""Reads the file of a predictions table: parquet, csv, tsv or jsonl. A cell is what it says.

pyarrow's own readers type a whole column at once: one empty cell made the lists of all other rows plain texts, and
texts that look like dates became timestamps. Here csv cells are texts, each converted alone, by what its column holds.
"""

import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from llmtune.arguments.regular_files import check_regular
from llmtune.errors import InputError, truncated_repr
from llmtune.predictions.cells import convert_cells, spelled_value
from llmtune.predictions.kinds import Kind, kind_named
from llmtune.text.arrow_texts import check_column_names, readable_names
from llmtune.text.delimited import other_separators, swallowed_rows, tsv_records
from llmtune.text.json_objects import REMEDY, RepeatedKeyError, parse_json

FORMATS = (".parquet", ".csv", ".tsv", ".jsonl")
# csv has no lists: in these columns a cell may be a JSON list (or a Python list, as pandas writes it).
LABEL_COLUMNS = ("reference", "prediction")


def read_table_file(path: Path, kind: str | None, *, label_separator: str | None = None) -> pa.Table:
    """All columns of the file, under their names, rows in file order.

    Args:
        path: .parquet, .csv, .tsv or .jsonl.
        kind: of the predictions; tells which columns of a csv or tsv hold lists or numbers.
        label_separator: of several labels in one text, what is between them.

    Raises:
        InputError: no such file, another ending, content that is not of this format, or a cell that its column can't
            hold, by row (from 0).
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; give a predictions table ({', '.join(FORMATS)})")
    check_regular(path)
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: ending {path.suffix!r} is not one of {', '.join(FORMATS)}")
    if path.suffix == ".parquet":
        try:
            table = pa.parquet.read_table(path)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]  # the others are the schema
            raise InputError(f"{path}: not readable as parquet: {reason}") from error
        readable_names(table, str(path))
        table = _with_answer_texts(table)
        for name in LABEL_COLUMNS:
            if label_separator and name in table.column_names and pa.types.is_string(table.column(name).type):
                sets = pa.array(split_labels_of_texts(table.column(name).to_pylist(), label_separator))
                table = table.set_column(table.column_names.index(name), name, sets)
        return table
    record = kind_named(kind, str(path)) if kind else None
    joined = LABEL_COLUMNS if label_separator and record and record.multi_label else ()
    columns = _read_jsonl(path) if path.suffix == ".jsonl" else _read_delimited(path, record, joined)
    return columns_to_arrow(columns, kind, path, label_separator=label_separator)


def columns_to_arrow(
    columns: Mapping[str, list[Any]], kind: str | None, where: str | Path, *, label_separator: str | None = None
) -> pa.Table:
    """Columns of Python values as a table of a kind; `where` begins the messages.

    Raises:
        InputError: a cell that its column can't hold, by row (from 0).
    """
    check_column_names(columns, str(where))
    columns, record = dict(columns), kind_named(kind, str(where)) if kind else None
    if record and record.multi_label and label_separator:
        joined = [name for name in LABEL_COLUMNS if name in columns]
        columns |= {name: split_labels_of_texts(columns[name], label_separator) for name in joined}
    if record and record.free_text and "reference" in columns:
        columns["reference"] = _one_type(columns["reference"])
    if record and record.multi_label:  # likewise: a list can't hold "1" beside 1
        for name in LABEL_COLUMNS:
            if name in columns:
                columns[name] = [to_label_set(cell, where, name, row) for row, cell in enumerate(columns[name])]
    if record and record.single_label:  # here, because an Arrow column can't hold a class "1" beside a class 1
        columns |= {name: to_labels(columns[name], where, name) for name in LABEL_COLUMNS if name in columns}
    return _with_answer_texts(pa.table({name: _to_arrow(where, name, cells) for name, cells in columns.items()}))


def _with_answer_texts(table: pa.Table) -> pa.Table:
    """References as SQuAD lays them out, {text, answer_start}, as their texts; any other table as it is."""
    if "reference" not in table.column_names:
        return table
    references = table.column("reference")
    if not pa.types.is_struct(references.type) or references.type.get_field_index("text") < 0:
        return table
    texts = pc.struct_field(references, "text")
    return table.set_column(table.column_names.index("reference"), "reference", texts)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path} line {line}: not readable as {path.suffix[1:]}: byte 0x{error.object[error.start]:02x} is not "
            "UTF-8; convert the file to UTF-8"
        ) from error


def _read_jsonl(path: Path) -> dict[str, list[Any]]:
    records: list[dict[str, Any]] = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except RepeatedKeyError as error:
            raise InputError(f"{path} line {number}: {error}; {REMEDY}") from error
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path} line {number}: not readable as jsonl: {error}; write one object a line"
            ) from error
        if not isinstance(record, dict):
            raise InputError(
                f"{path} line {number}: not readable as jsonl: {truncated_repr(record)} is not an object; write one "
                'object a line, such as {"reference": …, "prediction": …}'
            )
        records.append(record)
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def _read_delimited(path: Path, kind: Kind | None, as_texts: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Csv as RFC 4180 has it; in tsv a quotation mark is a letter, as GLUE and most NLP sets write it.

    Cells of the columns `as_texts` stay as they are.
    """
    records = list(_tsv_records(path) if path.suffix == ".tsv" else _csv_records(path))
    if not records:
        raise InputError(f"{path}: not readable as {path.suffix[1:]}: Empty CSV file; write a header and a line a row")
    header, rows = records[0][1], records[1:]
    if separators := other_separators(header):
        raise InputError(
            f"{path}: the columns seem separated by {separators}: found the one name {truncated_repr(header[0])}; save "
            "it with commas as .csv, or with tabs as .tsv"
        )
    repeated = next((name for name in header if header.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"{path}: the header names {repeated!r} twice; rename one of {header}")
    for row, (line, record) in enumerate(rows):
        _check_record(record, header, path, row, line)
    if path.suffix == ".csv":
        _check_quoting(rows, header, path)
    columns = list(map(list, zip(*(record for _, record in rows), strict=True))) if rows else [[] for _ in header]
    return {
        name: cells if name in as_texts else convert_cells(path, kind, name, cells)
        for name, cells in zip(header, columns, strict=True)
    }


def _csv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Last line (from 1) and cells of each record; blank lines are none."""
    limit = csv.field_size_limit(sys.maxsize)  # the csv module's own limit is 131,072 characters a field
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        yield from ((reader.line_num, record) for record in reader if record)
    except csv.Error as error:
        raise InputError(
            f"{path} line {reader.line_num}: not readable as csv: {error}; double a quotation mark inside a quoted cell"
        ) from error
    finally:
        csv.field_size_limit(limit)


def _tsv_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    return ((line, record) for line, record in tsv_records(_text(path)) if record)


def _check_record(record: list[str], header: list[str], path: Path, row: int, line: int) -> None:
    where = f"{path} row {row} (line {line})"
    if len(record) != len(header):
        remedy = (
            "delete tabs and line breaks inside cells; a sheet whose cells hold them is saved as CSV UTF-8"
            if path.suffix == ".tsv"
            else "put a cell that holds a comma or a line break in double quotes"
        )
        raise InputError(
            f"{where}: not readable as {path.suffix[1:]}: found {len(record)} cells, the header has {len(header)}; "
            f"{remedy}"
        )


def _check_quoting(rows: list[tuple[int, list[str]]], header: list[str], path: Path) -> None:
    for row, column, count in swallowed_rows([record for _, record in rows], header):
        raise InputError(
            f"{path} row {row} (line {rows[row][0]}): column {column!r} holds the line breaks and commas of {count} "
            "whole rows: a quotation mark that begins a cell ends only at the next one; write a quotation mark as "
            '"" inside a cell in double quotes'
        )


def _one_type(cells: list[Any]) -> list[Any]:
    """References of which some are lists: all are, because an Arrow column has one type."""
    if not any(isinstance(cell, list) for cell in cells):
        return cells
    return [[cell] if isinstance(cell, str) else cell for cell in cells]


def _to_arrow(path: str | Path, name: str, cells: Sequence[Any]) -> pa.Array:
    if _fits(cells):
        return pa.array(cells)
    fits, fails = 0, len(cells)  # a prefix that fits, and one that does not: the border is between them
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if _fits(cells[:middle]) else (fits, middle)
    raise InputError(
        f"{path} row {fits}: column {name!r} holds {truncated_repr(cells[fits])}, which is not valid Unicode or of "
        "another type than the rows before it; make the column one type"
    )


def to_labels(cells: Sequence[Any], where: str | Path, column: str) -> list[str]:
    """A column of classes as texts.

    Raises:
        InputError: a cell without a class, or with something that is none, by row (from 0).
    """
    labels = []
    for row, cell in enumerate(cells):
        label = to_label(cell)
        if label is None:
            finding = (
                "is empty"
                if cell is None or cell != cell or isinstance(cell, str)
                else f"{truncated_repr(cell)} is no label"
            )
            raise InputError(f"{where} row {row}: {column} {finding}; write the name of one class, or delete the row")
        labels.append(label)
    return labels


def split_labels_of_texts(cells: Sequence[Any], separator: str) -> list[Any]:
    """Texts of several labels as lists, an empty one and null as the empty set; what is or spells a list stays one.

    >>> split_labels_of_texts(["toxic; insult", "toxic", "", '["a;b"]', ["c"]], ";")
    [['toxic', 'insult'], ['toxic'], [], ['a;b'], ['c']]
    """
    return [_labels_of_text(cell, separator) for cell in cells]


def _labels_of_text(cell: Any, separator: str) -> Any:
    if cell is None or cell != cell:
        return []
    if not isinstance(cell, str):
        return cell
    spelled = spelled_value(cell)
    return spelled if isinstance(spelled, list) else [part.strip() for part in cell.split(separator) if part.strip()]


def to_label_set(cell: Any, where: str | Path, column: str, row: int) -> list[str]:
    """The labels of a row as texts.

    Raises:
        InputError: the cell is no list, or holds what is no label.
    """
    labels = [to_label(label) for label in cell] if isinstance(cell, list) else [None]
    if None in labels:
        finding = "is empty (null)" if cell is None else f"{truncated_repr(cell)} is no list of labels"
        raise InputError(
            f'{where} row {row}: {column} {finding}; write a list, such as ["toxic", "insult"], [] for none; cells '
            "such as toxic;insult need --label_separator ';'"
        )
    return [label for label in labels if label is not None]


def to_label(cell: Any) -> str | None:
    """A class as text: 1, 1.0 and "1" are "1", true is "true"; None for null, NaN, an empty text, a list.

    >>> [to_label(cell) for cell in ("spam", 1, 1.0, True, 0.5, float("nan"), "", ["spam"])]
    ['spam', '1', '1', 'true', '0.5', None, None, None]
    """
    if isinstance(cell, str):
        return cell if cell.strip() else None
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return None if cell != cell else f"{cell:.0f}" if cell.is_integer() else str(cell)
    return str(cell) if isinstance(cell, int) else None


def _fits(cells: Sequence[Any]) -> bool:
    try:
        pa.array(cells)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return False
    return True
