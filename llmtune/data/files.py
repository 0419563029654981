"""Reads a file: csv, tsv, json, jsonl, parquet, xlsx, txt or conll, each also .gz. Every row comes out, or nothing.

csv follows RFC 4180, in tsv a quotation mark is a letter; in both every cell stays the text it is: "007", "NA"
and "null" are not converted.
"""

import csv
import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet

from llmtune.arguments.regular_files import check_regular
from llmtune.data.annotation_exports import read_export
from llmtune.data.conll import read_sentences
from llmtune.data.json_rows import read_json, read_json_lines
from llmtune.data.rows import RowErrors, Rows, to_arrow
from llmtune.data.spreadsheets import read_sheet
from llmtune.errors import InputError
from llmtune.progress import progress
from llmtune.text.arrow_texts import check_column_names, check_readable
from llmtune.text.delimited import swallowed_rows, tsv_records

# What a text file must not begin with, and what such a file is.
BINARY_OPENINGS = {
    b"PAR1": "a parquet file; name it .parquet",
    b"\x1f\x8b": "gzip-compressed data; add .gz to its name",
    b"PK\x03\x04": "a zip or Excel file; unpack it, or name the sheet .xlsx",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
}


def read_table(path: str | os.PathLike[str]) -> pa.Table:
    """All columns of the file, as they are named there, in file order. Raises `InputError` as `read_rows` does."""
    rows = read_rows(path)
    return pa.table({name: to_arrow(rows, name, rows.cells(name)) for name in rows.columns})


def read_rows(path: str | os.PathLike[str]) -> Rows:
    """The rows of the file; its ending tells the format.

    Raises:
        InputError: the file is missing, empty, of an unknown ending, not what its ending says, or has unreadable rows.
    """
    path = Path(path).expanduser()
    reader = READERS.get(ending(path))
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected a file; give a folder with --dataset_name")
    if not path.exists():
        raise InputError(f"{path}: no such file (looked in {path.absolute().parent}); check the path")
    check_regular(path)
    if reader is None:
        raise InputError(
            f"{path}: unknown ending {ending(path)!r}, expected one of {', '.join(READERS)}, each also .gz; "
            f"rename or convert the file"
        )
    rows = reader(str(path), _content(path))
    check_column_names(rows.columns, str(path))
    if not len(rows):
        raise InputError(f"{path}: no rows (columns {list(rows.columns)}), expected at least one; fill the file")
    return read_export(rows)


def read_lines(source: str, content: bytes, column: str) -> Rows:
    """What a pipe gave: JSON objects, one a line, or texts, one a line.

    Args:
        source: what messages call it.
        content: all of it.
        column: that the texts are.

    Raises:
        InputError: as `read_rows` does.
    """
    content = _checked(source, content)
    if content.lstrip().startswith(b"{"):
        rows = _read_jsonl(source, content)
        check_column_names(rows.columns, source)
        return rows
    return Rows(source, {column: _lines(_text(source, content))}, unit="line")


