"""`--format json` of a recipe: at the end one document on stdout, and all that a person reads on stderr."""

import argparse
import functools
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from llmtune.diagnosis.headline import headline
from llmtune.diagnosis.text_cautions import text_cautions
from llmtune.errors import InputError
from llmtune.metrics import metrics_to_json
from llmtune.metrics.core.headlines import is_one_sided
from llmtune.predictions.kinds import deciding_metric
from llmtune.runs.folder import RunFolder
from llmtune.terminal.document import FORMATS, JSON, print_document


class Main(Protocol):
    """What a recipe defines: arguments → the run's folder."""

    def __call__(self, argv: Sequence[str] | None = None) -> Path:
        """Trains; `argv` None for those of the process."""


def with_document(main: Main) -> Main:
    """A recipe's `main` that takes --format; the first process prints the document."""

    @functools.wraps(main)
    def documented(argv: Sequence[str] | None = None) -> Path:
        output_format, rest = pop_format(list(sys.argv[1:] if argv is None else argv))
        if output_format != JSON:
            return main(rest)
        with redirect_stdout(sys.stderr):
            folder = main(rest)
        if os.environ.get("RANK", "0") == "0":
            print_document(run_document(folder), output_format)
        return folder

    return documented


def pop_format(argv: Sequence[str]) -> tuple[str, list[str]]:
    """Takes --format out of the arguments.

    Raises:
        InputError: neither text nor json.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    try:
        parsed, rest = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise InputError(f"command line: {error}; --help lists the flags") from error
    return parsed.format, rest


def run_document(folder: Path) -> dict[str, Any]:
    """What a run's folder says of its test split: the verdict, the deciding metric, and the names of its files.

    `metric` is null where nothing was scored; its `label` is the class that it is about, null where it is about all.
    """
    run = RunFolder(folder)
    test, scores, verdict = run.table("test"), run.metrics["test"], run.verdict
    assert verdict is not None  # every run is judged
    name = deciding_metric(test, scores)
    label = test.positive_name if name and is_one_sided(name) else None
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {
        "run": str(folder),
        "split": test.split,
        "rows": len(test),
        "sentence": replace(verdict, headline=headline(test, scores)).sentence,
        **verdict.to_json(),
        "metric": {"name": name, "label": label, **metrics_to_json({name: scores[name]})[name]} if name else None,
        "cautions": [*run.settings.get("cautions", []), *text_cautions(test, scores)],
        "files": sorted(str(path) for path in files if not path.parts[0].startswith((".", "checkpoint-"))),
    }
