"""The one error a user can mend: said in one message, exit code 2."""

import errno
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir
from types import TracebackType

from llmtune.closed_pipe import closable_stdout
from llmtune.disk import FULL, REASONS, byte_words, disk_error, free_bytes, remove
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


class LostProcess(RuntimeError):
    """Another process of the run has ended or hangs, so that this one can't go on; the message says what is kept."""


class DiskFault(InputError):
    """Something can't be written: no room, or no leave to.

    Args:
        finding: where, and why.
        remedy: what to do.
    """

    def __init__(self, finding: str, remedy: str) -> None:
        super().__init__(f"{finding}; {remedy}")
        self.finding = finding


class Writing:
    """Inside, what the disk refuses becomes a `DiskFault`; other errors pass.

    Args:
        path: what is written.
        needed: the bytes that it takes, where known.
        partial: the file or folder that is written to first; on any error it is deleted, and there is room again.
        remedy: what to do; given by an outer one, it replaces that of an inner one, which knows less.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, needed: int | None = None, partial: Path | None = None, remedy: str = ""
    ) -> None:
        self.path, self.needed, self.partial, self.remedy = Path(path), needed, partial, remedy

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        is_told = isinstance(error, InputError)
        number = None if is_told else disk_error(error, self.path.parent)  # the disk as the writer met it
        if self.partial is not None:
            remove(self.partial)
        if isinstance(error, DiskFault) and self.remedy:
            raise DiskFault(error.finding, self.remedy) from error
        if number is not None:
            raise DiskFault(self._finding(error, number), self.remedy or _remedy(number)) from error

    def _finding(self, error: BaseException, number: int) -> str:
        return f"{self.path}: can't be written: {REASONS[number]}{self._room(self.path, number)}"

    def _room(self, path: Path, number: int) -> str:
        free = free_bytes(path)
        if number not in FULL or free is None:
            return ""
        needed = "" if self.needed is None else f", about {byte_words(self.needed)} needed"
        return f" ({byte_words(free)} free{needed})"


class WritingAnywhere(Writing):
    """As `Writing`, around a whole command: of what nobody else expected, such as a cache or a temporary folder."""

    def __init__(self) -> None:
        super().__init__(gettempdir())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Permission may be denied to read, too.
        if disk_error(error, self.path) in (*FULL, errno.EROFS):
            super().__exit__(kind, error, trace)

    def _finding(self, error: BaseException, number: int) -> str:
        name = error.filename if isinstance(error, OSError) and isinstance(error.filename, str) else None
        if name is not None:
            return f"{name}: can't be written: {REASONS[number]}{self._room(Path(name), number)}"
        rooms = [f"{place}{self._room(Path(place), number)}" for place in (".", gettempdir())]
        return f"a file can't be written: {REASONS[number]}: {', '.join(rooms)}"


def _remedy(number: int) -> str:
    return "make room there, or name a place on another disk" if number in FULL else "name a place that can be written"


class Terminated(KeyboardInterrupt):
    """SIGTERM: what a scheduler sends before it kills; as Ctrl-C, with the exit code that tells so."""


def run_command(main: Callable[[], object]) -> None:
    """Runs an entry point, and ends the process with its exit code.

    A number that `main` returns is the exit code. An `InputError` becomes one message on stderr and exit code 2, as
    does a disk that is full; Ctrl-C one line and 130, SIGTERM in training 143. Of several processes the one that failed
    says why, once where all did: one that only lost another ends with a line, and exit code 1.
    """
    imports_done()
    if ERROR_FILE in os.environ:
        sys.excepthook = _print_and_tell
    try:
        with WritingAnywhere(), closable_stdout():
            returned = main()
        code = returned if isinstance(returned, int) else 0
    except InputError as error:
        _say(error)
        code = 2
    except RuntimeError as error:
        reason = str(error) if isinstance(error, LostProcess) else lost_process(error)
        if reason is None:
            raise
        print(f"process {os.environ['RANK']} stopped: {reason}", file=sys.stderr, flush=True)
        time.sleep(LAUNCHERS_PATIENCE)  # let the launcher find that one first
        code = 1
    except KeyboardInterrupt as interrupt:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(": ".join(["interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        # As a shell tells which signal ended a command: 128 + its number.
        code = 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
    sys.exit(code)


def lost_process(error: RuntimeError) -> str | None:
    """What an error says of another process that is gone; None for any other error."""
    if os.environ.get("WORLD_SIZE", "1") == "1" or not PEER_IS_GONE.search(str(error)):
        return None
    reason = re.sub(r"^\[\S*\] ", "", str(error)).partition(". ")[0].splitlines()[0]
    return f"another process ended or hangs ({reason})"


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
