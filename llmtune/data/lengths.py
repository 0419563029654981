"""Lengths of encoded rows, in tokens or steps."""

import datasets
import numpy as np
import pyarrow.compute


def input_lengths(dataset: datasets.Dataset) -> np.ndarray:
    """Tokens of each row's `input_ids`, of a series the steps of its `past_values`, int64 of shape (n,)."""
    name = "input_ids" if "input_ids" in dataset.column_names else "past_values"
    column = dataset.with_format("arrow")[:][name]
    return np.asarray(pyarrow.compute.list_value_length(column), dtype=np.int64)
