"""Bars for what takes over a second: on stderr, where that is a terminal, by the first process only."""

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm  # type: ignore[import-untyped]

DELAY_SECONDS = 1.0  # what is done by then shows no bar

Item = TypeVar("Item")


def progress(items: Iterable[Item], what: str, *, unit: str, total: int | None = None) -> Iterator[Item]:
    """The items, under a bar.

    Args:
        items: walked through once.
        what: they are for, in front of the bar.
        unit: of an item, in the plural.
        total: items, where `items` has no length.
    """
    bar: Iterator[Item] = tqdm(
        items, what, total, leave=False, disable=not _watched(), delay=DELAY_SECONDS, unit=f" {unit}"
    )
    return bar


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A line with the seconds so far, while a block runs that counts no steps."""
    if not _watched():
        yield
        return
    done = threading.Event()
    ticker = threading.Thread(target=_tick, args=(what, done), daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()


def _tick(what: str, done: threading.Event) -> None:
    if done.wait(DELAY_SECONDS):
        return
    with tqdm(desc=what, leave=False, bar_format="{desc}: {elapsed}") as line:
        line.start_t -= DELAY_SECONDS
        while not done.wait(1.0):
            line.refresh()


def _watched() -> bool:
    return sys.stderr.isatty() and os.environ.get("RANK", "0") == "0"
