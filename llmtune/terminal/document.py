"""`--format json`: one document on stdout for another program, and all that a person reads on stderr."""

import json
import sys
from typing import Any

from llmtune.terminal.console import Terminal

FORMATS = ("text", "json")
JSON = FORMATS[1]


def terminal_beside(output_format: str) -> Terminal:
    """Where a person reads: stdout, or stderr beside a document."""
    return Terminal.on_stderr() if output_format == JSON else Terminal()


def print_document(content: Any, output_format: str) -> None:
    """The document, where one is asked for. NaN and infinity are refused: they are no JSON."""
    if output_format == JSON:
        sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
