"""`--format json`: one document on stdout for another program, and all that a person reads on stderr."""

import json
import sys
from typing import Any

from llmtune.terminal.console import Terminal

TEXT, JSON, EEE = "text", "json", "eee"  # the last: records of Every Eval Ever, of commands that give results
MODEL_INDEX = "model-index"  # of benchmarks: what the Hub reads in the head of a model card
FORMATS = (TEXT, JSON)


def terminal_beside(output_format: str) -> Terminal:
    """Where a person reads: stdout, or stderr beside a document."""
    return Terminal() if output_format == TEXT else Terminal.on_stderr()


def print_document(content: Any, output_format: str) -> None:
    """The document, where one is asked for. NaN and infinity are refused: they are no JSON."""
    if output_format != TEXT:
        sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
