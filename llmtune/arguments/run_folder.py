"""The folder of a run: the file that marks it, and how one of several runs that start at once claims it."""

import fcntl
import os
import shutil
from pathlib import Path

from llmtune.whole_files import remove_partial

RUN_MARKER = ".llmtune-run"  # tells a run folder, which --overwrite may replace, from any other
_locked: list[int] = []  # the descriptor of the marker of this process's run, while it is locked


def next_free(recipe: str) -> str:
    """`runs/<recipe>-<n>` of the first number that no folder has."""
    number = 1
    while Path(f"runs/{recipe}-{number}").exists():
        number += 1
    return f"runs/{recipe}-{number}"


def claim_next_free(recipe: str) -> str:
    """The next free folder, made, marked and locked: of many that ask at once each gets another."""
    while True:
        folder = Path(next_free(recipe))
        folder.parent.mkdir(exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            continue  # another run was quicker
        (folder / RUN_MARKER).touch()
        if lock(folder):
            return str(folder)


def claim(path: str, *, emptied: bool, taken: bool) -> bool:
    """Makes, marks and locks the folder; False where another run has marked it, or is at work in it.

    Args:
        path: of the folder.
        emptied: delete the run that it holds.
        taken: it is the run's own already, which is resumed; what a killed writer left in it is deleted.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    is_run = (folder / RUN_MARKER).exists()
    try:
        (folder / RUN_MARKER).touch(exist_ok=taken or (emptied and is_run))
    except FileExistsError:
        return False
    if not lock(folder):
        return False
    if emptied and is_run:
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != RUN_MARKER:  # it is locked, and tells others so
                entry.unlink()
    elif taken:
        remove_partial(folder)
    return True


def lock(folder: Path) -> bool:
    """Whether this process alone may write there, from now on until it ends or locks another folder.

    A killed process holds no lock. A file system without locks can't tell: there it may.
    """
    while _locked:
        os.close(_locked.pop())
    descriptor = os.open(folder / RUN_MARKER, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    except OSError:
        os.close(descriptor)
        return True
    _locked.append(descriptor)
    return True
