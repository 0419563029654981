"""The one error a user can mend: said in one message, exit code 2."""

import os
import signal
import sys
import time
from collections.abc import Callable

from llmtune.closed_pipe import closable_stdout
from llmtune.imports import imports_done


class InputError(ValueError):
    """The user's input is wrong. The message says where, what was found, what was expected, and what to do."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: what a scheduler sends before it kills; as Ctrl-C, with the exit code that tells so."""


def run_command(main: Callable[[], object]) -> None:
    """Runs an entry point, and ends the process with its exit code.

    A number that `main` returns is the exit code. An `InputError` becomes one message on stderr, said once a machine,
    and exit code 2; Ctrl-C one line and 130, SIGTERM in training 143.
    """
    imports_done()
    try:
        with closable_stdout():
            returned = main()
        code = returned if isinstance(returned, int) else 0
    except InputError as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"error: {error}", file=sys.stderr)
        else:
            time.sleep(5)  # launchers end all processes when the first one ends: let it be the one that says why
        code = 2
    except KeyboardInterrupt as interrupt:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(": ".join(["interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        # As a shell tells which signal ended a command: 128 + its number.
        code = 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
    sys.exit(code)


def truncated_repr(value: object) -> str:
    """The value as Python would write it, cut to fit a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…" + text[-1:]
