"""Files that a program of ours wrote and another may have changed: read through one schema each, or refused."""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError, from_json

from llmtune.arguments.regular_files import check_regular
from llmtune.errors import InputError, truncated_repr


class Contract(BaseModel):
    """A schema: types as they are in JSON, no NaN; keys that it does not name are taken as they are."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


def each_once(names: list[str]) -> list[str]:
    """Refuses a name that stands twice, as a schema's validator."""
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise PydanticCustomError("repeated", "each name once, and {name} stands there twice", {"name": repr(repeated)})
    return names


def read_contract(path: Path, schema: type[BaseModel], remedy: str) -> dict[str, Any]:
    """The content of a JSON file.

    Raises:
        InputError: it can't be read, is no JSON object, or a field is not what the schema says; by the field's name.
    """
    check_regular(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}), expected a file with JSON; {remedy}") from error
    return parse_contract(content, schema, str(path), remedy)


def parse_contract(content: bytes, schema: type[BaseModel], where: str, remedy: str) -> dict[str, Any]:
    """As `read_contract`, of the bytes that stand at a place."""
    try:
        schema.model_validate_json(content)
        parsed: dict[str, Any] = from_json(content, allow_inf_nan=False)
    except (ValidationError, ValueError) as error:
        raise _as_input_error(error, where, remedy) from error
    return parsed


def check_contract(value: Any, schema: type[BaseModel], where: str, remedy: str) -> dict[str, Any]:
    """The values, which were read from JSON by another.

    Raises:
        InputError: as `read_contract` does.
    """
    try:
        schema.model_validate(value)
    except ValidationError as error:
        raise _as_input_error(error, where, remedy) from error
    checked: dict[str, Any] = value
    return checked


def _as_input_error(error: ValueError, where: str, remedy: str) -> InputError:
    if not isinstance(error, ValidationError):
        return InputError(f"{where}: not JSON ({error}), expected an object; {remedy}")
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        reason = str(first["ctx"]["error"])
        return InputError(f"{where}: not JSON ({reason}), expected an object; {remedy}")
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return InputError(f"{where}: no field {field}, which is required; {remedy}")
    expected = re.sub(" or instance of .*", "", first["msg"].removeprefix("Input should be "))
    expected = expected.replace("dictionary", "object")
    if not field:
        return InputError(f"{where}: found a JSON {type(first['input']).__name__}, expected an object; {remedy}")
    return InputError(f"{where}: field {field}: found {truncated_repr(first['input'])}, expected {expected}; {remedy}")
