"""The values of a YAML file as they were typed: what each means is for its flag to say, not for YAML to guess.

YAML 1.1 makes False of a bare `no` (the code of Norwegian, a label), 8 of 010, 90 of 1:30 and a date of 2024-01-01, and
leaves 1e5 text. Here a value stays its text, and the flag's own type reads it, as what is typed on the command line.
Only where no flag tells the type, inside a mapping such as `lr_scheduler_kwargs`, is one guessed, as JSON has it.
"""

import re
from collections.abc import Hashable
from typing import Any

import yaml

from llmtune.errors import InputError

Value = str | list[Any] | dict[str, Any] | None

_TAG = "tag:yaml.org,2002:"
_KNOWN_TAGS = tuple(_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value"))
# Numbers of JSON, and what Python adds without a second meaning: a sign, `1.`, `.5`. Not 010, 0x10, 1:30 or 1_000.
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, bool] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def read_yaml_mapping(text: str, where: str) -> dict[str, Value]:
    """The keys and values of a flat YAML document.

    Args:
        text: the document.
        where: it stands, for messages.

    Returns:
        by key: the text of a value as it was typed, a list of texts, None for null, `~` or nothing; of a mapping its
        own keys with values of JSON's types.

    Raises:
        InputError: no mapping, a key twice, or a value that could mean two things.
        yaml.YAMLError: not readable as YAML.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
    finally:
        loader.dispose()
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{where}: expected `key: value` lines, found {_kind(node)}")
    _refuse_repeated_keys(node, where)
    loader.flatten_mapping(node)  # `<<: *defaults`
    return {str(key.value): _value(value, f"{where}: {key.value}") for key, value in node.value}


def typed_value(text: str) -> bool | int | float | str | None:
    """A plain value as JSON would have it; what YAML 1.1 alone takes for something else than text is refused.

    Raises:
        ValueError: it could mean two things; says which, and what to write.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    tag = _tag_of(text)
    if tag == "null":
        return None
    if tag != "str":
        words = {"bool": "true or false", "timestamp": "a date"}.get(tag, "a number")
        raise ValueError(f"{text} is text to some readers and {words} to YAML; quote it for the text, or write {words}")
    return text


def _tag_of(text: str) -> str:
    """What YAML 1.1 takes a plain scalar for: str, bool, int, float, null, timestamp …"""
    loader = yaml.SafeLoader("")
    tag: str = loader.resolve(yaml.ScalarNode, text, (True, False))
    return tag.removeprefix(_TAG)


def _value(node: yaml.Node, where: str) -> Value:
    if isinstance(node, yaml.SequenceNode):
        items: list[Value] = [_value(item, where) for item in node.value]
        if None in items:
            raise InputError(
                f"{where}: item {items.index(None) + 1} of the list is empty or null; quote it for the text"
            )
        return items
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _typed(value, f"{where}: {key.value}") for key, value in node.value}
    _refuse_unknown_tag(node, where)
    return None if node.tag == _TAG + "null" else str(node.value)


def _typed(node: yaml.Node, where: str) -> Any:
    """A value inside a mapping, whose type no flag tells."""
    if isinstance(node, yaml.SequenceNode):
        return [_typed(item, where) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _typed(value, f"{where}: {key.value}") for key, value in node.value}
    _refuse_unknown_tag(node, where)
    text = str(node.value)
    if node.tag == _TAG + "null":
        return None
    if isinstance(node, yaml.ScalarNode) and node.style is not None:  # quoted, or a block of text
        return text
    try:
        return typed_value(text)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


def _refuse_unknown_tag(node: yaml.Node, where: str) -> None:
    if node.tag not in _KNOWN_TAGS:
        raise InputError(f"{where}: found the tag {node.tag}, expected a plain value; leave the tag out")


def _refuse_repeated_keys(node: yaml.MappingNode, where: str) -> None:
    """YAML forbids a key twice, but PyYAML takes the last: the first would be left out in silence."""
    lines: dict[Hashable, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InputError(f"{where}: line {line}: expected a key, found {_kind(key)}")
        if key.value in lines:
            raise InputError(
                f"{where}: {key.value} stands on line {lines[key.value]} and on line {line}; keep one of them"
            )
        lines[key.value] = line


def _kind(node: yaml.Node | None) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "list"
    return f"{node.value!r}" if node is not None and node.value else "nothing"
