"""The answers of a server on disk, a line each: a run that was killed, started again, asks only what is missing."""

import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from llmtune.errors import InputError, Writing
from llmtune.runs.folder import make_folder


def request_key(path: str, payload: Mapping[str, Any]) -> str:
    """What an answer is found by: the address below the server's and all that was asked."""
    return hashlib.sha256(f"{path} {json.dumps(payload)}".encode()).hexdigest()


class Journal:
    """Answers by request. Safe for several threads.

    Args:
        path: of the file, made where it is not there; a last line that was written in half is dropped.

    Attributes:
        reused: requests of this run that were answered by the file.
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        self.path, self.reused = path, 0
        self.answers: dict[str, dict[str, Any]] = {}
        self.identity: dict[str, Any] | None = None
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        whole = 0
        content = path.read_bytes() if path.exists() else b""
        for line in content.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            entry = json.loads(line)
            if "identity" in entry:
                self.identity = entry["identity"]
            else:
                self.answers[entry["key"]] = entry
        self._earlier = len(self.answers)
        with Writing(path):
            self._file: TextIO = path.open("a", encoding="utf-8")
            self._file.truncate(whole)

    def begin(self, identity: Mapping[str, Any], difference: str) -> None:
        """Keeps by what the model that answers now is known.

        Args:
            identity: JSON values that tell one model from another.
            difference: from that of the earlier run, in words; empty where there is none.

        Raises:
            InputError: another model answers now.
        """
        if difference:
            raise InputError(
                f"{self.path}: another model answered when this journal was written ({difference}); name another "
                "--output_dir, or delete the journal to ask everything again"
            )
        if self.identity is None:
            self.identity = dict(identity)
            self._write({"identity": self.identity})

    def get(self, key: str) -> dict[str, Any] | None:
        """The entry of a request: `answer` and `seconds`; None where it was not answered yet."""
        with self._lock:
            entry = self.answers.get(key)
            if entry is not None and key not in self._asked:
                self.reused += 1
            self._asked.add(key)
        return entry

    def add(self, key: str, answer: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Keeps an answer, on disk before anybody reads it."""
        entry = {"key": key, "seconds": round(seconds, 6), "answer": dict(answer)}
        with self._lock:
            self.answers[key] = entry
            self._write(entry)
        return entry

    def _write(self, entry: Mapping[str, Any]) -> None:
        again = "make room there, then give the same command: what has been answered is not asked again"
        with Writing(self.path, remedy=again):
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._file.flush()

    @property
    def stale(self) -> int:
        """Earlier answers that nobody asked for now: of other rows, prompts or settings."""
        return self._earlier - self.reused

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
