"""The cells of a csv predictions table: each converted alone, by what its column holds."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmtune.errors import InputError, truncated_repr
from llmtune.predictions.kinds import Kind
from llmtune.text.json_objects import REMEDY, RepeatedKeyError, parse_json
from llmtune.text.label_names import parse_decimal_comma

# These stay texts even where every cell is a number, and so do the texts that a kind compares.
INPUT_COLUMNS = ("text", "text_pair", "source", "question", "context")
NO_NUMBER = ("", "na", "n/a", "nan", "null", "none")
# "007" and "1_000" are texts; int() and float() would take both.
INTEGER = re.compile(r"0|-?[1-9]\d{0,17}")
DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
PRINTED = re.compile(r"""\[(['"]).*(['"])\s+(['"]).*\3\]|\{'text': array\(.*\}""", re.DOTALL)

Cell = Callable[[str, str], Any]  # (cell, where) → value


def convert_cells(path: Path, kind: Kind | None, name: str, cells: list[str]) -> list[Any]:
    """The cells of one csv column, each by itself."""
    convert = _converter(kind, name)
    if convert is None:
        return _numbers_if_all(cells)
    return [convert(cell, f"{path} row {row}: {name}") for row, cell in enumerate(cells)]


def _converter(kind: Kind | None, name: str) -> Cell | None:
    """What a cell of this column is; None for a column that the kind doesn't know."""
    if name == "probabilities":
        return _list_of_numbers
    if kind is None:
        return _as_it_is if name in INPUT_COLUMNS else None
    if name in kind.csv_numbers:
        return _number_or_numbers
    if name in kind.csv_lists:
        return (
            _label_set
            if kind.multi_label
            else _list_of_words
            if kind.tagged
            else _answers
            if kind.unanswerable
            else _references
        )
    return _as_it_is if name in (*INPUT_COLUMNS, *kind.csv_texts) else None


def _as_it_is(cell: str, where: str) -> str:
    return cell


def _list_of_numbers(cell: str, where: str) -> list[float] | None:
    if not cell.strip():
        return None
    try:
        return [float(number) for number in json.loads(cell)]
    except (ValueError, TypeError):
        raise InputError(f"{where} {truncated_repr(cell)} is not a list of numbers; write e.g. [0.9, 0.1]") from None


def _number_or_numbers(cell: str, where: str) -> float | list[float] | None:
    if cell.strip().lower() in NO_NUMBER:
        return None
    try:
        if "_" not in cell:  # Python takes 1_000 for a number, no program writes it
            return float(cell)
    except ValueError:
        pass
    if parse_decimal_comma(cell) is not None:
        raise InputError(f"{where} {truncated_repr(cell)} has a decimal comma; write it as a point, as in 4.5")
    if not cell.lstrip().startswith("["):
        raise InputError(f"{where} {truncated_repr(cell)} is no number; give a number, or a list of them as [1.5, 2]")
    return _list_of_numbers(cell, where)


def _list_of_words(cell: str, where: str) -> list[str]:
    words = spelled_value(cell)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(
            f'{where} {truncated_repr(cell)} is no list of texts; write a JSON list, such as ["B-PER", "O"]'
        )
    return words


def _label_set(cell: str, where: str) -> list[Any]:
    """A JSON list of labels; an empty cell is the empty set."""
    labels = spelled_value(cell) if cell.strip() else []
    if not isinstance(labels, list):
        raise InputError(
            f'{where} {truncated_repr(cell)} is no list of labels; write a JSON list, such as ["toxic", "insult"], and '
            "[] for none; cells such as toxic;insult need --label_separator ';'"
        )
    return labels


def _references(cell: str, where: str) -> str | list[str]:
    """A list of references, or one text. "[applause]" is a text: it spells no list."""
    parsed = spelled_value(cell)
    if isinstance(parsed, list) and all(isinstance(text, str) for text in parsed):
        return parsed
    _refuse_prints(cell, where)
    return cell


def _answers(cell: str, where: str) -> list[str]:
    """The answers that count as right; none for an empty cell, as in SQuAD 2.0. SQuAD's own layout is read too."""
    try:
        parsed = spelled_value(cell, parse_json)
    except RepeatedKeyError as error:
        raise InputError(f"{where}: {error}; {REMEDY}") from error
    if isinstance(parsed, dict) and isinstance(parsed.get("text"), list):
        parsed = parsed["text"]
    if isinstance(parsed, list) and all(isinstance(text, str) for text in parsed):
        return parsed
    _refuse_prints(cell, where)
    return [cell] if cell.strip() else []


def spelled_value(cell: str, parse: Callable[[str], Any] = json.loads) -> Any:
    """What the cell spells as JSON, or as a list or dict that Python printed (as pandas writes it); else None."""
    text = cell.strip()
    if not text.startswith(("[", "{")):
        return None
    try:
        return parse(text)
    except RepeatedKeyError:
        raise
    except (ValueError, RecursionError):
        pass
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if repr(value) == text else None


def _refuse_prints(cell: str, where: str) -> None:
    """Lists as numpy prints them: Python reads ['a' 'b'] as ['ab'], and SQuAD's layout of arrays not at all.

    Read as a text, such a reference would score near 0.
    """
    if PRINTED.fullmatch(cell.strip()):
        raise InputError(
            f"{where} {truncated_repr(cell)} is a list as numpy prints it, which can't be read back; write a JSON "
            'list, such as ["one", "another"]'
        )


def _numbers_if_all(cells: list[str]) -> list[Any]:
    """Numbers where every cell is one as a program writes it, an empty cell is null then; else texts."""
    filled = [cell for cell in cells if cell]
    for pattern, convert in ((INTEGER, int), (DECIMAL, float)):
        if filled and all(pattern.fullmatch(cell) for cell in filled):
            return [convert(cell) if cell else None for cell in cells]
    return list(cells)
