"""JSON as rows need it: an object that names a key twice is an error, where json would let the last value win."""

import json
import re
from typing import Any

REMEDY = "keep one of the two values, or write both as a list"
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:]')


class RepeatedKeyError(ValueError):
    """An object names a key twice.

    Args:
        key: the first that repeats.
        line: of its second value, from 1.
    """

    def __init__(self, key: str, line: int) -> None:
        super().__init__(f"an object names the key {key!r} twice")
        self.line = line


def parse_json(text: str) -> Any:
    """What the text spells.

    Raises:
        RepeatedKeyError: an object names a key twice.
        ValueError: it is not JSON, as `json.loads` says it.

    >>> parse_json('[{"a": 1}, {"a": 2}]')
    [{'a': 1}, {'a': 2}]
    """
    try:
        return json.loads(text, object_pairs_hook=_to_object)
    except _RepeatedKey:
        raise _locate(text) from None


class _RepeatedKey(Exception):
    """Raised inside the parser, which doesn't tell where it is."""


def _to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        raise _RepeatedKey
    return named


def _locate(text: str) -> RepeatedKeyError:
    """The first repeated key in the order of the text; up to there the text is JSON."""
    keys: list[set[str]] = []
    string = None
    for token in TOKEN.finditer(text):
        if token[0] in "{[":
            keys.append(set())
        elif token[0] in "}]":
            keys.pop()
        elif token[0] != ":":
            string = token
        elif string is not None:
            key = json.loads(string[0])
            if key in keys[-1]:
                return RepeatedKeyError(key, text.count("\n", 0, string.start()) + 1)
            keys[-1].add(key)
    raise AssertionError("the parser met a repeated key")
