"""Changes of valid inputs: of their bytes, of values in JSON, of cells in csv, of columns in parquet, of arguments."""

import copy
import csv
import datetime
import decimal
import io
import json
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet

# What programs, spreadsheets and people put where something else is expected.
ODD_TEXTS = (
    *(
        "",
        " ",
        "\t",
        "\0",
        "\ufeff",
        "\u2028",
        "\u200b",
        "\x1b[31m",
        "NaN",
        "nan",
        "inf",
        "-1",
        "1e999",
        "null",
        "None",
    ),
    *("true", "[]", "{}", '["a"]', "[1, 2", "{'text': array(['a'])}", "0x10", "1_000", "007", "9" * 5000, "=1+1", "'"),
    *('"', '""', ",", ";", "a" * 10_000, "\ud7ff", "é" * 50, "<b>", "{text}", "B-PER", "I-", "B-", "../../etc/passwd"),
)
ODD_VALUES: tuple[Any, ...] = (
    *ODD_TEXTS,
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308),
    *(float("nan"), float("inf"), [], {}, [None], [[]], [1, "a"], {"": None}, {"text": None}, [{"start": -1}]),
)
TOKENS = (
    *(b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\r", b"\n\n", b"\r\n", b'"', b"[" * 2000, b'{"a":' * 2000),
    *(b"NaN", b"Infinity", b"1e999", b"null", b"\\ud800", b"\\u0000", b"9" * 5000, b"-DOCSTART-", b"# ", b"PAR1"),
    *(b"!!python/object:os.system", b"&a [*a]", b"<<: *x", b"{{", b"{% x %}", b"\xf0\x9f\x98\x80"),
)
WORDS = ("nan", "inf", "-inf", "-1", "0", "0.5", "1e400", "1e-400", str(2**31), str(2**64), "True", "", "x", "[]", "{}")


def mutate(draw: random.Random, form: str, seeds: tuple[bytes, ...], current: bytes | None = None) -> bytes:
    """A changed input.

    Args:
        draw: of random choices.
        form: "json", "jsonl", "csv", "parquet", "arguments" or "bytes": what may be changed beside the bytes.
        seeds: valid inputs.
        current: the one to change; default one of the seeds.
    """
    content = draw.choice(seeds) if current is None else current
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        change = FORMS.get(form)
        if change is None or draw.random() < 0.35 and form != "arguments":
            content = _change_bytes(draw, content, seeds)
            continue
        try:
            content = change(draw, content)
        except (
            ValueError,
            OverflowError,
            RecursionError,
            pa.ArrowException,
            OSError,
            csv.Error,
        ):  # it is not that form any more
            content = _change_bytes(draw, content, seeds)
    return content


def _change_bytes(draw: random.Random, content: bytes, seeds: tuple[bytes, ...]) -> bytes:
    place = draw.randrange(len(content) + 1)
    end = min(len(content), place + draw.choice((1, 2, 8, 64, 1024)))
    act = draw.randrange(7)
    if act == 0:
        return content[:place]
    if act == 1:
        return content[:place] + content[end:]
    if act == 2:
        return content[:place] + content[place:end] * draw.choice((2, 3, 50)) + content[end:]
    if act == 3:
        return content[:place] + draw.choice(TOKENS) + content[place:]
    if act == 4:
        return content[:place] + draw.choice(TOKENS) + content[end:]
    if act == 5:
        other = draw.choice(seeds)
        return content[:place] + other[draw.randrange(len(other) + 1) :]
    return content[:place] + bytes(draw.randrange(256) for _ in content[place:end]) + content[end:]


def _change_value(draw: random.Random, value: Any) -> Any:
    """A JSON value of which one part is another, is gone or is there twice."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(list(value))
        act = draw.random()
        if act < 0.1:
            return {name: item for name, item in value.items() if name != key}
        if act < 0.15:
            return {**value, draw.choice(ODD_TEXTS): value[key]}
        return {**value, key: _change_value(draw, value[key])}
    if isinstance(value, list) and value and draw.random() < 0.85:
        place = draw.randrange(len(value))
        act = draw.random()
        if act < 0.1:
            return value[:place] + value[place + 1 :]
        if act < 0.2:
            return [*value, value[place]]
        return [*value[:place], _change_value(draw, value[place]), *value[place + 1 :]]
    return copy.deepcopy(draw.choice(ODD_VALUES))


def _change_json(draw: random.Random, content: bytes) -> bytes:
    return json.dumps(_change_value(draw, json.loads(content)), ensure_ascii=draw.random() < 0.5).encode(
        "utf-8", "replace"
    )


def _change_json_lines(draw: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    place = draw.randrange(len(lines))
    lines[place] = _change_json(draw, lines[place])
    return b"\n".join(lines)


def _change_cells(draw: random.Random, content: bytes) -> bytes:
    records = list(csv.reader(io.StringIO(content.decode(), newline=""))) or [[]]
    for _ in range(draw.choice((1, 1, 5))):
        record = draw.choice(records)
        if not record or draw.random() < 0.1:
            record.append(draw.choice(ODD_TEXTS))
        elif draw.random() < 0.1:
            del record[-1]
        else:
            record[draw.randrange(len(record))] = draw.choice(ODD_TEXTS)
    written = io.StringIO(newline="")
    csv.writer(written).writerows(records)
    return written.getvalue().encode("utf-8", "replace")


def _change_columns(draw: random.Random, content: bytes) -> bytes:
    table = pa.parquet.read_table(pa.BufferReader(content))
    place = draw.randrange(table.num_columns)
    name, act = table.column_names[place], draw.random()
    if act < 0.15:
        table = table.append_column(name, table.column(place))  # the name twice
    elif act < 0.25:
        table = table.remove_column(place)
    elif act < 0.35:
        table = table.slice(0, draw.choice((0, 1, 2)))
    elif act < 0.5 and table.schema.metadata:
        key = draw.choice(list(table.schema.metadata))
        try:
            changed = _change_json(draw, table.schema.metadata[key])
        except ValueError:
            changed = draw.choice(TOKENS)
        table = table.replace_schema_metadata({**table.schema.metadata, key: changed})
    elif act < 0.7:
        cells = [None if draw.random() < 0.5 else cell for cell in table.column(place)]
        nulls = pa.array([cell.as_py() if cell is not None else None for cell in cells], table.column(place).type)
        table = table.set_column(place, name, nulls)
    else:
        table = table.set_column(place, name, _odd_column(draw, table.num_rows))
    written = io.BytesIO()
    pa.parquet.write_table(table, written)
    return written.getvalue()


def _odd_column(draw: random.Random, n: int) -> pa.Array:
    """A column of a type that another program may write."""
    cell, kind = draw.choice(
        (
            (datetime.date(2024, 1, 1), pa.date32()),
            (2**62, pa.timestamp("s")),
            (2**62, pa.timestamp("ns")),
            (2**62, pa.duration("s")),
            (decimal.Decimal("1.5"), pa.decimal128(5, 2)),
            (b"\xff\xfe", pa.binary()),
            (b"ab", pa.binary(2)),
            (2**64 - 1, pa.uint64()),
            (float("nan"), pa.float64()),
            (float("inf"), pa.float32()),
            (1.5, pa.float16()),
            (None, pa.null()),
            (True, pa.bool_()),
            ([1.0, None], pa.list_(pa.float64())),
            ([0.5, 0.5], pa.list_(pa.float64(), 2)),
            ([["a"], None], pa.list_(pa.list_(pa.string()))),
            ([], pa.list_(pa.null())),
            ([None], pa.list_(pa.string())),
            (
                {"text": ["a"], "answer_start": [-1]},
                pa.struct({"text": pa.list_(pa.string()), "answer_start": pa.list_(pa.int32())}),
            ),
            ({"text": None}, pa.struct({"text": pa.string()})),
            ([("a", 1)], pa.map_(pa.string(), pa.int64())),
            (
                [{"start": None, "end": 2**40, "label": ""}],
                pa.list_(pa.struct({"start": pa.int64(), "end": pa.int64(), "label": pa.string()})),
            ),
            ("text", pa.large_string()),
            ("x\0y", pa.string()),
        )
    )
    column = pa.array([cell] * n, kind)
    return column.dictionary_encode() if pa.types.is_large_string(kind) and draw.random() < 0.5 else column


def _change_arguments(draw: random.Random, content: bytes) -> bytes:
    """A command line, one argument a line; `flags` in the first line are those that may be added."""
    flags, *words = content.decode().split("\n")
    place = draw.randrange(len(words) + 1)
    act = draw.random()
    value = draw.choice(WORDS) if draw.random() < 0.8 else draw.choice(ODD_TEXTS).replace("\n", " ").replace("\0", "")
    if act < 0.8:
        words += [f"--{draw.choice(flags.split())}", value]
    elif act < 0.9 and place < len(words):
        words[place] = value
    else:
        del words[place : place + 1]
    return "\n".join([flags, *words]).encode("utf-8", "replace")


FORMS = {
    "json": _change_json,
    "jsonl": _change_json_lines,
    "csv": _change_cells,
    "parquet": _change_columns,
    "arguments": _change_arguments,
}
