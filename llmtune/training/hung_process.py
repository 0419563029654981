"""A process of several that hangs: after `--ddp_timeout` the others end, and name it and the line where it stands.

torch's own timeout names the collective that did not come, never who was missing; on a GPU it aborts without an
exception. So each process tells the others, through the store of the launcher, how far it is, and reads theirs once it
has waited for long itself.
"""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import transformers
from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]  # documented, and not in its __all__

from llmtune.errors import tell_launcher

# Where a main thread stands that waits for the other processes.
WAITING_FILES = ("torch/distributed/", "torch/nn/parallel/", "accelerate/utils/operations.py", "accelerate/state.py")
WAITING_CALLS = ("_engine_run_backward",)  # gradients are summed over the processes in it
LONGEST_BEAT = 10.0  # seconds between two signs of life


@dataclass(frozen=True)
class Standing:
    """How far a process is.

    Args:
        beats: signs of life so far.
        events: of the Trainer so far (steps, batches of evaluation, checkpoints); the same number at the same place.
        place: the last of them, in words.
        seconds: since then.
        line: that its main thread runs.
        waits: whether that is a wait for other processes.
        has_left: it is done with what all do together.
    """

    beats: int
    events: int
    place: str
    seconds: float
    line: str
    waits: bool
    has_left: bool = False


def hung_processes(standings: Mapping[int, Standing], silent: set[int], timeout: float) -> list[int]:
    """The processes that the others wait for; empty where nobody can be told apart.

    Args:
        standings: by process.
        silent: of them those without a sign of life: stopped, or on a host that is gone.
        timeout: in seconds; who did something in the last half of it only is slow.
    """
    here = {process: standing for process, standing in standings.items() if not standing.has_left}
    if silent & here.keys():
        return sorted(silent & here.keys())
    furthest = max(standing.events for standing in standings.values())
    behind = [process for process, standing in here.items() if standing.events < furthest]
    busy = [process for process, standing in here.items() if not standing.waits]
    hung = behind or (busy if len(busy) < len(here) else [])
    return sorted(process for process in hung if here[process].seconds >= timeout / 2)


class HungProcessWatch(transformers.TrainerCallback):
    """Counts the events of the Trainer; a thread of its own tells them to the other processes and watches theirs.

    Args:
        process: this one's number.
        processes: how many there are.
        timeout: seconds without an event after which the processes that hang are named, and this one ends.
    """

    def __init__(self, process: int, processes: int, timeout: float) -> None:
        self.process, self.processes, self.timeout = process, processes, timeout
        self.events, self.place, self.last = 0, "the beginning", time.monotonic()
        self._gave_up = False  # the wait of the main thread for another process has ended in an error
        self._beat = min(LONGEST_BEAT, timeout / 20)
        self._changes: dict[int, tuple[int, float]] = {}  # of each other process its last new beat, and when it was

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Inside, this process watches and is watched. Nothing where it is alone, or without a launcher's store."""
        if self.processes == 1 or "MASTER_PORT" not in os.environ:
            yield
            return
        self._pass("the beginning")
        left = threading.Event()
        thread = threading.Thread(target=self._watch, args=(left,), daemon=True)
        thread.start()
        try:
            yield
        except RuntimeError as error:
            if "imed out" in str(error):
                self._gave_up = True
                time.sleep(3 * self._beat)  # torch counts the same seconds: where one hangs, the thread ends this here
            raise
        finally:
            left.set()
            thread.join(self._beat)

    def _pass(self, place: str) -> None:
        self.events, self.place, self.last = self.events + 1, place, time.monotonic()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Before an optimizer step."""
        self._pass(f"optimizer step {state.global_step + 1}")

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After a part of an optimizer step."""
        self._pass(f"optimizer step {state.global_step + 1}")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After an optimizer step."""
        self._pass(f"the end of optimizer step {state.global_step}")

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After a batch of an evaluation."""
        self._pass(f"an evaluation after optimizer step {state.global_step}")

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After a checkpoint."""
        self._pass(f"the checkpoint of optimizer step {state.global_step}")

    def _watch(self, left: threading.Event) -> None:
        beats = 0
        try:
            store = TCPStore(
                os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), timeout=timedelta(seconds=self.timeout)
            )
            while not left.wait(self._beat):
                beats += 1
                self._tell(store, self._standing(beats))
                if time.monotonic() - self.last >= self.timeout / 2:
                    self._judge(store, beats)
            self._tell(store, replace(self._standing(beats + 1), has_left=True))
        except DistError:
            return  # the launcher is gone, and ends this process too

    def _standing(self, beats: int) -> Standing:
        line, waits = _main_thread()
        waits = waits or self._gave_up
        return Standing(beats, self.events, self.place, time.monotonic() - self.last, line, waits)

    def _key(self, process: int) -> str:
        return f"llmtune/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}/{process}"

    def _tell(self, store: Any, standing: Standing) -> None:
        store.set(self._key(self.process), json.dumps(asdict(standing)))

    def _judge(self, store: Any, beats: int) -> None:
        """Reads how far the others are; ends this process, if others hang and it is the first that does not."""
        standings = {self.process: self._standing(beats)}
        for other in set(range(self.processes)) - {self.process}:
            if store.check([self._key(other)]):
                standings[other] = Standing(**json.loads(store.get(self._key(other))))
                if self._changes.get(other, (None,))[0] != standings[other].beats:
                    self._changes[other] = standings[other].beats, time.monotonic()
        now = time.monotonic()
        silent = {other for other, (_, when) in self._changes.items() if now - when > self.timeout / 3}
        if standings[self.process].seconds < self.timeout or len(standings) < self.processes:
            return
        hung = hung_processes(standings, silent, self.timeout)
        if hung and self.process == min(standings.keys() - set(hung)):
            message = _message(standings, silent, hung, self.timeout)
            print(f"error: {message}", file=sys.stderr, flush=True)
            tell_launcher(f"error: {message}")
            sys.stdout.flush()
            os._exit(1)  # the main thread waits within torch, where no exception reaches it


def _message(standings: Mapping[int, Standing], silent: set[int], hung: list[int], timeout: float) -> str:
    waiting = [process for process in standings if process not in hung]
    at = standings[waiting[0]]
    lines = [
        f"process {process} of {len(standings)} hangs: "
        + (
            "it gave no sign of life"
            if process in silent
            else f"it did nothing for {standings[process].seconds:,.0f} s"
        )
        + f" after {standings[process].place}, in {standings[process].line}"
        for process in hung
    ]
    others = f"process{'es' if len(waiting) > 1 else ''} {', '.join(map(str, waiting))}"
    return (
        f"{'; '.join(lines)}. {others} waited for {at.seconds:,.0f} s after {at.place}; expected at most "
        f"--ddp_timeout {timeout:g}. Look at that process's host and line, or give more seconds if it only is slow"
    )


def _main_thread() -> tuple[str, bool]:
    """The line of the main thread, of our own or the user's code where some is running, and whether it waits."""
    frame: FrameType | None = sys._current_frames().get(threading.main_thread().ident or 0)
    innermost, line, waits = "no line", None, False
    while frame is not None:
        file, call = frame.f_code.co_filename, frame.f_code.co_name
        waits = waits or call in WAITING_CALLS or any(part in file for part in WAITING_FILES)
        here = f"{Path(file).name}:{frame.f_lineno} ({call})"
        innermost = here if innermost == "no line" else innermost
        if line is None and "site-packages" not in file and "/lib/python" not in file:
            line = here
        frame = frame.f_back
    return line or innermost, waits