def ending(path: Path) -> str:
    """The ending that tells the format: "train.CSV.gz" has ".csv"."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error
    if path.name.lower().endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(
                f"{path}: ends in .gz but is not whole gzip data ({error}); compress it again, or drop the .gz"
            ) from error
    return _checked(str(path), content)


def _checked(source: str, content: bytes) -> bytes:
    if not content.strip() or content == b"\xef\xbb\xbf":
        raise InputError(f"{source}: the file is empty, expected at least one row; fill it or name another")
    return content


def _text(source: str, content: bytes) -> str:
    for opening, finding in BINARY_OPENINGS.items():
        if content.startswith(opening):
            raise InputError(f"{source}: expected UTF-8 text, found {finding}")
    nul = content.find(b"\0")
    if nul >= 0:
        line = content.count(b"\n", 0, nul) + 1
        raise InputError(
            f"{source} line {line}: a NUL byte at offset {nul:,}: this is a binary file, expected UTF-8 text; "
            f"name the file that holds the text, or convert it"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        offset = error.start + len(content) - len(error.object)  # the codec counts from after the byte order mark
        line = content.count(b"\n", 0, offset) + 1
        raise InputError(
            f"{source} line {line}: byte 0x{content[offset]:02x} at offset {offset:,} is not UTF-8; convert the file "
            f"to UTF-8 (from Windows-1252: iconv -f WINDOWS-1252 -t UTF-8)"
        ) from error


def _read_delimited(
    source: str, parsed: Iterator[tuple[int, int, list[str]]], problems: RowErrors, remedy: str
) -> Rows:
    records: list[list[str]] = []
    lines: list[int] = []
    header = _header(source, next(parsed, None), problems)
    blank: list[tuple[int, int]] = []  # blank lines at the end are no rows; elsewhere they are bad ones
    for number, line, record in progress(parsed, f"reading {source}", unit="rows"):
        if not record:
            blank.append((number, line))
            continue
        for row, empty_line in blank:
            _add_misfit(problems, row, empty_line, [], header, remedy)
        blank.clear()
        if len(record) != len(header):
            _add_misfit(problems, number, line, record, header, remedy)
        records.append(record)
        lines.append(line)
    problems.stop()
    columns = dict(zip(header, map(list, zip(*records, strict=True)), strict=True)) if records else {}
    return Rows(source, columns or {name: [] for name in header}, lines=lines)


def _records(reader: Any, problems: RowErrors) -> Iterator[tuple[int, int, list[str]]]:
    """Number (the header is 0), first line and fields of each record; an unparsable one is noted and left to `stop`."""
    number = 0
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            end = f" to {reader.line_num}" if reader.line_num > line else ""
            place = f"row {number} (line {line}{end})" if number else f"header (line {line}{end})"
            finding = f"broken quoting: {error}" if str(error) != "unexpected end of data" else "a quote never closes"
            problems.add(number, place, finding, remedy='write a quote inside a quoted field as ""')
        else:
            yield number, line, record
        number += 1


def _header(source: str, first: tuple[int, int, list[str]] | None, problems: RowErrors) -> list[str]:
    if first is None or first[0] > 0:
        problems.stop()
    assert first is not None  # an empty file was refused before
    if not first[2]:
        raise InputError(f"{source} line 1: a blank line, expected the header (the names of the columns); delete it")
    header = [name or f"column {position}" for position, name in enumerate(first[2], start=1)]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InputError(f"{source} line 1: the header names {repeated[0]!r} twice; rename one of {header}")
    return header


def _add_misfit(problems: RowErrors, number: int, line: int, record: list[str], header: list[str], remedy: str) -> None:
    found = f"{len(record)} field{'s' if len(record) > 1 else ''}" if record else "a blank line"
    problems.add(
        number,
        f"row {number} (line {line})",
        f"found {found}, expected {len(header)} as in the header",
        remedy=remedy,
    )


@contextmanager
def _long_fields() -> Iterator[None]:
    """The csv module's limit of 131,072 characters a field is its own, not the format's: a document may be longer."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _read_csv(source: str, content: bytes) -> Rows:
    problems = RowErrors(source)
    remedy = "put a field that holds ',' or a line break in double quotes, and delete blank lines"
    with _long_fields():
        reader = csv.reader(io.StringIO(_text(source, content), newline=""), strict=True)
        rows = _read_delimited(source, _records(reader, problems), problems, remedy)
    header = list(rows.columns)
    for row, column, count in swallowed_rows(list(zip(*rows.columns.values(), strict=True)), header):
        finding = f"column {column!r} holds the line breaks and commas of {count} whole rows"
        finding += ": a quotation mark that begins a field ends only at the next one"
        problems.add(row, rows.place(row), finding, remedy='write a quotation mark as "" inside a quoted field')
    problems.stop()
    return rows


def _read_tsv(source: str, content: bytes) -> Rows:
    numbered = enumerate(tsv_records(_text(source, content)))
    records = ((number, line, record) for number, (line, record) in numbered)
    remedy = "delete tabs and line breaks inside fields, and blank lines: in tsv a quotation mark is a letter; a sheet "
    remedy += "whose cells hold them is saved as CSV UTF-8"
    return _read_delimited(source, records, RowErrors(source), remedy)


def _read_txt(source: str, content: bytes) -> Rows:
    return Rows(source, {"text": _lines(_text(source, content))}, unit="line")


def _read_conll(source: str, content: bytes) -> Rows:
    return read_sentences(source, _lines(_text(source, content)))


def _read_jsonl(source: str, content: bytes) -> Rows:
    return read_json_lines(source, _lines(_text(source, content).rstrip()))


def _read_json(source: str, content: bytes) -> Rows:
    return read_json(source, _text(source, content))


def _read_parquet(source: str, content: bytes) -> Rows:
    try:
        table = pyarrow.parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{source}: not readable as parquet ({reason}); write it again or mend its ending") from error
    return arrow_rows(source, table)


def arrow_rows(source: str, table: pa.Table) -> Rows:
    """The rows of a table; the features that `datasets` left in its schema tell the names of class ids.

    Raises:
        InputError: a text that is not UTF-8.
    """
    check_readable(table, source, first_row=1)
    class_names = {}
    if b"huggingface" in (table.schema.metadata or {}):
        for name, feature in datasets.Features.from_arrow_schema(table.schema).items():
            while isinstance(feature, datasets.List | datasets.LargeList):
                feature = feature.feature
            if isinstance(feature, datasets.ClassLabel):
                class_names[name] = feature.names
    columns = dict(zip(table.column_names, table.columns, strict=True))
    return Rows(source, columns, class_names=class_names)


def _lines(text: str) -> list[str]:
    """The lines of the text, ended by LF or CR LF: str.splitlines would also break at U+2028 and U+0085.

    A text without any LF is one of an old Mac or of Excel for it, where CR ends a line.
    """
    lines = text.split("\n" if "\n" in text else "\r")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


READERS: dict[str, Callable[[str, bytes], Rows]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
    ".xlsx": read_sheet,
    ".txt": _read_txt,
    ".conll": _read_conll,
    ".bio": _read_conll,
    ".iob": _read_conll,
}
