"""The folder of a run: the file that marks it, and how one of several runs that start at once claims it."""

import shutil
from pathlib import Path

RUN_MARKER = ".llmtune-run"  # tells a run folder, which --overwrite may replace, from any other


def next_free(recipe: str) -> str:
    """`runs/<recipe>-<n>` of the first number that no folder has."""
    number = 1
    while Path(f"runs/{recipe}-{number}").exists():
        number += 1
    return f"runs/{recipe}-{number}"


def claim_next_free(recipe: str) -> str:
    """The next free folder, made and marked: of many that ask at once each gets another."""
    while True:
        folder = Path(next_free(recipe))
        folder.parent.mkdir(exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            continue  # another run was quicker
        (folder / RUN_MARKER).touch()
        return str(folder)


def claim(path: str, *, emptied: bool, taken: bool) -> str | None:
    """The folder, made and marked; None where another run has marked it.

    Args:
        path: of the folder.
        emptied: delete the run that it holds.
        taken: it is the run's own already, which is resumed.
    """
    folder = Path(path)
    if emptied and (folder / RUN_MARKER).exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / RUN_MARKER).touch(exist_ok=taken)
    except FileExistsError:
        return None
    return str(folder)
