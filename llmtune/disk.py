"""What a failed write says of the disk: why it failed, and how much room there is.

Writers of other libraries hide the cause: safetensors and tokenizers tell its number in their text, torch tells none.
"""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
REASONS = {
    errno.ENOSPC: "no space is left on the disk",
    errno.EDQUOT: "the quota of disk space is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "it is not permitted",
    errno.EIO: "the disk fails (input/output error)",
}
# Of torch.save, which tells no number: the text of its writer where a write or its opening fails.
TORCH = re.compile(
    r"inline_container\.cc:\d+\] \. (unexpected pos|open file failed)|PytorchStreamWriter failed writing"
)
# How safetensors and tokenizers, both in Rust, end their messages; the latter's errors are a plain Exception.
RUST = re.compile(r"\(os error (\d+)\)")
OF_RUST = ("SafetensorError", "Exception")


def disk_error(error: BaseException | None, folder: Path) -> int | None:
    """The number (errno) of the disk's refusal behind an error; None of an error that is about something else.

    Args:
        error: as a writer raised it; what it was raised from counts too.
        folder: that was written to; asked by writing to it, where the error doesn't tell the number.
    """
    if error is None:
        return None
    number = error.errno if isinstance(error, OSError) else None
    if type(error).__name__ in OF_RUST and (match := RUST.search(str(error))):
        number = int(match[1])
    if isinstance(error, RuntimeError) and TORCH.search(str(error)):
        number = _tried(folder) or errno.EIO
    if number in REASONS:
        return number
    return disk_error(error.__cause__ or error.__context__, folder)


def free_bytes(path: Path) -> int | None:
    """What a user may still write where the path would lie; None where nobody tells."""
    folder = next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), None)
    if folder is None:
        return None
    try:
        state = os.statvfs(folder)
    except OSError:
        return None
    return state.f_bavail * state.f_frsize


def byte_words(count: int) -> str:
    """A size for a person to read.

    >>> byte_words(0), byte_words(2_300), byte_words(5 * 2**30)
    ('0 B', '2.2 KiB', '5.0 GiB')
    """
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    place = next((place for place in range(len(units)) if count < 1024 ** (place + 1)), len(units) - 1)
    return f"{count} B" if place == 0 else f"{count / 1024**place:.1f} {units[place]}"


def remove(path: Path) -> None:
    """Deletes a file or a folder, as far as the disk lets it."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _tried(folder: Path) -> int | None:
    """What a write to the folder fails with; None where it succeeds."""
    try:
        with tempfile.TemporaryFile(
            dir=next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
        ) as file:
            file.write(bytes(2**16))
            file.flush()
    except OSError as error:
        return error.errno
    return None
