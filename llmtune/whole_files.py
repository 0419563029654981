"""Files and folders that are whole or not there: written beside, then renamed; a killed writer leaves hidden ones."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from llmtune.disk import remove
from llmtune.errors import Writing

PARTIAL = ".partial"  # ends the names of what is being written; they begin with a dot


@contextlib.contextmanager
def whole_file(path: Path, *, needed: int | None = None) -> Iterator[Path]:
    """Gives the path to write to; at the end it is renamed to `path`, whose folder is made where it is not there.

    Raises:
        DiskFault: it can't be written; what was there before still is.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    with Writing(path, needed=needed, partial=partial):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)


def copy_whole(source: Path, path: Path) -> None:
    """Copies a file with its times, whole or not at all."""
    with whole_file(path, needed=source.stat().st_size) as partial:
        shutil.copy2(source, partial)


def remove_folder(folder: Path) -> None:
    """Deletes a folder that nobody may take for a whole one meanwhile; nothing where there is none."""
    hidden = folder.with_name(f".{folder.name}.old{PARTIAL}")
    shutil.rmtree(hidden, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.replace(folder, hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def move_files(source: Path, folder: Path) -> None:
    """Moves what a folder holds into another one, file by file; a folder within it takes the place of its namesake."""
    for entry in sorted(source.iterdir()):
        if entry.is_dir():
            remove_folder(folder / entry.name)
        os.replace(entry, folder / entry.name)
    source.rmdir()


def partial_files(folder: Path) -> list[Path]:
    """The files and folders that are being written in a folder, or were when their writer was killed."""
    return [path for path in folder.rglob(".*") if path.name.endswith(PARTIAL)]


def remove_partial(folder: Path) -> None:
    """Deletes what a writer that was killed has left in a folder, and in those within it."""
    for entry in partial_files(folder):
        remove(entry)


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Gives a folder to write to; at the end it takes the place of `folder`, and nothing is left of it otherwise.

    Raises:
        DiskFault: it can't be written; what was there before still is.
    """
    partial = folder.with_name(f".{folder.name}{PARTIAL}")
    with Writing(folder, partial=partial):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        remove_folder(folder)
        os.replace(partial, folder)
