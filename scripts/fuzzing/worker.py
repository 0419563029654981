"""Reads one input after another in a process of its own, and says of each what became of it."""

import contextlib
import io
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from fuzzing.targets import TARGETS, Target

from llmtune.errors import InputError

PATIENCE = 20  # times the seconds of the processor, by the clock on the wall: then it waits for something
MEMORY = 2**30  # more, of an input of kilobytes, is a fault


class Outcome(NamedTuple):
    """Of one input: "read", "refused" or a fault; the message or the error, and its traceback."""

    what: str
    detail: str = ""
    trace: str = ""


def attempt(target: Target, content: bytes) -> Outcome:
    """Reads the input here. A refusal leaves no folder of results."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                target.read(content, Path(folder))
        except InputError as error:
            left = [str(path) for path in Path(folder, "out").rglob("*")]
            outcome = Outcome("left over", f"{left[0]} after {error}") if left else Outcome("refused", str(error))
        except SystemExit as error:  # --help among the arguments
            outcome = Outcome("read" if not error.code else "traceback", f"exit {error.code}")
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            outcome = Outcome("traceback", _signature(error), traceback.format_exc())
        else:
            outcome = Outcome("read")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return Outcome("memory", f"{grown / 2**20:,.0f} MiB more") if grown > MEMORY else outcome


def _signature(error: BaseException) -> str:
    """The error and the last line of ours that it passed."""
    ours = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/llmtune/" in frame.filename or "/recipes/" in frame.filename
    ]
    place = f"{Path(ours[-1].filename).parent.name}/{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
    return f"{type(error).__name__} at {place}: {str(error)[:100]!r}"


def _serve(connection: Connection) -> None:
    os.environ["LLMTUNE_FUZZ"] = "1"
    sys.stdin = io.StringIO()
    while True:
        name, content = connection.recv()
        connection.send(attempt(TARGETS[name], content))


class Worker:
    """The other process; started anew where an input ended it or took longer than ten seconds."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.fresh: set[str] = set()  # targets that were read there, so that their imports and models are loaded

    def read(self, name: str, content: bytes) -> Outcome:
        """What became of an input."""
        self.connection.send((name, content))
        seconds = TARGETS[name].seconds if name in self.fresh else 120.0
        end, begun = time.monotonic() + PATIENCE * seconds, self._seconds()
        while not self.connection.poll(0.5):
            if self._seconds() - begun > seconds or time.monotonic() > end:
                self.close()
                self._start()
                return Outcome("hang", f"more than {seconds:.0f} s")
        try:
            outcome: Outcome = self.connection.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            self._start()
            return Outcome("signal", f"the process ended with {code}")
        self.fresh.add(name)
        return outcome

    def _seconds(self) -> float:
        """Of the processor that the other process has used: others may share this machine."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Ends the other process."""
        self.process.kill()
        self.process.join()
