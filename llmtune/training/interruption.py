"""A run that is told to stop (Ctrl-C, or SIGTERM of a scheduler) keeps what it has learned, and says how to go on.

The signal is noted; the optimizer step in progress is finished (after the last one of an epoch, its evaluation too), a
checkpoint is written, and training ends there. A second signal ends the process at once.
"""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import torch
import transformers

from llmtune.errors import LostProcess, Terminated, lost_process

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STEPS_BETWEEN = 8  # optimizer steps until processes tell each other of a signal: each time costs them a wait


@contextlib.contextmanager
def lost_processes_told(going_on: Callable[[], str]) -> Iterator[None]:
    """Inside, a connection to a process that is gone becomes a `LostProcess`.

    Args:
        going_on: what is kept and how to go on, asked once that happens.
    """
    try:
        yield
    except RuntimeError as error:
        reason = lost_process(error)
        if reason is None:
            raise
        raise LostProcess(f"{reason}; {going_on()}") from error


class StopAfterSaving(transformers.TrainerCallback):
    """Ends training after the checkpoint that follows a signal.

    Args:
        trainer: of this process.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.received: signal.Signals | None = None
        self.ends = False  # all processes know

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, the signals are noted; afterwards they do what they did. Only a main thread can listen."""
        self.received, self.ends = None, False
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise self._interrupt()
        self.received = signal.Signals(number)
        if self.trainer.args.process_index == 0:
            told = "saving a checkpoint after this optimizer step; once more ends at once"
            print(f"{self.received.name}: {told}", file=sys.stderr, flush=True)

    def _interrupt(self) -> KeyboardInterrupt:
        return Terminated() if self.received is signal.SIGTERM else KeyboardInterrupt()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Asks for a checkpoint, where any process was told to stop; all do so at the same step."""
        number = int(self.received or 0)
        if args.world_size > 1:
            if state.global_step % STEPS_BETWEEN:
                return
            number = int(self.trainer.accelerator.gather(torch.tensor(number, device=args.device)).max())
        if number:
            self.received, self.ends = signal.Signals(number), True
            args.save_only_model = False  # without an optimizer nothing could go on from it
            # After an epoch's last step its evaluation comes first, as without the signal: it draws random numbers.
            control.should_save = not float(state.epoch).is_integer()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Asks for the checkpoint after the last step of an epoch."""
        control.should_save = control.should_save or self.ends

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends training: the checkpoint is written.

        Raises:
            KeyboardInterrupt: a process was told to stop; `Terminated` by SIGTERM.
        """
        if self.ends:
            raise self._interrupt()
