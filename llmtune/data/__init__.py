"""Files or a Hub data set → train, validation and test, with named columns, honest splits and fingerprints."""

from llmtune.data.files import read_table
from llmtune.data.splits import Fingerprint, Splits, load_split, load_splits

__all__ = ["Fingerprint", "Splits", "load_split", "load_splits", "read_table"]
