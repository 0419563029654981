"""Rows of json and jsonl: one object a row, no key twice, no half of a character."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from llmtune.data.annotation_exports import pair_as_row
from llmtune.data.rows import RowErrors, Rows
from llmtune.data.squad import flatten_articles, is_nested
from llmtune.errors import InputError, truncated_repr
from llmtune.progress import progress
from llmtune.text.json_objects import REMEDY, RepeatedKeyError, parse_json

HALF = re.compile("[\ud800-\udfff]")
ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def read_json_lines(source: str, lines: Sequence[str]) -> Rows:
    """One row a line.

    Raises:
        InputError: a line is not one object, or names a key twice.
    """
    problems = RowErrors(source)
    remedy = 'write one object a line, as {"text": "…"}; a file that is one JSON list must end in .json'
    records: list[dict[str, Any]] = []
    for row, line in enumerate(progress(lines, f"reading {source}", unit="rows")):
        place = f"line {row + 1}"
        try:
            record = pair_as_row(parse_json(line))
        except json.JSONDecodeError as error:
            finding = f"not JSON: {error.msg} at column {error.colno}" if line.strip() else "a blank line"
            problems.add(row, place, finding, remedy=remedy)
        except RepeatedKeyError as error:
            problems.add(row, place, str(error), remedy=REMEDY)
        except (ValueError, RecursionError) as error:
            problems.add(row, place, f"not readable JSON: {error}", remedy=remedy)
        else:
            if not isinstance(record, dict):
                problems.add(row, place, f"found {truncated_repr(record)}, expected an object", remedy=remedy)
            elif ESCAPED_HALF.search(line):
                _check_halves(problems, row, place, record)
            records.append(record)
    problems.stop()
    return Rows(source, _columns(records), unit="line")


def read_json(source: str, text: str) -> Rows:
    """The rows of one JSON list of objects, of {"data": such a list}, or of SQuAD's articles.

    Raises:
        InputError: it is none of these, or an object names a key twice.
    """
    try:
        content = parse_json(text)
    except RepeatedKeyError as error:
        raise InputError(f"{source} line {error.line}: {error}; {REMEDY}") from error
    except (ValueError, RecursionError) as error:
        advice = "; a file with one object a line must end in .jsonl" if "Extra data" in str(error) else ""
        raise InputError(f"{source}: not JSON ({error}); mend it at that place{advice}") from error
    records = content.get("data") if isinstance(content, dict) else content
    if not isinstance(records, list):
        raise InputError(
            f"{source}: found {truncated_repr(content)}, expected a list of objects or {{'data': [objects]}}; "
            f"write one object a row, as {{'text': '…'}}"
        )
    records = [pair_as_row(record) for record in records]
    problems, may_hold_halves = RowErrors(source), ESCAPED_HALF.search(text) is not None
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            finding = f"found {truncated_repr(record)}, expected an object"
            problems.add(row, f"row {row + 1}", finding, remedy='write each row as an object, as {"text": "…"}')
        elif may_hold_halves:
            _check_halves(problems, row, f"row {row + 1}", record)
    problems.stop()
    if is_nested(records):
        return flatten_articles(source, records)
    return Rows(source, _columns(records))


def _check_halves(problems: RowErrors, row: int, place: str, record: dict[str, Any]) -> None:
    """JSON can write half of a character (a lone surrogate), which no file in UTF-8 and no tokenizer can hold."""
    for name, cell in record.items():
        half = next((half for text in _strings(cell) if (half := HALF.search(text))), None)
        if half:
            written = half[0].encode("unicode_escape").decode()
            finding = f"column {name!r} holds {written}, half of a character (a lone surrogate)"
            problems.add(row, place, finding, remedy="write the whole character, or \\ufffd in its place")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _columns(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}
