"""What a prompted model is asked: an instruction, rows of train with their answers, the row itself."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmtune.errors import InputError
from llmtune.text.templates import template_fields

BETWEEN = "\n\n"  # two rows of a prompt


@dataclass(frozen=True)
class Prompt:
    """A template and what stands before it.

    Args:
        template: of a row, with the task's fields in braces; where it ends, the answer begins.
        instruction: stands before everything; empty for none.
        demonstrations: rows of train with their answers.
        is_chat: whether the model's own chat template surrounds the whole.
    """

    template: str
    instruction: str = ""
    demonstrations: str = ""
    is_chat: bool = False

    @property
    def separator(self) -> str:
        """Between prompt and answer: in a chat the answer begins a turn."""
        return "" if self.is_chat else " "

    def text(self, fields: Mapping[str, str]) -> str:
        r"""What is asked about a row.

        >>> Prompt("Text: {text}\nLabel:", "ham or spam?\n\n").text({"text": "{free}"})
        'ham or spam?\n\nText: {free}\nLabel:'
        """
        return self.instruction + self.demonstrations + self.template.format(**fields)

    def with_demonstrations(self, rows: Sequence[tuple[Mapping[str, str], str]]) -> "Prompt":
        """The prompt with rows and their answers before the row that is asked about."""
        shown = "".join(f"{self.template.format(**fields)} {answer}{BETWEEN}" for fields, answer in rows)
        return Prompt(self.template, self.instruction, shown, self.is_chat)

    def to_json(self) -> dict[str, Any]:
        """For benchmark.json; `sha256` of all of it tells whether two results asked the same."""
        content = dict(vars(self))
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return {**content, "sha256": digest}


def check_prompt_template(template: str, fields: Sequence[str]) -> None:
    """Raises InputError for a template that has another field in braces than `fields`, or none of them."""
    choices = ", ".join(f"{{{name}}}" for name in fields)
    try:
        named = template_fields(template)
    except ValueError as error:
        raise InputError(f"--prompt_template {template!r}: {error}; write {{{{ for a brace of the prompt") from error
    unknown = [name for name in named if name not in fields]
    if unknown or not named:
        what = f"{{{unknown[0]}}} is no field of this task" if unknown else "no field of the row stands in it"
        raise InputError(f"--prompt_template {template!r}: {what}; it may hold {choices}")
