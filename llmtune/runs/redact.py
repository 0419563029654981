"""What of a run may be read by others: no way through somebody's folders, no token."""

import re
from collections.abc import Mapping
from typing import Any

# /home/ada/runs/x, C:\Users\ada\x, ~/x: the last part says what it is, the rest says whose.
FOLDERS = re.compile(r"(?<![\w:/.\\-])(?:~|/|[A-Za-z]:[\\/])[^\s'\",;:<>]*[\\/]([^\s'\",;:<>\\/]*)")
HOMES = re.compile(r"(?<![\w:/.\\-])/(?:home|Users)/[^\s'\",;:<>/]+/?(?=$|[\s'\",;:<>])")
# Values of these keys are one path, spaces and all.
PATHS = ("_file", "_dir", "_path", "source", "checkpoint", "dataset_name")
ABSOLUTE = re.compile(r"~|[\\/]|[A-Za-z]:[\\/]")
TOKENS = re.compile(r"\bhf_[A-Za-z0-9]{8,}\b")


def public(value: Any) -> Any:
    """Text, or JSON values of any depth, with absolute paths cut to their last part and tokens removed.

    >>> public("read /home/ada/sms/train.csv, 3 rows; see https://hf.co/docs and user/name")
    'read train.csv, 3 rows; see https://hf.co/docs and user/name'
    """
    if isinstance(value, str):
        return TOKENS.sub("[token]", FOLDERS.sub(r"\1", HOMES.sub("~", value)))
    if isinstance(value, Mapping):
        return {key: public(_last_part(item) if str(key).endswith(PATHS) else item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [public(item) for item in value]
    return value


def _last_part(value: Any) -> Any:
    if not isinstance(value, str) or not ABSOLUTE.match(value):
        return value
    return re.split(r"[\\/]", value.rstrip("\\/"))[-1]


def hub_id(name: str | None) -> str | None:
    """The name if it can be a repository's on the Hub: `bert-base` or `user/bert`, and no folder here.

    >>> hub_id("google-bert/bert-base-uncased"), hub_id("/data/bert"), hub_id("./bert"), hub_id("a/b/c"), hub_id(None)
    ('google-bert/bert-base-uncased', None, None, None, None)
    """
    from pathlib import Path

    if name is None or not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", name) or Path(name).exists():
        return None
    return name
