"""Stdout whose reader may leave: `llmtune train spam | head` loses what is printed, never what is trained."""

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class ClosablePipe:
    """A text stream; once its reader is gone, what is written goes nowhere, and the program goes on.

    Args:
        stream: the stdout of the process.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream's."""
        try:
            return int(self._stream.write(text))
        except BrokenPipeError:
            self._write_nowhere()
            return len(text)
        except OSError:  # a file on a full disk: its buffer shall not be tried again when the process ends
            self._write_nowhere()
            raise

    def writelines(self, lines: Iterable[str]) -> None:
        """As the stream's."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """As the stream's."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._write_nowhere()
        except OSError:
            self._write_nowhere()
            raise

    def _write_nowhere(self) -> None:
        # The descriptor, not the object: what the stream still buffers is written when the process ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


@contextmanager
def closable_stdout() -> Iterator[None]:
    """Stdout while a command runs: its lines arrive as they are printed, in a file too, and its reader may leave."""
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(line_buffering=True)
    sys.stdout = ClosablePipe(stream)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = stream
