"""Files, a Hub data set or rows in memory → train, validation and test, with named columns and honest splits."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmtune.data.files import read_table
    from llmtune.data.splits import Fingerprint, Splits, load_split, load_splits

__all__ = ["Fingerprint", "Splits", "load_split", "load_splits", "read_table"]


def __getattr__(name: str) -> Any:
    """What has `datasets` behind it: seconds that a report of a table does without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llmtune.data import files, splits

    return getattr(files if name == "read_table" else splits, name)
