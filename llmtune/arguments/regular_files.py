"""Files that end: a named pipe or a device would be read for ever."""

import stat
from pathlib import Path

from llmtune.errors import InputError

SORTS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_regular(path: Path) -> None:
    """Refuses what is there and is neither a file nor a folder.

    Raises:
        InputError: it is a pipe, a socket or a device.
    """
    try:
        sort = SORTS.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):  # it is not there, or no path has this name: who reads it says so
        return
    if sort is not None:
        raise InputError(f"{path}: is {sort}, expected a file; write what comes through it into a file, and name that")


def check_folder_of_files(folder: str | Path) -> None:
    """Refuses a folder with such a thing in it; what is no folder is left to who opens it."""
    path = Path(folder)
    for inner in path.iterdir() if path.is_dir() else ():
        check_regular(inner)
