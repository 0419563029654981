"""Garbage collection waits while libraries are imported: it would walk through all their objects again and again.

Torch, transformers and datasets make a million objects that stay. A collector that runs meanwhile takes a fifth of the
seconds of the imports, and whenever something asks for a full collection later (accelerate does before training) it
takes a quarter of a second more.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_were_done = False  # `gc.get_freeze_count` would tell, by walking through all frozen objects


@contextmanager
def collection_paused() -> Iterator[None]:
    """No garbage collection in the block, or until `imports_done` in it."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def imports_done() -> None:
    """What there is by now is never looked through again, and garbage is collected from here on.

    Once a process: what a later call would keep may be garbage, such as the model of an earlier run.
    """
    global _were_done
    if gc.isenabled() and _were_done:
        return
    gc.freeze()
    gc.enable()
    _were_done = True
