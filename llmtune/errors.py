"""The one error a user can mend: said in one message, exit code 2."""

import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from llmtune.closed_pipe import closable_stdout
from llmtune.imports import imports_done

LAUNCHERS_PATIENCE = 5  # seconds, in which a launcher ends the other processes of one that ended
ERROR_FILE = "TORCHELASTIC_ERROR_FILE"  # where torch's launcher reads why a process ended, for its summary
# What a wait for another process raises when that one is gone (gloo, NCCL, the launcher's store).
PEER_IS_GONE = re.compile(
    r"Connection (closed by peer|reset by peer|refused)|Broken pipe|[Tt]imed out waiting|remote process exited|"
    r"NCCL communicator was aborted|recvValue failed|sendBytes failed"
)


class InputError(ValueError):
    """The user's input is wrong. The message says where, what was found, what was expected, and what to do."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: what a scheduler sends before it kills; as Ctrl-C, with the exit code that tells so."""


def run_command(main: Callable[[], object]) -> None:
    """Runs an entry point, and ends the process with its exit code.

    A number that `main` returns is the exit code. An `InputError` becomes one message on stderr and exit code 2; Ctrl-C
    one line and 130, SIGTERM in training 143. Of several processes the one that failed says why, once where all did:
    one that only lost another ends with a line, and exit code 1.
    """
    imports_done()
    if ERROR_FILE in os.environ:
        sys.excepthook = _print_and_tell
    try:
        with closable_stdout():
            returned = main()
        code = returned if isinstance(returned, int) else 0
    except InputError as error:
        _say(error)
        code = 2
    except RuntimeError as error:
        if os.environ.get("WORLD_SIZE", "1") == "1" or not PEER_IS_GONE.search(str(error)):
            raise
        reason = re.sub(r"^\[\S*\] ", "", str(error)).partition(". ")[0].splitlines()[0]
        print(f"process {os.environ['RANK']} stopped: another process ended or hangs ({reason})", file=sys.stderr)
        time.sleep(LAUNCHERS_PATIENCE)  # let the launcher find that one first
        code = 1
    except KeyboardInterrupt as interrupt:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(": ".join(["interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        # As a shell tells which signal ended a command: 128 + its number.
        code = 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
    sys.exit(code)


def _print_and_tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python does with an error that nobody caught; and a line of it for the launcher's summary."""
    sys.__excepthook__(kind, error, trace)
    tell_launcher("".join(traceback.format_exception_only(error)).strip())


def _say(error: InputError) -> None:
    """On stderr, once a machine: the first process at once, another one only where the first has no such error."""
    message = f"error: {error}"
    if os.environ.get("LOCAL_RANK", "0") != "0":
        time.sleep(LAUNCHERS_PATIENCE)  # where the first process says it too, the launcher ends this one meanwhile
        if _first_has_failed():
            return
        message = f"error: process {os.environ.get('RANK')}: {error}"
    print(message, file=sys.stderr, flush=True)
    tell_launcher(message)


def _first_has_failed() -> bool:
    """Whether the first process of this machine told the launcher an error: its file lies beside this one's folder."""
    path = os.environ.get(ERROR_FILE)
    return path is not None and Path(path).parent.with_name("0").joinpath(Path(path).name).exists()


def tell_launcher(message: str) -> None:
    """Puts the message into the summary of torch's launcher; nothing without one."""
    path = os.environ.get(ERROR_FILE)
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"message": message, "timestamp": str(int(time.time()))}, file)


def truncated_repr(value: object) -> str:
    """The value as Python would write it, cut to fit a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…" + text[-1:]
