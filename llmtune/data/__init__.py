"""Files, a Hub data set or rows in memory → train, validation and test, with named columns and honest splits."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmtune.data.files import read_table
    from llmtune.data.in_memory import InMemoryData
    from llmtune.data.splits import Fingerprint, Splits, load_split, load_splits

__all__ = ["Fingerprint", "InMemoryData", "Splits", "load_split", "load_splits", "read_table"]


def __getattr__(name: str) -> Any:
    """What has `datasets` behind it: seconds that a report of a table does without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llmtune.data import files, in_memory, splits

    homes = {"read_table": files, "InMemoryData": in_memory}
    return getattr(homes.get(name, splits), name)
