"""Lengths of encoded rows, in tokens or steps."""

import datasets
import numpy as np
import pyarrow.compute


def input_lengths(dataset: datasets.Dataset) -> np.ndarray:
    """Tokens of each row's `input_ids`, of a series the steps of its `past_values`, int64 of shape (n,).

    Of a row of windows the tokens of all of them.
    """
    name = "input_ids" if "input_ids" in dataset.column_names else "past_values"
    column = dataset.with_format("arrow")[:][name]
    lengths = np.asarray(pyarrow.compute.list_value_length(column), dtype=np.int64)
    if not pyarrow.types.is_nested(column.type.value_type):
        return lengths
    tokens = pyarrow.compute.list_value_length(pyarrow.compute.list_flatten(column))
    ends = np.cumsum(lengths)
    total = np.append(0, np.cumsum(np.asarray(tokens, dtype=np.int64)))
    return total[ends] - total[ends - lengths]
